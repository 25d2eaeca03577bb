//! `ListTransformJobs`.

use bessemer_domain::JobKind;
use bessemer_store::{JobQuery, JobSort};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{error::Error, times::millis},
    describe::{phase, summary},
};
use crate::platform::Platform;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListTransformJobs {
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
}

pub(crate) async fn list(platform: &Platform, input: ListTransformJobs) -> Result<Value, Error> {
    let query = JobQuery {
        kind: Some(JobKind::Transform),
        name_contains: input.name_contains,
        phase: input.status_equals.as_deref().and_then(phase),
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
        limit: input.max_results.unwrap_or(10),
        page: input.next_token,
        ..JobQuery::default()
    };
    let page = platform.jobs.list(&query).await?;
    let jobs: Vec<Value> = page.jobs.iter().map(|job| Value::Object(summary(job))).collect();
    Ok(json!({ "TransformJobSummaries": jobs, "NextToken": page.next }))
}
