//! The training jobs of a search.

use bessemer_domain::{StateName, hex};
use bessemer_jobs::JobsError;
use bessemer_store::{Job, TuningRecord};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::{
        error::Error,
        jobs::{read, reason, status_of},
        times::seconds,
    },
    KIND,
    request::Search,
};
use crate::platform::Platform;

/// A training job of a search.
#[derive(Debug, Clone)]
pub(super) struct Child {
    pub(super) job: Job,
    /// The hyperparameters that were sought.
    pub(super) tuned: Map<String, Value>,
    /// The value that is to be as small or as large as can be.
    pub(super) value: Option<f64>,
}

/// The name of training job number `index`: the same, whoever makes it.
pub(super) fn name(record: &TuningRecord, index: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(record.seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    hash.update(&record.name);
    let digest = hex(&hash.finalize());
    format!("{}-{:03}-{}", record.name, index + 1, &digest[..8])
}

/// Training job number `index`, if it is there.
pub(super) async fn find(
    platform: &Platform,
    record: &TuningRecord,
    search: &Search,
    index: u32,
) -> Result<Option<Child>, Error> {
    let job = match platform.jobs.get(KIND, &name(record, index)).await {
        Err(JobsError::NotFound { .. }) => return Ok(None),
        found => found?,
    };
    let documents = platform.jobs.documents(&job).await?;
    let found = read(job, &documents)?;
    let metric = &search.objective.metric_name;
    let value = found.result.final_metrics.iter().find(|one| one.name == *metric);
    let value = value.map(|metric| metric.value).filter(|value| value.is_finite());
    Ok(Some(Child { job: found.job, tuned: search.tuned(record.seed, index), value }))
}

/// All training jobs that there are, in the order in which they were made.
pub(super) async fn all(
    platform: &Platform,
    record: &TuningRecord,
    search: &Search,
) -> Result<Vec<Child>, Error> {
    let mut all = Vec::new();
    for index in 0..search.most {
        match find(platform, record, search, index).await? {
            Some(child) => all.push(child),
            None => break,
        }
    }
    Ok(all)
}

impl Child {
    /// Whether it has come to its end.
    pub(super) fn has_ended(&self) -> bool {
        self.job.lifecycle.state.name().is_final()
    }

    /// The value that it was for, if it has come to its end with one.
    pub(super) fn score(&self) -> Option<f64> {
        let state = self.job.lifecycle.state.name();
        self.value.filter(|_| matches!(state, StateName::Succeeded | StateName::Stopped))
    }

    /// `Succeeded`, `Pending` or `Failed`.
    pub(super) fn objective_status(&self) -> &'static str {
        match self.score() {
            _ if !self.has_ended() => "Pending",
            Some(_) => "Succeeded",
            None => "Failed",
        }
    }

    /// It in a list, or as the best.
    pub(super) fn summary(&self, search: &Search) -> Value {
        let Self { job, tuned, value } = self;
        let mut summary = json!({
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "CreationTime": seconds(job.created_at),
            "TrainingJobStatus": status_of(job),
            "TunedHyperParameters": tuned,
            "ObjectiveStatus": self.objective_status(),
        });
        let mut add = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                summary[name] = value;
            }
        };
        add("TrainingStartTime", job.started_at.map(seconds));
        add("TrainingEndTime", job.ended_at.map(seconds));
        add("FailureReason", reason(job).map(Value::from));
        let metric = &search.objective.metric_name;
        let value = value.map(|value| json!({ "MetricName": metric, "Value": value }));
        add("FinalHyperParameterTuningJobObjectiveMetric", value);
        summary
    }
}

/// The best of some training jobs; of those that are as good, the first.
pub(super) fn best<'c>(children: &'c [Child], search: &Search) -> Option<&'c Child> {
    ranked(children, search).first().copied()
}

/// Training jobs with a value, the best first.
pub(super) fn ranked<'c>(children: &'c [Child], search: &Search) -> Vec<&'c Child> {
    let mut scored: Vec<(f64, &Child)> =
        children.iter().filter_map(|child| Some((child.score()?, child))).collect();
    scored.sort_by(|(one, _), (other, _)| {
        let order = one.total_cmp(other);
        if search.objective.is_better(0.0, 1.0) { order } else { order.reverse() }
    });
    scored.into_iter().map(|(_, child)| child).collect()
}
