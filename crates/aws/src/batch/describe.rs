//! `DescribeJobs`.

use bessemer_domain::{Asked, BatchExit, BatchStatus, FailureClass};
use bessemer_store::{AttemptRecord, BatchJob};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    error::Error,
    request::{BatchRequest, task},
    resource::tag_map,
    retry::exit_of,
};
use crate::platform::Platform;

/// Jobs of a call at most.
const MOST: usize = 100;

#[derive(Deserialize)]
pub(super) struct DescribeJobs {
    jobs: Vec<String>,
}

/// Those that are not there are left out, as AWS has it.
pub(super) async fn describe(platform: &Platform, input: DescribeJobs) -> Result<Value, Error> {
    if input.jobs.len() > MOST {
        return Err(Error::Client(format!("jobs must have {MOST} entries at most")));
    }
    let mut details = Vec::new();
    for id in &input.jobs {
        // An ARN is as good.
        let id = id.rsplit_once(":job/").map_or(id.as_str(), |(_, id)| id);
        if let Some(job) = platform.store.batch().get(id).await? {
            details.push(Value::Object(detail(platform, &job).await?));
        }
    }
    Ok(json!({ "jobs": details }))
}

async fn detail(platform: &Platform, job: &BatchJob) -> Result<Map<String, Value>, Error> {
    let jobs = platform.store.jobs();
    let (document, attempts) = match (&job.array, job.job) {
        (Some(array), _) => (array.document.clone(), Vec::new()),
        (None, Some(id)) => (jobs.documents(id).await?.request, jobs.attempts(id).await?),
        (None, None) => return Err(Error::Internal("a job without a row".into())),
    };
    let request: BatchRequest = serde_json::from_str(&document)?;
    let tags = platform.store.tags().list(&job.arn).await?;
    let mut detail = view(job, &request, &attempts);
    detail.insert("tags".to_owned(), tag_map(tags));
    Ok(detail)
}

/// A job as it is described.
fn view(job: &BatchJob, request: &BatchRequest, attempts: &[AttemptRecord]) -> Map<String, Value> {
    let mut detail = request.detail.clone();
    let ended: Vec<Value> = attempts
        .iter()
        .filter(|attempt| attempt.ended_at.is_some())
        .map(|attempt| attempt_view(job, request, attempt))
        .collect();
    let mut container = request.container.clone();
    if let Some(latest) = attempts.last() {
        if latest.launched_at.is_some() {
            let stream = request.log_stream(&job.id, latest.number);
            container.insert("logStreamName".to_owned(), json!(stream));
            container.insert("taskArn".to_owned(), json!(task_arn(job, latest.number)));
        }
        if let Some(exit) = latest.ended_at.and_then(|_| exit(latest)) {
            set(&mut container, "exitCode", json!(exit.exit_code));
            set(&mut container, "reason", json!(exit.reason));
        }
    }
    for (name, value) in [
        ("jobId", json!(job.id)),
        ("jobArn", json!(job.arn)),
        ("status", json!(job.status.as_str())),
        ("statusReason", json!(status_reason(job, attempts.last().and_then(exit).as_ref()))),
        ("createdAt", json!(job.created_at)),
        ("startedAt", json!(job.started_at)),
        ("stoppedAt", json!(job.ended_at)),
        ("attempts", json!(ended)),
        ("container", Value::Object(container)),
        ("arrayProperties", array(job)),
        ("isCancelled", json!(is_ended_by(job, Asked::Cancel))),
        ("isTerminated", json!(is_ended_by(job, Asked::Terminate))),
    ] {
        set(&mut detail, name, value);
    }
    detail
}

fn set(members: &mut Map<String, Value>, name: &str, value: Value) {
    if !value.is_null() {
        members.insert(name.to_owned(), value);
    }
}

/// Whether a job came to its end because somebody asked for it so.
pub(super) fn is_ended_by(job: &BatchJob, asked: Asked) -> bool {
    job.status == BatchStatus::Failed && job.asked == Some(asked)
}

/// Why a job stands where it does, given how its latest attempt ended.
pub(super) fn status_reason(job: &BatchJob, exit: Option<&BatchExit>) -> Option<String> {
    match (job.status, &job.reason, exit) {
        (BatchStatus::Failed, Some(reason), _) => Some(reason.clone()),
        (BatchStatus::Failed, None, None) if job.array.is_some() => {
            Some("Array Child Job failed".to_owned())
        }
        (status, _, Some(exit)) if status.is_final() => Some(exit.status_reason.clone()),
        _ => None,
    }
}

/// An array's children by status, or a child's place.
pub(super) fn array(job: &BatchJob) -> Value {
    if let Some((_, place)) = &job.parent {
        return json!({ "index": place });
    }
    let Some(array) = &job.array else { return Value::Null };
    let counts = BatchStatus::ALL.map(|status| (status.as_str(), json!(array.counts.of(status))));
    let summary: Map<String, Value> =
        counts.into_iter().map(|(status, count)| (status.to_owned(), count)).collect();
    json!({
        "size": array.size,
        "statusSummary": summary,
        "statusSummaryLastUpdatedAt": array.changed_at,
    })
}

fn attempt_view(job: &BatchJob, request: &BatchRequest, attempt: &AttemptRecord) -> Value {
    let exit = exit(attempt).unwrap_or_default();
    let mut container = Map::new();
    set(&mut container, "exitCode", json!(exit.exit_code));
    set(&mut container, "reason", json!(exit.reason));
    if attempt.launched_at.is_some() {
        let stream = request.log_stream(&job.id, attempt.number);
        container.insert("logStreamName".to_owned(), json!(stream));
        container.insert("taskArn".to_owned(), json!(task_arn(job, attempt.number)));
    }
    let mut view = Map::new();
    set(&mut view, "startedAt", json!(attempt.launched_at));
    set(&mut view, "stoppedAt", json!(attempt.ended_at));
    view.insert("statusReason".to_owned(), json!(exit.status_reason));
    view.insert("container".to_owned(), Value::Object(container));
    Value::Object(view)
}

fn task_arn(job: &BatchJob, attempt: u32) -> String {
    let account = job.arn.split(":job/").next().unwrap_or_default();
    let account = account.replacen(":batch:", ":ecs:", 1);
    format!("{account}:task/bessemer/{}", task(&job.id, attempt))
}

/// How an attempt ended: what the job core knows of time limits and losses goes before what the
/// attempt says.
fn exit(attempt: &AttemptRecord) -> Option<BatchExit> {
    let own: Option<BatchExit> =
        attempt.result.as_deref().and_then(|result| serde_json::from_str(result).ok());
    match (own, attempt.class) {
        (own, Some(class @ FailureClass::Timeout)) => {
            let told = exit_of(class, attempt.message.as_deref().unwrap_or_default());
            Some(BatchExit { status_reason: told.status_reason, ..own.unwrap_or_default() })
        }
        (Some(own), _) => Some(own),
        (None, Some(class)) => Some(exit_of(class, attempt.message.as_deref().unwrap_or_default())),
        (None, None) => None,
    }
}
