//! `ListHyperParameterTuningJobs`, `ListTrainingJobsForHyperParameterTuningJob`.

use std::cmp::Ordering;

use bessemer_store::{TuningQuery, TuningSort};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        error::Error,
        jobs::status_of,
        times::{millis, seconds},
    },
    children::Child,
    describe::{objective_counters, status_counters, whole},
    find,
};
use crate::platform::Platform;

/// Jobs on a page that asks for no number.
const PAGE: u32 = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTuningJobs {
    next_token: Option<String>,
    max_results: Option<u32>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    name_contains: Option<String>,
    creation_time_after: Option<f64>,
    creation_time_before: Option<f64>,
    last_modified_time_after: Option<f64>,
    last_modified_time_before: Option<f64>,
    status_equals: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTrainingJobs {
    hyper_parameter_tuning_job_name: String,
    next_token: Option<String>,
    max_results: Option<usize>,
    status_equals: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
}

pub(super) async fn list(platform: &Platform, input: ListTuningJobs) -> Result<Value, Error> {
    let query = TuningQuery {
        name_contains: input.name_contains,
        status: input.status_equals,
        created: (input.creation_time_after.map(millis), input.creation_time_before.map(millis)),
        modified: (
            input.last_modified_time_after.map(millis),
            input.last_modified_time_before.map(millis),
        ),
        sort: match input.sort_by.as_deref() {
            Some("Name") => TuningSort::Name,
            Some("Status") => TuningSort::Status,
            _ => TuningSort::Created,
        },
        descending: input.sort_order.as_deref() != Some("Ascending"),
        limit: input.max_results.unwrap_or(PAGE),
        page: input.next_token,
    };
    let page = platform.store.tuning().list(&query).await?;
    let mut summaries = Vec::with_capacity(page.entries.len());
    for record in page.entries {
        let found = whole(platform, record).await?;
        let config = &found.request["HyperParameterTuningJobConfig"];
        let mut summary = json!({
            "HyperParameterTuningJobName": found.record.name,
            "HyperParameterTuningJobArn": found.record.arn,
            "HyperParameterTuningJobStatus": found.record.status,
            "Strategy": config["Strategy"],
            "CreationTime": seconds(found.record.created_at),
            "LastModifiedTime": seconds(found.record.modified_at),
            "TrainingJobStatusCounters": status_counters(&found.children),
            "ObjectiveStatusCounters": objective_counters(&found.children),
            "ResourceLimits": config["ResourceLimits"],
        });
        if let Some(ended) = found.record.ended_at {
            summary["HyperParameterTuningEndTime"] = seconds(ended);
        }
        summaries.push(summary);
    }
    Ok(json!({ "HyperParameterTuningJobSummaries": summaries, "NextToken": page.next }))
}

/// The pages go on by number.
pub(super) async fn training_jobs(
    platform: &Platform,
    input: ListTrainingJobs,
) -> Result<Value, Error> {
    let record = find(platform, &input.hyper_parameter_tuning_job_name).await?;
    let found = whole(platform, record).await?;
    let mut listed: Vec<&Child> = found.children.iter().collect();
    if let Some(status) = &input.status_equals {
        listed.retain(|child| status_of(&child.job) == status);
    }
    match input.sort_by.as_deref() {
        Some("CreationTime") => listed.sort_by_key(|child| (child.job.created_at, child.job.id)),
        Some("Status") => listed.sort_by_key(|child| status_of(&child.job)),
        Some("FinalObjectiveMetricValue") => {
            listed.retain(|child| child.value.is_some());
            listed.sort_by(|one, other| {
                one.value.partial_cmp(&other.value).unwrap_or(Ordering::Equal)
            });
        }
        // Their numbers are in their names.
        _ => {}
    }
    if input.sort_order.as_deref() == Some("Descending") {
        listed.reverse();
    }
    let skipped = match input.next_token {
        Some(token) => token.parse().map_err(|_| Error::PageToken)?,
        None => 0,
    };
    let most = input.max_results.unwrap_or(PAGE as usize).max(1);
    let next = (listed.len() > skipped + most).then(|| (skipped + most).to_string());
    let page = listed.into_iter().skip(skipped).take(most);
    let page: Value = page.map(|child| child.summary(&found.search)).collect();
    Ok(json!({ "TrainingJobSummaries": page, "NextToken": next }))
}
