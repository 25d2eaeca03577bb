//! Service jobs: training jobs that Batch has SageMaker run.

use bessemer_aws_wire::{Request, service};
use bessemer_domain::{BatchStatus, JobKind, StateName};
use bessemer_jobs::JobsError;
use bessemer_store::{BatchServiceJob, Job, StoreError};
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    error::Error,
    page::page,
    queues,
    resource::{check_name, tag_map, tags, text},
    submit::new_id,
};
use crate::{caller::Caller, platform::Platform, sagemaker};

/// `SubmitServiceJob`. Its training job is made as by `CreateTrainingJob`; a call that is made again,
/// because nothing was answered, makes what is missing.
pub(super) async fn submit(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let name = text(input, "jobName");
    check_name(name)?;
    for member in ["quotaShareName", "preemptionConfiguration"] {
        if input.get(member).is_some() {
            return Err(Error::unsupported(&format!("A service job with `{member}`")));
        }
    }
    let queue = queues::get(platform, text(input, "jobQueue")).await?;
    if queue.text("jobQueueType") != "SAGEMAKER_TRAINING" {
        return Err(Error::client("The job queue takes no service jobs"));
    }
    if queue.text("state") != "ENABLED" {
        return Err(Error::Client(format!("JobQueue {} is not in ENABLED state", queue.name)));
    }
    let payload = payload(input)?;
    let training_job = text(&payload, "TrainingJobName").to_owned();
    let id = new_id();
    let job = BatchServiceJob {
        arn: caller.arn("batch", &format!("service-job/{id}")),
        id,
        name: name.to_owned(),
        queue: queue.arn,
        training_job,
        document: input.to_string(),
        reason: None,
        created_at: platform.clock.now_millis(),
    };
    let batch = platform.store.batch();
    let kept = match batch.create_service_job(job.clone(), tags(input.get("tags"))).await {
        Ok(()) => job,
        Err(StoreError::AlreadyExists { .. }) => made_before(platform, &job).await?,
        Err(error) => return Err(error.into()),
    };
    if training(platform, &kept).await?.is_none()
        && let Err(error) = create_training_job(platform, caller, &payload).await
    {
        batch.delete_service_job(&kept.arn).await?;
        return Err(error);
    }
    Ok(json!({ "jobArn": kept.arn, "jobName": kept.name, "jobId": kept.id }))
}

/// The job that the same call made before.
async fn made_before(platform: &Platform, job: &BatchServiceJob) -> Result<BatchServiceJob, Error> {
    let token = |job: &BatchServiceJob| -> Option<String> {
        let document: Value = serde_json::from_str(&job.document).ok()?;
        document["clientToken"].as_str().map(str::to_owned)
    };
    let all = platform.store.batch().service_jobs(&job.queue).await?;
    let same = all.into_iter().find(|other| {
        other.training_job == job.training_job && token(job).is_some() && token(other) == token(job)
    });
    same.ok_or_else(|| Error::Client(format!("A training job {} exists already", job.training_job)))
}

/// The input of `CreateTrainingJob` that a call holds, with what the call itself says of retries and
/// times.
fn payload(input: &Value) -> Result<Value, Error> {
    let text = text(input, "serviceRequestPayload");
    let parsed: Result<Map<String, Value>, _> = serde_json::from_str(text);
    let mut payload = parsed
        .map_err(|error| Error::Client(format!("serviceRequestPayload is not valid: {error}")))?;
    if let Some(attempts) = input["retryStrategy"]["attempts"].as_u64().filter(|given| *given > 1) {
        payload.entry("RetryStrategy").or_insert(json!({ "MaximumRetryAttempts": attempts - 1 }));
    }
    if let Some(seconds) = input["timeoutConfig"]["attemptDurationSeconds"].as_u64() {
        let condition = payload.entry("StoppingCondition").or_insert(json!({}));
        let known = condition["MaxRuntimeInSeconds"].as_u64().unwrap_or(u64::MAX);
        condition["MaxRuntimeInSeconds"] = json!(known.min(seconds));
    }
    Ok(Value::Object(payload))
}

async fn create_training_job(
    platform: &Platform,
    caller: &Caller,
    payload: &Value,
) -> Result<(), Error> {
    let refused = |error: bessemer_aws_wire::ServiceError| {
        let message = error.message.unwrap_or_default();
        match error.status {
            ..500 => Error::Client(format!("{}: {message}", error.code)),
            _ => Error::Unavailable(message),
        }
    };
    let Some(service) = service("sagemaker") else {
        return Err(Error::Internal("the model of SageMaker is missing".into()));
    };
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-target", HeaderValue::from_static("SageMaker.CreateTrainingJob"));
    let request =
        Request { method: &Method::POST, path: "/", query: "", headers: &headers, authority: None };
    let body = payload.to_string();
    let call = service.decode(&request, body.as_bytes()).map_err(refused)?;
    sagemaker::call(platform, caller, &call).await.map(drop).map_err(refused)
}

/// The training job of a service job, if it is there.
async fn training(platform: &Platform, job: &BatchServiceJob) -> Result<Option<Job>, Error> {
    match platform.jobs.get(JobKind::Training, &job.training_job).await {
        Ok(found) => Ok(Some(found)),
        Err(JobsError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceJobId {
    job_id: String,
    reason: Option<String>,
}

async fn find(platform: &Platform, id: &str) -> Result<BatchServiceJob, Error> {
    let id = id.rsplit_once(":service-job/").map_or(id, |(_, id)| id);
    let found = platform.store.batch().service_job(id).await?;
    found.ok_or_else(|| Error::Client(format!("Service job {id} does not exist")))
}

/// `DescribeServiceJob`.
pub(super) async fn describe(platform: &Platform, input: ServiceJobId) -> Result<Value, Error> {
    let job = find(platform, &input.job_id).await?;
    let training = training(platform, &job).await?;
    let mut detail = summary(&job, training.as_ref());
    let document: Map<String, Value> = serde_json::from_str(&job.document)?;
    let given = [
        "serviceRequestPayload",
        "retryStrategy",
        "schedulingPriority",
        "shareIdentifier",
        "timeoutConfig",
    ];
    for member in given {
        if let Some(value) = document.get(member) {
            detail.insert(member.to_owned(), value.clone());
        }
    }
    let attempts = training.iter().filter(|training| training.ended_at.is_some()).map(|training| {
        json!({
            "serviceResourceId": resource(training),
            "startedAt": training.started_at,
            "stoppedAt": training.ended_at,
            "statusReason": detail.get("statusReason"),
        })
    });
    let attempts: Vec<Value> = attempts.collect();
    detail.insert("attempts".to_owned(), json!(attempts));
    detail.insert("jobQueue".to_owned(), json!(job.queue));
    let tags = platform.store.tags().list(&job.arn).await?;
    detail.insert("tags".to_owned(), tag_map(tags));
    Ok(Value::Object(detail))
}

fn resource(training: &Job) -> Value {
    json!({ "name": "TrainingJobArn", "value": training.arn })
}

/// What lists tell of a job.
fn summary(job: &BatchServiceJob, training: Option<&Job>) -> Map<String, Value> {
    let status = status(training);
    let is_failed = status == BatchStatus::Failed;
    let failure = training.and_then(|training| training.lifecycle.state.failure());
    let why = failure.map(|(_, message)| message.to_owned());
    let reason = job.reason.clone().or(why).filter(|_| is_failed);
    let mut summary = Map::new();
    for (name, value) in [
        ("jobArn", json!(job.arn)),
        ("jobId", json!(job.id)),
        ("jobName", json!(job.name)),
        ("serviceJobType", json!("SAGEMAKER_TRAINING")),
        ("status", json!(status.as_str())),
        ("statusReason", json!(reason)),
        ("createdAt", json!(job.created_at)),
        ("startedAt", json!(training.and_then(|training| training.started_at))),
        ("stoppedAt", json!(training.and_then(|training| training.ended_at))),
        ("isTerminated", json!(is_failed && job.reason.is_some())),
    ] {
        if !value.is_null() {
            summary.insert(name.to_owned(), value);
        }
    }
    if let Some(training) = training {
        let latest = json!({ "serviceResourceId": resource(training) });
        summary.insert("latestAttempt".to_owned(), latest);
    }
    summary
}

fn status(training: Option<&Job>) -> BatchStatus {
    let state: Option<StateName> = training.map(|training| training.lifecycle.state.name());
    state.map_or(BatchStatus::Submitted, BatchStatus::of)
}

/// `ListServiceJobs`, of those that run if no status is given.
pub(super) async fn list(platform: &Platform, input: &Value) -> Result<Value, Error> {
    if input["filters"].as_array().is_some_and(|filters| !filters.is_empty()) {
        return Err(Error::unsupported("A list of service jobs with `filters`"));
    }
    let wanted = input["jobStatus"].as_str().unwrap_or(BatchStatus::Running.as_str());
    let queue = queues::get(platform, text(input, "jobQueue")).await?;
    let mut found = Vec::new();
    for job in platform.store.batch().service_jobs(&queue.arn).await? {
        let training = training(platform, &job).await?;
        if status(training.as_ref()).as_str() == wanted {
            found.push(Value::Object(summary(&job, training.as_ref())));
        }
    }
    let (page, next) = page(found, input)?;
    Ok(json!({ "jobSummaryList": page, "nextToken": next }))
}

/// `TerminateServiceJob`; one that has ended is left as it is.
pub(super) async fn terminate(platform: &Platform, input: ServiceJobId) -> Result<Value, Error> {
    let job = find(platform, &input.job_id).await?;
    let is_open =
        training(platform, &job).await?.is_some_and(|training| training.ended_at.is_none());
    if is_open {
        let reason = input.reason.unwrap_or_default();
        platform.store.batch().end_service_job(&job.id, &reason).await?;
        match platform.jobs.stop(JobKind::Training, &job.training_job).await {
            Ok(_) | Err(JobsError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_takes_the_calls_retries_and_times() {
        let input = json!({
            "serviceRequestPayload": r#"{"TrainingJobName": "a", "StoppingCondition": {"MaxRuntimeInSeconds": 90}}"#,
            "retryStrategy": { "attempts": 3 },
            "timeoutConfig": { "attemptDurationSeconds": 60 },
        });
        let expected = json!({
            "TrainingJobName": "a",
            "StoppingCondition": { "MaxRuntimeInSeconds": 60 },
            "RetryStrategy": { "MaximumRetryAttempts": 2 },
        });
        assert_eq!(payload(&input).unwrap(), expected);
        assert!(payload(&json!({ "serviceRequestPayload": "no" })).is_err());
    }
}
