//! `ListJobs`.

use bessemer_domain::{Asked, BatchExit, BatchStatus};
use bessemer_store::{BatchJob, BatchJobQuery};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    describe::{array, is_ended_by, status_reason},
    error::Error,
    page::limit,
    queues,
};
use crate::platform::Platform;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListJobs {
    job_queue: Option<String>,
    array_job_id: Option<String>,
    multi_node_job_id: Option<String>,
    job_status: Option<String>,
    max_results: Option<u64>,
    next_token: Option<String>,
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
pub(super) struct Filter {
    name: Option<String>,
    #[serde(default)]
    values: Vec<String>,
}

pub(super) async fn list(platform: &Platform, input: ListJobs) -> Result<Value, Error> {
    if input.multi_node_job_id.is_some() {
        return Err(Error::unsupported("A list of the nodes of a job (`multiNodeJobId`)"));
    }
    let mut query = BatchJobQuery {
        limit: limit(input.max_results),
        page: input.next_token,
        ..BatchJobQuery::default()
    };
    match (input.job_queue, input.array_job_id) {
        (Some(queue), None) => query.queue = queues::get(platform, &queue).await?.arn,
        (None, Some(parent)) => query.parent = Some(parent),
        _ => {
            return Err(Error::client(
                "Exactly one of jobQueue, arrayJobId and multiNodeJobId must be given",
            ));
        }
    }
    // A filter goes before the status; without either, those that run are meant.
    query.status = match (input.filters.is_empty(), input.job_status.as_deref()) {
        (false, _) => None,
        (true, status) => status.unwrap_or(BatchStatus::Running.as_str()).parse().ok(),
    };
    for filter in input.filters {
        add(&mut query, filter)?;
    }
    let page = platform.store.batch().list(&query).await?;
    let summaries: Vec<Value> = page.jobs.iter().map(summary).collect();
    Ok(json!({ "jobSummaryList": summaries, "nextToken": page.next }))
}

/// Adds a filter to a query.
fn add(query: &mut BatchJobQuery, Filter { name, values }: Filter) -> Result<(), Error> {
    let name = name.unwrap_or_default();
    if values.is_empty() {
        return Err(Error::Client(format!("The filter {name} has no values")));
    }
    let instant = || {
        let wrong = |_| Error::Client(format!("The filter {name} takes milliseconds since 1970"));
        values[0].parse::<u64>().map_err(wrong)
    };
    match name.as_str() {
        "BEFORE_CREATED_AT" => query.created_before = Some(instant()?),
        "AFTER_CREATED_AT" => query.created_after = Some(instant()?),
        "JOB_NAME" => query.names = values,
        "JOB_DEFINITION" => {
            // Of an ARN, what comes after its type.
            let plain = |value: String| match value.rsplit_once("job-definition/") {
                Some((_, name)) => name.to_owned(),
                None => value,
            };
            query.definitions = values.into_iter().map(plain).collect();
        }
        _ => return Err(Error::unsupported(&format!("The filter `{name}`"))),
    }
    Ok(())
}

fn summary(job: &BatchJob) -> Value {
    let exit: Option<BatchExit> =
        job.result.as_deref().and_then(|result| serde_json::from_str(result).ok());
    let mut summary = Map::new();
    let container = exit.as_ref().map(|exit| {
        let mut container = Map::new();
        if let Some(code) = exit.exit_code {
            container.insert("exitCode".to_owned(), json!(code));
        }
        if let Some(reason) = &exit.reason {
            container.insert("reason".to_owned(), json!(reason));
        }
        container
    });
    let account = job.arn.split(":job/").next().unwrap_or_default();
    for (name, value) in [
        ("jobId", json!(job.id)),
        ("jobArn", json!(job.arn)),
        ("jobName", json!(job.name)),
        ("jobDefinition", json!(format!("{account}:job-definition/{}", job.definition))),
        ("status", json!(job.status.as_str())),
        ("statusReason", json!(status_reason(job, exit.as_ref()))),
        ("createdAt", json!(job.created_at)),
        ("startedAt", json!(job.started_at)),
        ("stoppedAt", json!(job.ended_at)),
        ("container", json!(container)),
        ("arrayProperties", array(job)),
        ("isCancelled", json!(is_ended_by(job, Asked::Cancel))),
        ("isTerminated", json!(is_ended_by(job, Asked::Terminate))),
    ] {
        if !value.is_null() {
            summary.insert(name.to_owned(), value);
        }
    }
    Value::Object(summary)
}
