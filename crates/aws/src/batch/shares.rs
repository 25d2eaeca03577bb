//! Shares of queues: names of the job core's, and their weights.

use std::collections::BTreeSet;

use bessemer_store::BatchResourceKind::{JobQueue, SchedulingPolicy};
use serde_json::Value;

use super::{
    error::Error,
    resource::{self, Resource},
};
use crate::platform::Platform;

/// Shares of a policy at most.
const MOST: usize = 500;

/// The core's share of the jobs of `identifier` in a queue.
pub(super) fn share(queue: &str, identifier: &str) -> String {
    format!("{queue}/{identifier}")
}

/// That a fair-share policy is one.
pub(super) fn check(policy: &Value) -> Result<(), Error> {
    let shares = policy["shareDistribution"].as_array().map(Vec::as_slice).unwrap_or_default();
    if shares.len() > MOST {
        return Err(Error::Client(format!("A policy has {MOST} shares at most")));
    }
    for share in shares {
        if let Some(weight) =
            share["weightFactor"].as_f64().filter(|weight| !(0.0001..=999.9999).contains(weight))
        {
            return Err(Error::Client(format!(
                "weightFactor {weight} must be from 0.0001 to 999.9999"
            )));
        }
    }
    Ok(())
}

/// The weight of a share: the inverse of its factor, of which 1 is usual. An identifier that ends in
/// `*` is for all that begin with it; the longest that fits decides.
pub(super) fn weight(policy: &Value, identifier: &str) -> f64 {
    let shares = policy["shareDistribution"].as_array().into_iter().flatten();
    let fit = |share: &&Value| {
        let name = share["shareIdentifier"].as_str().unwrap_or_default();
        match name.strip_suffix('*') {
            Some(begin) => identifier.starts_with(begin).then_some(begin.len()),
            None => (name == identifier).then_some(usize::MAX),
        }
    };
    let best = shares.filter_map(|share| Some((fit(&share)?, share))).max_by_key(|(fit, _)| *fit);
    let factor = best.and_then(|(_, share)| share["weightFactor"].as_f64()).unwrap_or(1.0);
    1.0 / factor.max(0.0001)
}

/// The same as [`weigh`], for a server that starts; what can't be read leaves shares equal.
pub async fn weigh_shares(platform: &Platform) {
    if let Err(error) = weigh(platform).await {
        tracing::error!(%error, "the shares of Batch's queues have no weights");
    }
}

/// Gives the shares of jobs that wait or run the weights that their queues' policies say.
pub(super) async fn weigh(platform: &Platform) -> Result<(), Error> {
    let queues = resource::list(platform, JobQueue, &Value::Null).await?;
    let policies = resource::list(platform, SchedulingPolicy, &Value::Null).await?;
    let jobs = platform.store.jobs();
    let waiting = jobs.waiting().await?.into_iter().map(|job| job.share);
    let running = jobs.leased().await?.into_iter().map(|job| job.share);
    for name in waiting.chain(running).collect::<BTreeSet<String>>() {
        let Some((queue, identifier)) = name.split_once('/') else { continue };
        let Some(queue) = queues.iter().find(|other| other.name == queue) else { continue };
        if let Some(policy) = policy_of(queue, &policies) {
            platform.jobs.set_share_weight(&name, weight(policy, identifier));
        }
    }
    Ok(())
}

/// The fair-share policy of a queue.
fn policy_of<'p>(queue: &Resource, policies: &'p [Resource]) -> Option<&'p Value> {
    let arn = queue.text("schedulingPolicyArn");
    let policy = policies.iter().find(|policy| policy.arn == arn)?;
    Some(policy.document.get("fairsharePolicy").unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_share_has_the_inverse_of_the_factor_that_fits_best() {
        let policy = json!({ "shareDistribution": [
            { "shareIdentifier": "team*", "weightFactor": 0.5 },
            { "shareIdentifier": "teamA", "weightFactor": 0.25 },
            { "shareIdentifier": "other" },
        ] });
        for (identifier, expected) in [("teamA", 4.0), ("teamB", 2.0), ("other", 1.0), ("x", 1.0)] {
            assert!((weight(&policy, identifier) - expected).abs() < 1e-9, "{identifier}");
        }
        assert!(check(&json!({ "shareDistribution": [{ "weightFactor": 0.0 }] })).is_err());
        assert!(check(&policy).is_ok());
    }
}
