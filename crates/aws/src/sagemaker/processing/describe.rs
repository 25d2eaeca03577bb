//! `DescribeProcessingJob`: what Create was given, AWS's defaults, and how it stands.

use bessemer_domain::JobKind;
use bessemer_store::Job;
use serde_json::{Map, Value, json};

use super::{
    super::{
        error::Error,
        jobs::{Found, JobName, JobResult, find, reason, status_of},
        times::seconds,
    },
    create::DEFAULT_RUNTIME,
};
use crate::platform::Platform;

pub(crate) async fn describe(platform: &Platform, input: JobName) -> Result<Value, Error> {
    let found = find(platform, JobKind::Processing, &input.name).await?;
    Ok(Value::Object(answer(found)))
}

/// A job with all that is known of it.
pub(crate) fn answer(found: Found) -> Map<String, Value> {
    let Found { job, request, result } = found;
    let mut answer = completed(request);
    answer.extend(summary(&job, &result));
    if let Some(started) = job.started_at {
        answer.insert("ProcessingStartTime".to_owned(), seconds(started));
    }
    answer
}

/// A request with the defaults that Describe tells of.
fn completed(mut request: Map<String, Value>) -> Map<String, Value> {
    request
        .entry("StoppingCondition")
        .or_insert_with(|| json!({ "MaxRuntimeInSeconds": DEFAULT_RUNTIME }));
    request.entry("Environment").or_insert_with(|| json!({}));
    if let Some(network) = request.get_mut("NetworkConfig").and_then(Value::as_object_mut) {
        network.entry("EnableInterContainerTrafficEncryption").or_insert(json!(false));
        network.entry("EnableNetworkIsolation").or_insert(json!(false));
    }
    let inputs = request.get_mut("ProcessingInputs").and_then(Value::as_array_mut);
    for input in inputs.into_iter().flatten().filter_map(Value::as_object_mut) {
        input.entry("AppManaged").or_insert(json!(false));
        if let Some(source) = input.get_mut("S3Input").and_then(Value::as_object_mut) {
            source.entry("S3InputMode").or_insert(json!("File"));
            source.entry("S3DataDistributionType").or_insert(json!("FullyReplicated"));
            source.entry("S3CompressionType").or_insert(json!("None"));
        }
    }
    let output = request.get_mut("ProcessingOutputConfig").and_then(Value::as_object_mut);
    if let Some(config) = output {
        config.entry("KmsKeyId").or_insert(json!(""));
        let outputs = config.get_mut("Outputs").and_then(Value::as_array_mut);
        for output in outputs.into_iter().flatten().filter_map(Value::as_object_mut) {
            output.entry("AppManaged").or_insert(json!(false));
        }
    }
    request
}

/// How a job stands, in the members that Describe and List share.
pub(crate) fn summary(job: &Job, result: &JobResult) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    add("ProcessingJobName", json!(job.name));
    add("ProcessingJobArn", json!(job.arn));
    add("CreationTime", seconds(job.created_at));
    add("LastModifiedTime", seconds(job.modified_at));
    add("ProcessingJobStatus", json!(status_of(job)));
    if let Some(ended) = job.ended_at {
        add("ProcessingEndTime", seconds(ended));
    }
    if let Some(reason) = reason(job) {
        add("FailureReason", json!(reason));
    }
    if let Some(message) = &result.exit_message {
        add("ExitMessage", json!(message));
    }
    members
}
