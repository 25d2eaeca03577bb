//! `CreateTrainingJob`.

use bessemer_domain::{JobKind, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{
    error::Error,
    jobs::{Submission, resources, submit},
    tags::WireTag,
};
use super::checks;
use crate::{caller::Caller, platform::Platform};

/// Seconds that a job may run if it doesn't say.
pub(super) const DEFAULT_RUNTIME: u64 = 86_400;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateTrainingJob {
    training_job_name: String,
    pub(super) resource_config: Option<ResourceConfig>,
    #[serde(default)]
    pub(super) stopping_condition: StoppingCondition,
    #[serde(default)]
    pub(super) enable_managed_spot_training: bool,
    retry_strategy: Option<RetryStrategy>,
    #[serde(default)]
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceConfig {
    pub(super) instance_type: Option<String>,
    pub(super) instance_count: Option<u32>,
}

#[derive(Default, Deserialize)]
pub(super) struct StoppingCondition {
    #[serde(rename = "MaxRuntimeInSeconds")]
    pub(super) runtime: Option<u64>,
    #[serde(rename = "MaxWaitTimeInSeconds")]
    pub(super) wait_time: Option<u64>,
    #[serde(rename = "MaxPendingTimeInSeconds")]
    pending_time: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RetryStrategy {
    maximum_retry_attempts: u32,
}

pub(crate) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let request = read(input)?;
    let (kind, count) = request.instances();
    let stopping = request.stopping_condition;
    let new = Submission {
        kind: JobKind::Training,
        name: request.training_job_name,
        input: input.clone(),
        tags: request.tags,
        instance_type: kind,
        instance_count: count,
        attempts: request.retry_strategy.map(|strategy| strategy.maximum_retry_attempts + 1),
        limits: limits(&stopping),
    };
    let arn = submit(platform, caller, new).await?;
    Ok(json!({ "TrainingJobArn": arn }))
}

/// Says what is wrong with a job that is to be created later.
pub(crate) fn check(input: &Value) -> Result<(), Error> {
    let (kind, count) = read(input)?.instances();
    resources(&kind, count).map(drop)
}

fn read(input: &Value) -> Result<CreateTrainingJob, Error> {
    let internal = |error: serde_json::Error| Error::Internal(error.into());
    let request = CreateTrainingJob::deserialize(input).map_err(internal)?;
    checks::check(input, &request).map_err(Error::Validation)?;
    Ok(request)
}

impl CreateTrainingJob {
    /// The type of its instances, and how many there are.
    fn instances(&self) -> (String, u32) {
        let config = self.resource_config.as_ref();
        let kind = config.and_then(|config| config.instance_type.clone());
        let count = config.and_then(|config| config.instance_count);
        (kind.unwrap_or_default(), count.unwrap_or(1))
    }
}

fn limits(stopping: &StoppingCondition) -> Limits {
    let millis = |seconds: u64| seconds.saturating_mul(1_000);
    let waits = [stopping.wait_time, stopping.pending_time];
    Limits {
        total_millis: Some(millis(stopping.runtime.unwrap_or(DEFAULT_RUNTIME))),
        wait_millis: waits.into_iter().flatten().min().map(millis),
        ..Limits::default()
    }
}
