//! `DescribeTransformJob`: what Create was given, AWS's defaults, and how it stands.

use bessemer_domain::{JobKind, Phase};
use bessemer_store::{Documents, Job};
use serde_json::{Map, Value, json};

use super::{
    super::{
        error::Error,
        jobs::{JobName, status_of},
        times::seconds,
    },
    request::TransformRequest,
};
use crate::platform::Platform;

/// Characters that a failure's reason may have.
const REASON_LENGTH: usize = 1024;

pub(crate) async fn describe(
    platform: &Platform,
    JobName { name }: JobName,
) -> Result<Value, Error> {
    let job = platform.jobs.get(JobKind::Transform, &name).await?;
    let documents = platform.jobs.documents(&job).await?;
    Ok(Value::Object(answer(&job, &documents)?))
}

/// A job with all that is known of it.
pub(crate) fn answer(job: &Job, documents: &Documents) -> Result<Map<String, Value>, Error> {
    let kept: TransformRequest =
        serde_json::from_str(&documents.request).map_err(|error| Error::Internal(error.into()))?;
    let mut answer = with_defaults(kept.job);
    answer.insert("TransformJobArn".to_owned(), json!(job.arn));
    answer.extend(summary(job));
    Ok(answer)
}

/// What Create was given, with AWS's defaults.
pub(super) fn with_defaults(given: Value) -> Map<String, Value> {
    let mut answer = match given {
        Value::Object(request) => request,
        _ => Map::new(),
    };
    if let Some(input) = answer.get_mut("TransformInput").and_then(Value::as_object_mut) {
        input.entry("CompressionType").or_insert_with(|| json!("None"));
        input.entry("SplitType").or_insert_with(|| json!("None"));
    }
    if let Some(output) = answer.get_mut("TransformOutput").and_then(Value::as_object_mut) {
        output.entry("AssembleWith").or_insert_with(|| json!("None"));
        output.entry("KmsKeyId").or_insert_with(|| json!(""));
    }
    let processing = answer.entry("DataProcessing").or_insert_with(|| json!({}));
    if let Some(processing) = processing.as_object_mut() {
        processing.entry("InputFilter").or_insert_with(|| json!("$"));
        processing.entry("OutputFilter").or_insert_with(|| json!("$"));
        processing.entry("JoinSource").or_insert_with(|| json!("None"));
    }
    answer
}

/// How a job stands, in the members that Describe and List share.
pub(crate) fn summary(job: &Job) -> Map<String, Value> {
    let state = &job.lifecycle.state;
    let phase = state.name().phase();
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    add("TransformJobName", json!(job.name));
    add("TransformJobArn", json!(job.arn));
    add("TransformJobStatus", json!(status_of(job)));
    add("CreationTime", seconds(job.created_at));
    add("LastModifiedTime", seconds(job.modified_at));
    if let Some(started) = job.started_at {
        add("TransformStartTime", seconds(started));
    }
    if let Some(ended) = job.ended_at {
        add("TransformEndTime", seconds(ended));
    }
    if let (Phase::Failed, Some((_, message))) = (phase, state.failure()) {
        add("FailureReason", json!(message.chars().take(REASON_LENGTH).collect::<String>()));
    }
    members
}
