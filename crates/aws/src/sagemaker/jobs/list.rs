//! `ListTrainingJobs`, `ListProcessingJobs`, `ListTransformJobs`.

use bessemer_domain::JobKind;
use bessemer_store::{Job, JobQuery, JobSort};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{error::Error, processing, times::millis, training, transform},
    find::result,
    phase, words,
};
use crate::platform::Platform;

/// Jobs on a page that asks for no number.
const PAGE: u32 = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in super::super) struct ListJobs {
    creation_time_after: Option<f64>,
    creation_time_before: Option<f64>,
    last_modified_time_after: Option<f64>,
    last_modified_time_before: Option<f64>,
    name_contains: Option<String>,
    status_equals: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
    max_results: Option<u32>,
    warm_pool_status_equals: Option<String>,
    training_plan_arn_equals: Option<String>,
}

/// A page of jobs of a kind.
pub(in super::super) async fn list(
    platform: &Platform,
    kind: JobKind,
    input: ListJobs,
) -> Result<Value, Error> {
    let member = words(kind).member("JobSummaries");
    let status = input.status_equals.as_deref().map(phase);
    // No job of ours has a warm pool, a training plan, or any other status.
    let is_none = input.warm_pool_status_equals.is_some()
        || input.training_plan_arn_equals.is_some()
        || status == Some(None);
    if is_none {
        return Ok(json!({ member: [] }));
    }
    let query = JobQuery {
        kind: Some(kind),
        name_contains: input.name_contains,
        status: status.flatten(),
        created_after: input.creation_time_after.map(millis),
        created_before: input.creation_time_before.map(millis),
        modified_after: input.last_modified_time_after.map(millis),
        modified_before: input.last_modified_time_before.map(millis),
        sort: match input.sort_by.as_deref() {
            Some("Name") => JobSort::Name,
            Some("Status") => JobSort::Status,
            _ => JobSort::Created,
        },
        descending: input.sort_order.as_deref() != Some("Ascending"),
        limit: input.max_results.unwrap_or(PAGE),
        page: input.next_token,
        ..JobQuery::default()
    };
    let page = platform.jobs.list(&query).await?;
    let mut summaries = Vec::with_capacity(page.jobs.len());
    for job in &page.jobs {
        summaries.push(Value::Object(summary(platform, job).await?));
    }
    Ok(json!({ member: summaries, "NextToken": page.next }))
}

async fn summary(platform: &Platform, job: &Job) -> Result<Map<String, Value>, Error> {
    match job.kind {
        JobKind::Transform => Ok(transform::summary(job)),
        JobKind::Training => Ok(training::summary(job)),
        JobKind::Processing => {
            let documents = platform.jobs.documents(job).await?;
            let result = result(documents.result.as_deref())?;
            Ok(processing::summary(job, &result))
        }
        // Batch lists its jobs itself.
        JobKind::Batch => Ok(Map::new()),
    }
}
