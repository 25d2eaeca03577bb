//! Message move tasks: dead letters back to where they came from, or to another queue.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_store::{MoveRecord, MoveStep, NewMove, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{error::QueueError, messages::message_id, queues::Queues};

/// Messages that one write moves, at most.
const CHUNK: u32 = 100;
/// How long to wait when the database can't be written to.
const PAUSE: Duration = Duration::from_secs(1);

/// What the handle of a task holds.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Handle {
    task_id: i64,
    source_arn: String,
}

impl Queues {
    /// Begins to move the messages of a dead-letter queue, and returns the task's handle.
    pub async fn start_move(
        &self,
        source_arn: &str,
        destination_arn: Option<&str>,
        rate: Option<i64>,
    ) -> Result<String, QueueError> {
        let source = self.find_arn(source_arn).ok_or(QueueError::NoResource("SourceArn"))?;
        if let Some(rate) = rate.filter(|rate| !(1..=500).contains(rate)) {
            let reason = "Must be between 1 and 500, if provided.";
            return Err(QueueError::value(rate, "MaxNumberOfMessagesPerSecond", reason));
        }
        if self.sources_of(&source).is_empty() {
            let message = "Source queue must be configured as a Dead Letter Queue.";
            return Err(QueueError::Parameter(message.to_owned()));
        }
        let destination = match destination_arn {
            Some(arn) => {
                let queue = self.find_arn(arn).ok_or(QueueError::NoResource("DestinationArn"))?;
                if queue.is_fifo != source.is_fifo {
                    let message = "The destination queue must be same type of queue as the source.";
                    return Err(QueueError::Parameter(message.to_owned()));
                }
                Some(queue.arn.clone())
            }
            None => None,
        };
        let task = NewMove {
            source: source.id,
            source_arn: source.arn.clone(),
            destination,
            rate: rate.and_then(|rate| u32::try_from(rate).ok()),
            started_at: self.now(),
        };
        let Some(id) = self.shared.store.queues().start_move(task).await? else {
            let message = "There is already a task running. Only one active task is allowed for a \
                           source queue arn at a given time.";
            return Err(QueueError::Parameter(message.to_owned()));
        };
        self.drive_move(id);
        Ok(handle(id, &source.arn))
    }

    /// Ends a task that is running. Returns how many messages it has moved.
    pub async fn cancel_move(&self, task_handle: &str) -> Result<u64, QueueError> {
        let invalid =
            || QueueError::Parameter("Value for parameter TaskHandle is invalid.".to_owned());
        let text = STANDARD.decode(task_handle).map_err(|_| invalid())?;
        let handle: Handle = serde_json::from_slice(&text).map_err(|_| invalid())?;
        self.find_arn(&handle.source_arn).ok_or(QueueError::NoResource("SourceArn"))?;
        let store = self.shared.store.queues();
        let task = store.move_task(handle.task_id).await?.ok_or(QueueError::NoTask)?;
        if task.source_arn != handle.source_arn {
            return Err(QueueError::NoTask);
        }
        if !store.cancel_move(task.id).await? {
            let message = "Only active tasks can be cancelled.";
            return Err(QueueError::Unsupported(message.to_owned()));
        }
        let task = store.move_task(task.id).await?.ok_or(QueueError::NoTask)?;
        Ok(task.moved)
    }

    /// The latest tasks of a source, the latest first, each with its handle if it is running.
    pub async fn moves(
        &self,
        source_arn: &str,
        limit: Option<i64>,
    ) -> Result<Vec<(MoveRecord, Option<String>)>, QueueError> {
        let source = self.find_arn(source_arn).ok_or(QueueError::NoResource("SourceArn"))?;
        let limit = limit.unwrap_or(1);
        if !(1..=10).contains(&limit) {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(QueueError::value(limit, "MaxResults", reason));
        }
        let limit = u32::try_from(limit).unwrap_or(1);
        let tasks = self.shared.store.queues().move_tasks(&source.arn, limit).await?;
        let with_handle = |task: MoveRecord| {
            let handle = (task.status == "RUNNING").then(|| handle(task.id, &task.source_arn));
            (task, handle)
        };
        Ok(tasks.into_iter().map(with_handle).collect())
    }

    /// Does a task, until it comes to its end or the server does.
    pub(crate) fn drive_move(&self, id: i64) {
        let queues = self.clone();
        let mut shutdown = self.shared.shutdown.clone();
        tokio::spawn(async move {
            while !*shutdown.borrow() {
                let pause = match queues.step_move(id).await {
                    Ok(Some(pause)) => pause,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, task = id, "messages can't be moved now");
                        PAUSE
                    }
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = shutdown.wait_for(|down| *down) => {}
                }
            }
        });
    }

    /// Moves some messages. Returns how long to wait before the next; `None` at the end.
    async fn step_move(&self, id: i64) -> Result<Option<Duration>, StoreError> {
        let store = self.shared.store.queues();
        let Some(task) = store.move_task(id).await? else { return Ok(None) };
        let count = task.rate.unwrap_or(CHUNK).min(CHUNK);
        let ids = (0..count).map(|_| message_id()).collect();
        let MoveStep::Moved(reached) = store.step_move(id, self.now(), ids).await? else {
            return Ok(None);
        };
        for queue in reached.into_iter().filter_map(|id| self.by_id(id)) {
            queue.signal.changed.notify_one();
        }
        let pause = task.rate.map(|rate| Duration::from_secs(1) * count / rate);
        Ok(Some(pause.unwrap_or_default()))
    }
}

fn handle(task_id: i64, source_arn: &str) -> String {
    STANDARD.encode(json!(Handle { task_id, source_arn: source_arn.to_owned() }).to_string())
}
