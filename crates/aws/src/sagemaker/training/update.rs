//! `UpdateTrainingJob`: what is kept of a job while it is under way.

use bessemer_domain::JobKind;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{
    error::Error,
    jobs::{Found, JobRequest, find, status_of, unsupported},
};
use crate::platform::Platform;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct UpdateTrainingJob {
    training_job_name: String,
    profiler_config: Option<Map<String, Value>>,
    profiler_rule_configurations: Option<Value>,
    resource_config: Option<Value>,
    remote_debug_config: Option<Map<String, Value>>,
}

/// The profiler's settings are kept as Create keeps them. Warm pools and remote debugging, the rest
/// of what AWS can change, are not there to be changed.
pub(crate) async fn update(platform: &Platform, input: UpdateTrainingJob) -> Result<Value, Error> {
    let name = &input.training_job_name;
    let Found { job, mut request, .. } = find(platform, JobKind::Training, name).await?;
    if job.lifecycle.state.name().is_final() {
        return Err(Error::Validation(format!(
            "The request was rejected because the training job is in status {}.",
            status_of(&job)
        )));
    }
    if input.resource_config.is_some() {
        return Err(Error::Validation(format!(
            "KeepAlivePeriodInSeconds can't be updated because training job {name} has no warm pool"
        )));
    }
    let debug = input.remote_debug_config.unwrap_or_default();
    if debug.get("EnableRemoteDebug") == Some(&Value::Bool(true)) {
        return Err(Error::Validation(unsupported("RemoteDebugConfig.EnableRemoteDebug")));
    }
    let profiler = request.entry("ProfilerConfig").or_insert_with(|| json!({}));
    if let (Some(kept), Some(given)) = (profiler.as_object_mut(), input.profiler_config) {
        kept.extend(given);
    }
    if let Some(rules) = input.profiler_rule_configurations {
        request.insert("ProfilerRuleConfigurations".to_owned(), rules);
    }
    let request = serde_json::to_string(&JobRequest { job: Value::Object(request) });
    let request = request.map_err(|error| Error::Internal(error.into()))?;
    platform.store.jobs().set_request(job.id, request).await?;
    Ok(json!({ "TrainingJobArn": job.arn }))
}
