//! `CreateProcessingJob`.

use bessemer_domain::{JobKind, Limits};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{
    error::Error,
    jobs::{Submission, submit},
    tags::WireTag,
};
use super::checks::{self, Checked};
use crate::{caller::Caller, platform::Platform};

/// Seconds that a job may run if it doesn't say.
pub(super) const DEFAULT_RUNTIME: u64 = 86_400;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateProcessingJob {
    processing_job_name: String,
    processing_resources: ProcessingResources,
    stopping_condition: Option<StoppingCondition>,
    #[serde(default)]
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessingResources {
    cluster_config: ClusterConfig,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ClusterConfig {
    instance_type: Option<String>,
    instance_count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoppingCondition {
    max_runtime_in_seconds: u64,
}

pub(crate) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let internal = |error: serde_json::Error| Error::Internal(error.into());
    let request = CreateProcessingJob::deserialize(input).map_err(internal)?;
    checks::check(&Checked::deserialize(input).map_err(internal)?).map_err(Error::Validation)?;
    let cluster = request.processing_resources.cluster_config;
    let runtime = request.stopping_condition.map(|condition| condition.max_runtime_in_seconds);
    let runtime = runtime.unwrap_or(DEFAULT_RUNTIME);
    let new = Submission {
        kind: JobKind::Processing,
        name: request.processing_job_name,
        input: input.clone(),
        tags: request.tags,
        instance_type: cluster.instance_type.unwrap_or_default(),
        instance_count: cluster.instance_count.unwrap_or(1),
        attempts: None,
        limits: Limits { total_millis: Some(runtime.saturating_mul(1_000)), ..Limits::default() },
    };
    let arn = submit(platform, caller, new).await?;
    Ok(json!({ "ProcessingJobArn": arn }))
}
