//! `DescribeHyperParameterTuningJob`.

use bessemer_store::TuningRecord;
use serde_json::{Value, json};

use super::{
    super::{error::Error, jobs::status_of, times::seconds},
    TuningJobName,
    children::{self, Child, best, ranked},
    find,
    request::Search,
    request_of,
};
use crate::platform::Platform;

/// Training jobs that a pipeline's step can refer to.
const TOP: usize = 50;

/// A tuning job with all that is known of it.
pub(super) struct Found {
    pub(super) record: TuningRecord,
    pub(super) request: Value,
    pub(super) search: Search,
    pub(super) children: Vec<Child>,
}

/// All that is known of a tuning job.
pub(super) async fn whole(platform: &Platform, record: TuningRecord) -> Result<Found, Error> {
    let request = request_of(&record)?;
    let search = Search::of(&request).map_err(|why| Error::Internal(why.into()))?;
    let children = children::all(platform, &record, &search).await?;
    Ok(Found { record, request, search, children })
}

pub(super) async fn describe(platform: &Platform, input: TuningJobName) -> Result<Value, Error> {
    let record = find(platform, &input.name).await?;
    Ok(described(whole(platform, record).await?))
}

/// A tuning job with its best training jobs, the best first: what a pipeline's step has.
pub(in super::super) async fn with_training_jobs(
    platform: &Platform,
    record: TuningRecord,
) -> Result<Value, Error> {
    let found = whole(platform, record).await?;
    let top = ranked(&found.children, &found.search).into_iter().take(TOP);
    let top: Value = top.map(|child| child.summary(&found.search)).collect();
    let mut answer = described(found);
    answer["TrainingJobSummaries"] = top;
    Ok(answer)
}

fn described(found: Found) -> Value {
    let Found { record, mut request, search, children } = found;
    let mut answer = json!({
        "HyperParameterTuningJobName": record.name,
        "HyperParameterTuningJobArn": record.arn,
        "HyperParameterTuningJobConfig": request["HyperParameterTuningJobConfig"].take(),
        "TrainingJobDefinition": request["TrainingJobDefinition"].take(),
        "HyperParameterTuningJobStatus": record.status,
        "CreationTime": seconds(record.created_at),
        "LastModifiedTime": seconds(record.modified_at),
        "TrainingJobStatusCounters": status_counters(&children),
        "ObjectiveStatusCounters": objective_counters(&children),
    });
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            answer[name] = value;
        }
    };
    add("HyperParameterTuningEndTime", record.ended_at.map(seconds));
    add("FailureReason", record.failure.map(Value::from));
    add("BestTrainingJob", best(&children, &search).map(|child| child.summary(&search)));
    answer
}

/// How many training jobs stand how. Whatever can be tried again is tried again by the training job.
pub(super) fn status_counters(children: &[Child]) -> Value {
    let count = |statuses: &[&str]| {
        children.iter().filter(|child| statuses.contains(&status_of(&child.job))).count()
    };
    json!({
        "Completed": count(&["Completed"]),
        "InProgress": count(&["InProgress", "Stopping"]),
        "RetryableError": 0,
        "NonRetryableError": count(&["Failed"]),
        "Stopped": count(&["Stopped"]),
    })
}

/// How many training jobs have a value.
pub(super) fn objective_counters(children: &[Child]) -> Value {
    let count =
        |status: &str| children.iter().filter(|child| child.objective_status() == status).count();
    json!({
        "Succeeded": count("Succeeded"),
        "Pending": count("Pending"),
        "Failed": count("Failed"),
    })
}
