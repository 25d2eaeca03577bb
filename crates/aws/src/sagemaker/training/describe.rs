//! `DescribeTrainingJob`: what Create was given, AWS's defaults, and how it stands.

use bessemer_domain::{JobKind, Phase};
use bessemer_store::{HistoryEntry, Job};
use serde_json::{Map, Value, json};

use super::{
    super::{
        error::Error,
        jobs::{Found, JobName, find, reason, status_of},
        times::seconds,
    },
    create::DEFAULT_RUNTIME,
    progress::{self, Transition, transitions},
};
use crate::platform::Platform;

pub(crate) async fn describe(platform: &Platform, input: JobName) -> Result<Value, Error> {
    let found = find(platform, JobKind::Training, &input.name).await?;
    let history = platform.jobs.history(&found.job).await?;
    Ok(Value::Object(answer(found, &history)))
}

/// A job with all that is known of it.
pub(crate) fn answer(found: Found, history: &[HistoryEntry]) -> Map<String, Value> {
    let Found { job, request, result } = found;
    let mut answer = completed(request);
    let artifacts = result.model_artifacts.unwrap_or_else(|| artifacts(&answer, &job.name));
    answer.insert("ModelArtifacts".to_owned(), json!({ "S3ModelArtifacts": artifacts }));
    answer.extend(summary(&job));
    let transition = |transition: &Transition| {
        let mut entry = json!({
            "Status": transition.status,
            "StartTime": seconds(transition.start),
            "StatusMessage": transition.message,
        });
        if let Some(end) = transition.end {
            entry["EndTime"] = seconds(end);
        }
        entry
    };
    let shown: Vec<Value> = transitions(history).iter().map(transition).collect();
    answer.insert("SecondaryStatusTransitions".to_owned(), Value::Array(shown));
    answer.insert("ProfilingStatus".to_owned(), json!("Disabled"));
    if job.status() == Phase::Failed
        && let Some(reason) = reason(&job)
    {
        answer.insert("FailureReason".to_owned(), json!(reason));
    }
    if let Some(start) = job.started_at {
        answer.insert("TrainingStartTime".to_owned(), seconds(start));
        if let Some(end) = job.ended_at {
            let trained = end.saturating_sub(start).div_ceil(1_000);
            let billable = Some(result.billable_seconds).filter(|seconds| *seconds > 0);
            answer.insert("TrainingTimeInSeconds".to_owned(), json!(trained.max(1)));
            let billable = billable.unwrap_or(trained).max(1);
            answer.insert("BillableTimeInSeconds".to_owned(), json!(billable));
        }
    }
    let metrics: Vec<Value> = result.final_metrics.iter().map(metric).collect();
    if !metrics.is_empty() {
        answer.insert("FinalMetricDataList".to_owned(), Value::Array(metrics));
    }
    answer
}

fn metric(metric: &super::super::jobs::FinalMetric) -> Value {
    json!({
        "MetricName": metric.name,
        "Value": metric.value,
        "Timestamp": seconds(metric.timestamp_millis),
    })
}

/// Where the model artifacts of a job are configured to be.
fn artifacts(request: &Map<String, Value>, name: &str) -> String {
    let output = request.get("OutputDataConfig").and_then(Value::as_object);
    let text = |member: &str| {
        output.and_then(|output| output.get(member)).and_then(Value::as_str).unwrap_or_default()
    };
    let folder = text("S3OutputPath").trim_end_matches('/');
    let file = if text("CompressionType") == "NONE" { "model/" } else { "model.tar.gz" };
    format!("{folder}/{name}/output/{file}")
}

/// A request with the defaults that Describe tells of.
fn completed(mut request: Map<String, Value>) -> Map<String, Value> {
    let mut default = |name: &str, value: Value| {
        request.entry(name).or_insert(value);
    };
    default("HyperParameters", json!({}));
    default("Environment", json!({}));
    default("StoppingCondition", json!({}));
    for flag in [
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
    ] {
        default(flag, json!(false));
    }
    let defaults = [
        ("StoppingCondition", "MaxRuntimeInSeconds", json!(DEFAULT_RUNTIME)),
        ("OutputDataConfig", "KmsKeyId", json!("")),
        ("OutputDataConfig", "CompressionType", json!("GZIP")),
        ("AlgorithmSpecification", "EnableSageMakerMetricsTimeSeries", json!(false)),
        ("CheckpointConfig", "LocalPath", json!("/opt/ml/checkpoints")),
    ];
    for (part, member, value) in defaults {
        if let Some(part) = request.get_mut(part).and_then(Value::as_object_mut) {
            part.entry(member).or_insert(value);
        }
    }
    let channels = request.get_mut("InputDataConfig").and_then(Value::as_array_mut);
    for channel in channels.into_iter().flatten().filter_map(Value::as_object_mut) {
        channel.entry("CompressionType").or_insert(json!("None"));
        channel.entry("RecordWrapperType").or_insert(json!("None"));
        let source =
            channel.get_mut("DataSource").and_then(|source| source.get_mut("S3DataSource"));
        if let Some(source) = source.and_then(Value::as_object_mut) {
            source.entry("S3DataDistributionType").or_insert(json!("FullyReplicated"));
        }
    }
    request
}

/// How a job stands, in the members that Describe and List share.
pub(crate) fn summary(job: &Job) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    add("TrainingJobName", json!(job.name));
    add("TrainingJobArn", json!(job.arn));
    add("CreationTime", seconds(job.created_at));
    add("LastModifiedTime", seconds(job.modified_at));
    add("TrainingJobStatus", json!(status_of(job)));
    add("SecondaryStatus", json!(progress::now(job)));
    if let Some(ended) = job.ended_at {
        add("TrainingEndTime", seconds(ended));
    }
    members
}
