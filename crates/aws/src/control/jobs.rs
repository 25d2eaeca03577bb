//! Jobs, as the command line shows them. Instants are milliseconds since 1970.

use std::time::Duration;

use bessemer_aws_wire::ServiceError;
use bessemer_domain::{JobKind, Phase};
use bessemer_jobs::{Figures, GroupBy, StatsQuery, Trend};
use bessemer_store::{AttemptRecord, HistoryEntry, Job, JobQuery, JobSort};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failed;
use crate::platform::Platform;

/// How long a wait lasts at most; the caller asks again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Names a job. Without a kind, the kinds are tried in turn.
#[derive(Deserialize)]
pub(super) struct Which {
    pub(super) name: String,
    pub(super) kind: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct List {
    kind: Option<String>,
    phase: Option<String>,
    name_contains: Option<String>,
    limit: u32,
    page: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Statistics {
    kind: Option<String>,
    since: u64,
    tag: Option<String>,
    #[serde(default)]
    by_day: bool,
}

/// A word of a closed set.
fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    text: Option<&str>,
) -> Result<Option<T>, ServiceError> {
    let wrong = |error: T::Err| ServiceError::new("ValidationException", error.to_string());
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// The job that is named.
pub(super) async fn find(platform: &Platform, which: &Which) -> Result<Job, ServiceError> {
    let kind = parse::<JobKind>(which.kind.as_deref())?;
    let mut missing = None;
    for kind in kind.map_or(JobKind::ALL.to_vec(), |kind| vec![kind]) {
        match platform.jobs.get(kind, &which.name).await {
            Err(error @ bessemer_jobs::JobsError::NotFound { .. }) => missing = Some(error),
            found => return found.map_err(|error| failed(&error)),
        }
    }
    let message = format!("there is no job `{}`", which.name);
    Err(missing.filter(|_| kind.is_some()).map_or_else(
        || ServiceError::new("ResourceNotFound", message).with_status(404),
        |error| failed(&error),
    ))
}

pub(super) async fn list(platform: &Platform, input: List) -> Result<Value, ServiceError> {
    let query = JobQuery {
        kind: parse(input.kind.as_deref())?,
        phase: parse::<Phase>(input.phase.as_deref())?,
        name_contains: input.name_contains,
        sort: JobSort::Created,
        descending: true,
        limit: input.limit.clamp(1, 1000),
        page: input.page,
        ..JobQuery::default()
    };
    let page = platform.jobs.list(&query).await.map_err(|error| failed(&error))?;
    let jobs: Vec<Value> = page.jobs.iter().map(shown).collect();
    Ok(json!({ "jobs": jobs, "next": page.next }))
}

pub(super) async fn describe(platform: &Platform, which: Which) -> Result<Value, ServiceError> {
    let job = find(platform, &which).await?;
    let documents = platform.jobs.documents(&job).await.map_err(|error| failed(&error))?;
    let attempts = platform.jobs.attempts(&job).await.map_err(|error| failed(&error))?;
    let history = platform.jobs.history(&job).await.map_err(|error| failed(&error))?;
    let mut answer = shown(&job);
    answer["request"] = document(&documents.request);
    answer["result"] = documents.result.as_deref().map_or(Value::Null, document);
    answer["attempts"] = attempts.iter().map(attempt).collect();
    answer["history"] = history.iter().map(entry).collect();
    Ok(answer)
}

pub(super) async fn explain(platform: &Platform, which: Which) -> Result<Value, ServiceError> {
    let job = find(platform, &which).await?;
    let why = platform.jobs.why(job.kind, &job.name).await.map_err(|error| failed(&error))?;
    let mut answer = shown(&job);
    answer["why"] = json!(why);
    Ok(answer)
}

/// The job when it has ended, or as it is when the caller has waited long enough.
pub(super) async fn wait(platform: &Platform, which: Which) -> Result<Value, ServiceError> {
    let job = find(platform, &which).await?;
    let ended = platform.jobs.wait(job.kind, &job.name);
    let job = match tokio::time::timeout(PATIENCE, ended).await {
        Ok(ended) => ended.map_err(|error| failed(&error))?,
        Err(_) => find(platform, &which).await?,
    };
    Ok(shown(&job))
}

pub(super) async fn stop(platform: &Platform, which: Which) -> Result<Value, ServiceError> {
    let job = find(platform, &which).await?;
    let job = platform.jobs.stop(job.kind, &job.name).await.map_err(|error| failed(&error))?;
    Ok(shown(&job))
}

pub(super) async fn retry(platform: &Platform, which: Which) -> Result<Value, ServiceError> {
    let job = find(platform, &which).await?;
    let job = platform.jobs.retry(job.kind, &job.name).await.map_err(|error| failed(&error))?;
    Ok(shown(&job))
}

pub(super) async fn statistics(
    platform: &Platform,
    input: Statistics,
) -> Result<Value, ServiceError> {
    let group = match (input.tag, input.by_day) {
        (Some(tag), _) => GroupBy::Tag(tag),
        (None, true) => GroupBy::Day,
        (None, false) => GroupBy::Name,
    };
    let query = StatsQuery { kind: parse(input.kind.as_deref())?, since: input.since, group };
    let rows = platform.jobs.trends(&query).await.map_err(|error| failed(&error))?;
    let rows: Vec<Value> = rows.iter().map(trend).collect();
    Ok(json!({ "groups": rows }))
}

fn shown(job: &Job) -> Value {
    let state = &job.lifecycle.state;
    let failure = state.failure();
    json!({
        "kind": job.kind.as_str(),
        "name": job.name,
        "arn": job.arn,
        "state": state.name().as_str(),
        "phase": state.name().phase().as_str(),
        "is_final": state.name().is_final(),
        "stage": job.stage,
        "class": failure.map(|(class, _)| class.as_str()),
        "message": failure.map(|(_, message)| message),
        "attempts_made": job.lifecycle.number,
        "cores": job.cores,
        "memory": job.lifecycle.memory,
        "note": job.note,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    })
}

fn attempt(attempt: &AttemptRecord) -> Value {
    json!({
        "number": attempt.number,
        "created_at": attempt.created_at,
        "launched_at": attempt.launched_at,
        "ended_at": attempt.ended_at,
        "class": attempt.class.map(bessemer_domain::FailureClass::as_str),
        "message": attempt.message,
    })
}

fn entry(entry: &HistoryEntry) -> Value {
    json!({
        "at": entry.at,
        "event": entry.event,
        "state": entry.state.as_str(),
        "attempt": entry.number,
        "message": entry.message,
    })
}

fn trend(trend: &Trend) -> Value {
    let mut row = figures(&trend.group, &trend.now);
    row["before"] = figures(&trend.group, &trend.before);
    row["days"] = trend.days.iter().map(|(day, of)| figures(day, of)).collect();
    row
}

fn figures(group: &str, figures: &Figures) -> Value {
    let classes = figures.classes.iter().map(|(class, n)| (class.as_str().to_owned(), json!(n)));
    json!({
        "group": group,
        "jobs": figures.jobs,
        "succeeded": figures.succeeded,
        "failed": figures.failed,
        "stopped": figures.stopped,
        "retries": figures.retries,
        "success_rate": figures.success_rate(),
        "classes": Value::Object(classes.collect()),
        "queued_median_millis": figures.queued_millis.median,
        "run_median_millis": figures.run_millis.median,
        "run_ninety_millis": figures.run_millis.ninety,
    })
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}
