//! Message move tasks.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Site, error::Error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartMessageMoveTask {
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<i64>,
}

pub(super) async fn start(site: &Site<'_>, input: &StartMessageMoveTask) -> Result<Value, Error> {
    let destination = input.destination_arn.as_deref();
    let rate = input.max_number_of_messages_per_second;
    let handle = site.queues.start_move(&input.source_arn, destination, rate).await?;
    Ok(json!({ "TaskHandle": handle }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CancelMessageMoveTask {
    task_handle: String,
}

pub(super) async fn cancel(site: &Site<'_>, input: &CancelMessageMoveTask) -> Result<Value, Error> {
    let moved = site.queues.cancel_move(&input.task_handle).await?;
    Ok(json!({ "ApproximateNumberOfMessagesMoved": moved }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListMessageMoveTasks {
    source_arn: String,
    max_results: Option<i64>,
}

pub(super) async fn list(site: &Site<'_>, input: &ListMessageMoveTasks) -> Result<Value, Error> {
    let tasks = site.queues.moves(&input.source_arn, input.max_results).await?;
    let shown = tasks.into_iter().map(|(task, handle)| {
        json!({
            "TaskHandle": handle,
            "Status": task.status,
            "SourceArn": task.source_arn,
            "DestinationArn": task.destination,
            "MaxNumberOfMessagesPerSecond": task.rate,
            "ApproximateNumberOfMessagesMoved": task.moved,
            "ApproximateNumberOfMessagesToMove": task.to_move,
            "FailureReason": task.failure,
            "StartedTimestamp": task.started_at,
        })
    });
    Ok(json!({ "Results": shown.collect::<Vec<Value>>() }))
}
