//! `SubmitJob`.

use std::collections::{BTreeMap, HashSet};

use bessemer_domain::{JobKind, Limits};
use bessemer_store::{
    BatchDefinition, BatchJob, BatchResourceKind, NewBatchBody, NewBatchJob, NewJob, Tag,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    container, definitions,
    error::Error,
    queues,
    request::BatchRequest,
    resource::{self, Resource, check_name, tags},
    retry::RetryStrategy,
    shares,
};
use crate::{caller::Caller, platform::Platform};

/// How long a container has to end when it is told to, as ECS grants it.
const GRACE_MILLIS: u64 = 30_000;
/// Children of an array at most.
const LARGEST: u32 = 10_000;
/// Jobs that a job may depend on.
const DEPENDENCIES: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubmitJob {
    job_name: String,
    job_queue: String,
    job_definition: String,
    share_identifier: Option<String>,
    scheduling_priority_override: Option<i32>,
    array_properties: Option<ArrayProperties>,
    #[serde(default)]
    depends_on: Vec<Dependency>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    container_overrides: Map<String, Value>,
    retry_strategy: Option<RetryStrategy>,
    propagate_tags: Option<bool>,
    timeout: Option<Value>,
    tags: Option<Value>,
    node_overrides: Option<Value>,
    eks_properties_override: Option<Value>,
    ecs_properties_override: Option<Value>,
    consumable_resource_properties_override: Option<Value>,
}

#[derive(Deserialize)]
struct ArrayProperties {
    size: Option<u32>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
}

pub(super) async fn submit(
    platform: &Platform,
    caller: &Caller,
    input: SubmitJob,
) -> Result<Value, Error> {
    check(&input)?;
    let queue = queues::get(platform, &input.job_queue).await?;
    if queue.text("jobQueueType") == "SAGEMAKER_TRAINING" {
        return Err(Error::client("The job queue takes service jobs only: use SubmitServiceJob"));
    }
    if queue.text("state") != "ENABLED" {
        return Err(Error::Client(format!("JobQueue {} is not in ENABLED state", queue.name)));
    }
    let definition = definitions::find(platform, &input.job_definition).await?;
    let definition = definition.filter(|definition| definition.is_active);
    let definition = definition.ok_or_else(|| {
        Error::Client(format!("JobDefinition {} does not exist", input.job_definition))
    })?;
    check_dependencies(platform, &input).await?;
    let share = share(platform, &queue, input.share_identifier.as_deref()).await?;
    let plan = Plan::of(platform, &input, &queue, &definition).await?;
    let id = new_id();
    let name = input.job_name.clone();
    let jobs = jobs(caller, &input, (&queue, &definition, share), &plan, &id)?;
    platform.jobs.submit_batch(jobs).await?;
    let arn = caller.arn("batch", &format!("job/{id}"));
    Ok(json!({ "jobArn": arn, "jobName": name, "jobId": id }))
}

fn check(input: &SubmitJob) -> Result<(), Error> {
    check_name(&input.job_name)?;
    for (given, member) in [
        (&input.node_overrides, "nodeOverrides"),
        (&input.eks_properties_override, "eksPropertiesOverride"),
        (&input.ecs_properties_override, "ecsPropertiesOverride"),
        (&input.consumable_resource_properties_override, "consumableResourcePropertiesOverride"),
    ] {
        if given.is_some() {
            return Err(Error::unsupported(&format!("A job with `{member}`")));
        }
    }
    if let Some(retry) = &input.retry_strategy {
        retry.check()?;
    }
    definitions::check_timeout(input.timeout.as_ref().unwrap_or(&Value::Null))?;
    definitions::check_priority(&json!(input.scheduling_priority_override))?;
    if let Some(size) = size(input).filter(|size| !(2..=LARGEST).contains(size)) {
        return Err(Error::Client(format!("Array size {size} must be from 2 to {LARGEST}")));
    }
    container::check_environment(
        input.container_overrides.get("environment").unwrap_or(&Value::Null),
    )
}

fn size(input: &SubmitJob) -> Option<u32> {
    input.array_properties.as_ref().and_then(|array| array.size)
}

async fn check_dependencies(platform: &Platform, input: &SubmitJob) -> Result<(), Error> {
    if input.depends_on.len() > DEPENDENCIES {
        return Err(Error::Client(format!("A job depends on {DEPENDENCIES} jobs at most")));
    }
    for dependency in &input.depends_on {
        let kind = dependency.kind.as_deref();
        if kind.is_some() && size(input).is_none() {
            return Err(Error::client("Only array jobs can have dependencies with a type"));
        }
        let Some(id) = &dependency.job_id else {
            if kind == Some("SEQUENTIAL") {
                continue;
            }
            return Err(Error::client("A dependency must have a jobId unless it is SEQUENTIAL"));
        };
        if kind == Some("SEQUENTIAL") {
            return Err(Error::client("A SEQUENTIAL dependency must not have a jobId"));
        }
        let found = platform.store.batch().get(id).await?;
        let found =
            found.ok_or_else(|| Error::Client(format!("Dependency job {id} does not exist")))?;
        check_sizes(kind, size(input), &found)?;
    }
    Ok(())
}

/// That arrays whose children depend on each other are of one size.
fn check_sizes(kind: Option<&str>, size: Option<u32>, other: &BatchJob) -> Result<(), Error> {
    let of_other = other.array.as_ref().map(|array| array.size);
    if kind == Some("N_TO_N") && of_other != size {
        return Err(Error::Client(format!(
            "An N_TO_N dependency must be on an array of the same size, and {} is not",
            other.id
        )));
    }
    Ok(())
}

/// The share of the machine that the job is of, with its weight set.
async fn share(
    platform: &Platform,
    queue: &Resource,
    identifier: Option<&str>,
) -> Result<String, Error> {
    let arn = queue.text("schedulingPolicyArn");
    let policy = if arn.is_empty() {
        None
    } else {
        resource::find(platform, BatchResourceKind::SchedulingPolicy, arn).await?
    };
    match (policy, identifier) {
        (Some(policy), Some(identifier)) => {
            let share = shares::share(&queue.name, identifier);
            let policy = policy.document.get("fairsharePolicy").unwrap_or(&Value::Null);
            platform.jobs.set_share_weight(&share, shares::weight(policy, identifier));
            Ok(share)
        }
        (Some(_), None) => Err(Error::client(
            "shareIdentifier must be specified for a job queue with a fair share policy",
        )),
        (None, Some(_)) => Err(Error::client(
            "shareIdentifier can't be specified for a job queue without a scheduling policy",
        )),
        (None, None) => Ok(String::new()),
    }
}

/// What a submission comes to, with its definition.
struct Plan {
    request: BatchRequest,
    tags: Vec<Tag>,
    limits: Limits,
    resources: bessemer_jobs::Resources,
    rank: i32,
}

impl Plan {
    async fn of(
        platform: &Platform,
        input: &SubmitJob,
        queue: &Resource,
        definition: &BatchDefinition,
    ) -> Result<Self, Error> {
        let document: Map<String, Value> = serde_json::from_str(&definition.document)?;
        let member = |name: &str| document.get(name).cloned().unwrap_or(Value::Null);
        let properties = member("containerProperties");
        let properties = properties.as_object().cloned().unwrap_or_default();
        let container = container::merged(&properties, &input.container_overrides);
        let resources = container::resources(&container)?;
        let mut parameters: BTreeMap<String, String> =
            serde_json::from_value::<Option<_>>(member("parameters"))?.unwrap_or_default();
        parameters.extend(input.parameters.clone());
        let of_definition: Option<RetryStrategy> = serde_json::from_value(member("retryStrategy"))?;
        let retry = input.retry_strategy.clone().or(of_definition).unwrap_or_default();
        let timeout = input.timeout.clone().unwrap_or_else(|| member("timeout"));
        let priority = json!(input.scheduling_priority_override);
        let priority = if priority.is_null() { member("schedulingPriority") } else { priority };
        let propagate = json!(input.propagate_tags);
        let propagate = if propagate.is_null() { member("propagateTags") } else { propagate };
        let mut detail = Map::new();
        for (name, value) in [
            ("jobName", json!(input.job_name)),
            ("jobQueue", json!(queue.arn)),
            ("jobDefinition", json!(definition.arn)),
            ("dependsOn", json!(input.depends_on)),
            ("parameters", json!(parameters)),
            ("retryStrategy", retry_detail(&retry)?),
            ("timeout", timeout.clone()),
            ("propagateTags", propagate),
            ("platformCapabilities", member("platformCapabilities")),
            ("shareIdentifier", json!(input.share_identifier)),
            ("schedulingPriority", priority.clone()),
        ] {
            if !value.is_null() {
                detail.insert(name.to_owned(), value);
            }
        }
        let seconds = timeout["attemptDurationSeconds"].as_u64();
        let limits = Limits {
            attempt_millis: seconds.map(|seconds| seconds.saturating_mul(1000)),
            grace_millis: GRACE_MILLIS,
            ..Limits::default()
        };
        let environment = queue.order("computeEnvironmentOrder", "computeEnvironment");
        let environment = environment.first().map(|name| last_part(name)).unwrap_or_default();
        let request = BatchRequest {
            detail,
            container,
            parameters,
            retry,
            queue: queue.name.clone(),
            environment,
            definition: definition.name.clone(),
            place: None,
        };
        let mut all = match input.propagate_tags {
            Some(true) => platform.store.tags().list(&definition.arn).await?,
            _ => Vec::new(),
        };
        all.extend(tags(input.tags.as_ref()));
        let rank = priority.as_i64().and_then(|rank| i32::try_from(rank).ok()).unwrap_or(0);
        Ok(Self { request, tags: all, limits, resources, rank })
    }
}

fn retry_detail(retry: &RetryStrategy) -> Result<Value, Error> {
    let mut detail = serde_json::to_value(retry)?;
    detail["attempts"] = json!(retry.attempts.unwrap_or(1));
    Ok(detail)
}

/// The name in an ARN, or a name.
fn last_part(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_owned()
}

/// The rows of a submission: a job, or the children of an array and then the array.
fn jobs(
    caller: &Caller,
    input: &SubmitJob,
    (queue, definition, share): (&Resource, &BatchDefinition, String),
    plan: &Plan,
    id: &str,
) -> Result<Vec<NewBatchJob>, Error> {
    let priority = queue.document.get("priority").and_then(Value::as_i64).unwrap_or(0);
    let priority = i32::try_from(priority).unwrap_or(0);
    let row = |id: String, parent: Option<(String, u32)>, after, body| NewBatchJob {
        arn: caller.arn("batch", &format!("job/{id}")),
        id,
        name: input.job_name.clone(),
        queue: queue.arn.clone(),
        definition: format!("{}:{}", definition.name, definition.revision),
        parent,
        body,
        after,
    };
    let body = |id: &str, request: &BatchRequest| -> Result<NewBatchBody, Error> {
        let job = NewJob {
            kind: JobKind::Batch,
            name: id.to_owned(),
            arn: caller.arn("batch", &format!("job/{id}")),
            request: serde_json::to_string(request)?,
            tags: plan.tags.clone(),
            priority,
            share: share.clone(),
            cores: plan.resources.cores,
            memory: plan.resources.memory,
            instance_type: String::new(),
            instance_count: 1,
            note: None,
            policy: plan.request.retry.policy(),
            requested_attempts: Some(plan.request.retry.attempts.unwrap_or(1)),
            limits: plan.limits,
        };
        Ok(NewBatchBody::Job(Box::new(job), plan.rank))
    };
    let Some(size) = size(input) else {
        let after = after(&input.depends_on, id, None);
        return Ok(vec![row(id.to_owned(), None, after, body(id, &plan.request)?)]);
    };
    let mut rows = Vec::with_capacity(size as usize + 1);
    for place in 0..size {
        let child = format!("{id}:{place}");
        let request = BatchRequest { place: Some((place, size)), ..plan.request.clone() };
        let after = after(&input.depends_on, id, Some(place));
        let body = body(&child, &request)?;
        rows.push(row(child, Some((id.to_owned(), place)), after, body));
    }
    let document = NewBatchBody::Array(serde_json::to_string(&plan.request)?);
    let own: Vec<Dependency> =
        input.depends_on.iter().filter(|one| one.kind.is_none()).cloned().collect();
    rows.push(row(id.to_owned(), None, after(&own, id, None), document));
    Ok(rows)
}

/// The jobs that have to succeed before the one at `place` of array `id`, or before job `id`.
fn after(dependencies: &[Dependency], id: &str, place: Option<u32>) -> Vec<String> {
    let mut seen = HashSet::new();
    let before = dependencies.iter().filter_map(|dependency| {
        match (dependency.kind.as_deref(), &dependency.job_id, place) {
            (Some("SEQUENTIAL"), _, Some(place)) => {
                place.checked_sub(1).map(|before| format!("{id}:{before}"))
            }
            (Some("N_TO_N"), Some(other), Some(place)) => Some(format!("{other}:{place}")),
            (_, other, _) => other.clone(),
        }
    });
    before.filter(|one| seen.insert(one.clone())).collect()
}

/// A random id in the form of AWS's.
pub(super) fn new_id() -> String {
    let bits = rand::random::<u128>() & !(0xf << 76) & !(0xc << 60) | 0x4 << 76 | 0x8 << 60;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_depend_on_their_like_or_their_neighbour_or_the_whole() {
        let on = |kind: Option<&str>, id: Option<&str>| Dependency {
            job_id: id.map(str::to_owned),
            kind: kind.map(str::to_owned),
        };
        let all =
            [on(Some("SEQUENTIAL"), None), on(Some("N_TO_N"), Some("b")), on(None, Some("c"))];
        assert_eq!(after(&all, "a", Some(0)), ["b:0", "c"]);
        assert_eq!(after(&all, "a", Some(2)), ["a:1", "b:2", "c"]);
        assert_eq!(after(&all[2..], "a", None), ["c"]);
        assert_eq!(after(&[on(None, Some("c")), on(None, Some("c"))], "a", None), ["c"]);
    }

    #[test]
    fn ids_are_random_ones_of_version_4() {
        let id = new_id();
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!(matches!(&id[19..20], "8" | "9" | "a" | "b"), "{id}");
        assert_ne!(id, new_id());
    }
}
