//! Messages that go from one queue to another: to a dead-letter queue, and back from it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{
    QueueKey, QueueTable,
    candidates::{self, Candidate},
    groups,
};
use crate::{
    error::StoreError,
    row::{Columns, signed},
};

/// Where a message goes, and as what.
pub(super) struct Relocation {
    pub(super) to: QueueKey,
    pub(super) sent_at: u64,
    pub(super) earlier_receives: u32,
    pub(super) first_received_at: Option<u64>,
    pub(super) message_id: String,
    pub(super) dead_letter_source: Option<String>,
}

/// The member of a message's details that tells which queue a dead letter came from.
const SOURCE: &str = "dead_letter_source";

/// Takes a message to another queue, where it comes behind all others. The groups of the queue that
/// it leaves are left to the caller.
pub(super) async fn relocate(
    conn: &mut SqliteConnection,
    now: u64,
    candidate: &Candidate,
    to: &Relocation,
) -> Result<(), StoreError> {
    let message = &candidate.message;
    let group = candidate.group.as_ref().filter(|_| to.to.is_fifo);
    let sql = "INSERT INTO queue_messages (queue_id, fifo_group, sent_at, visible_at, receives,
                                           earlier_receives, first_received_at)
               VALUES (?, ?, ?, ?, 0, ?, ?)";
    let query = sqlx::query(sql).bind(to.to.id).bind(group);
    let query = query.bind(signed(to.sent_at)).bind(signed(now)).bind(to.earlier_receives);
    let query = query.bind(to.first_received_at.map(signed));
    let number = query.execute(&mut *conn).await?.last_insert_rowid();
    let mut details = details(&message.details, message.number)?;
    details.shift_remove(SOURCE);
    if let Some(source) = &to.dead_letter_source {
        details.insert(SOURCE.to_owned(), Value::from(source.as_str()));
    }
    let sql = "UPDATE queue_contents SET message = ?, message_id = ?, details = ?
               WHERE message = ?";
    let query = sqlx::query(sql).bind(number).bind(&to.message_id);
    let query = query.bind(Value::Object(details).to_string()).bind(message.number);
    query.execute(&mut *conn).await?;
    let query = sqlx::query("DELETE FROM queue_messages WHERE id = ?").bind(message.number);
    query.execute(&mut *conn).await?;
    if let Some(group) = group {
        groups::arrived(conn, to.to.id, group, number, now).await?;
    }
    Ok(())
}

fn details(text: &str, number: i64) -> Result<Map<String, Value>, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::BadRow {
        table: "queue_contents",
        column: "details",
        id: number.to_string(),
    })
}

/// A task that is to move the messages of a dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMove {
    /// The dead-letter queue.
    pub source: i64,
    /// Its ARN.
    pub source_arn: String,
    /// The ARN of the queue that they go to; without it, each goes back to where it came from.
    pub destination: Option<String>,
    /// Messages a second, at most.
    pub rate: Option<u32>,
    /// When it starts.
    pub started_at: u64,
}

/// A task that moves messages, or has done so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveRecord {
    /// Its number: later ones have greater numbers.
    pub id: i64,
    /// The dead-letter queue's ARN.
    pub source_arn: String,
    /// The ARN of the queue that they go to, if one was named.
    pub destination: Option<String>,
    /// Messages a second, at most.
    pub rate: Option<u32>,
    /// As SQS names it.
    pub status: String,
    /// Messages that there were to move at the start.
    pub to_move: u64,
    /// Messages that have been moved.
    pub moved: u64,
    /// Why it failed.
    pub failure: Option<String>,
    /// When it started.
    pub started_at: u64,
}

/// What a step of a task did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MoveStep {
    /// It moved messages to these queues, and there may be more.
    Moved(BTreeSet<i64>),
    /// The task has come to its end.
    Ended,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, source_arn, destination, rate, status, to_move, moved, failure, started_at
             FROM queue_move_tasks ",
            $rest
        )
    };
}

impl QueueTable<'_> {
    /// Begins a task. `None` if one of the same source is running.
    pub async fn start_move(&self, task: NewMove) -> Result<Option<i64>, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let sql = "SELECT id FROM queue_move_tasks WHERE status = 'RUNNING' AND source = ?";
                let query = sqlx::query(sql).bind(task.source);
                if query.fetch_optional(&mut *conn).await?.is_some() {
                    return Ok(None);
                }
                let sql = "INSERT INTO queue_move_tasks
                               (source, source_arn, destination, rate, status, last_message,
                                to_move, moved, started_at)
                           VALUES (?1, ?2, ?3, ?4, 'RUNNING',
                               (SELECT coalesce(max(id), 0) FROM queue_messages),
                               (SELECT count(*) FROM queue_messages WHERE queue_id = ?1), 0, ?5)";
                let query = sqlx::query(sql).bind(task.source).bind(&task.source_arn);
                let query = query.bind(&task.destination).bind(task.rate);
                let done = query.bind(signed(task.started_at)).execute(conn).await?;
                Ok(Some(done.last_insert_rowid()))
            })
        });
        write.await
    }

    /// Moves messages of a task, which get these ids: as many at most.
    pub async fn step_move(
        &self,
        id: i64,
        now: u64,
        ids: Vec<String>,
    ) -> Result<MoveStep, StoreError> {
        let write =
            self.0.write(move |conn| Box::pin(async move { step(conn, id, now, ids).await }));
        write.await
    }

    /// The task of that number.
    pub async fn move_task(&self, id: i64) -> Result<Option<MoveRecord>, StoreError> {
        let sql = select!("WHERE id = ?");
        let row = sqlx::query(sql).bind(id).fetch_optional(self.0.readers()).await?;
        row.as_ref().map(record).transpose()
    }

    /// The latest tasks of a source, the latest first.
    pub async fn move_tasks(
        &self,
        source_arn: &str,
        limit: u32,
    ) -> Result<Vec<MoveRecord>, StoreError> {
        let sql = select!("WHERE source_arn = ? ORDER BY id DESC LIMIT ?");
        let query = sqlx::query(sql).bind(source_arn).bind(limit);
        query.fetch_all(self.0.readers()).await?.iter().map(record).collect()
    }

    /// The numbers of the tasks that are running.
    pub async fn running_moves(&self) -> Result<Vec<i64>, StoreError> {
        let sql = "SELECT id FROM queue_move_tasks WHERE status = 'RUNNING'";
        Ok(sqlx::query_scalar(sql).fetch_all(self.0.readers()).await?)
    }

    /// Ends a task that is running. Returns whether it was.
    pub async fn cancel_move(&self, id: i64) -> Result<bool, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let sql = "UPDATE queue_move_tasks SET status = 'CANCELLED'
                           WHERE id = ? AND status = 'RUNNING'";
                let done = sqlx::query(sql).bind(id).execute(conn).await?;
                Ok(done.rows_affected() > 0)
            })
        });
        write.await
    }
}

async fn step(
    conn: &mut SqliteConnection,
    id: i64,
    now: u64,
    ids: Vec<String>,
) -> Result<MoveStep, StoreError> {
    let sql = "SELECT t.source, t.destination, t.last_message, q.is_fifo FROM queue_move_tasks t
               LEFT JOIN queues q ON q.id = t.source WHERE t.id = ? AND t.status = 'RUNNING'";
    let row = sqlx::query(sql).bind(id).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(MoveStep::Ended) };
    let source: i64 = row.try_get("source")?;
    let destination: Option<String> = row.try_get("destination")?;
    let last: i64 = row.try_get("last_message")?;
    let Some(is_fifo) = row.try_get("is_fifo")? else {
        return end(conn, id, Some(NO_QUEUE)).await;
    };
    let from = QueueKey { id: source, is_fifo };
    let candidates = candidates::visible(conn, from, now, ids.len() as u32).await?;
    let mut reached = BTreeSet::new();
    let mut touched = BTreeSet::new();
    let mut moved = 0;
    let mut failure = None;
    let due = candidates.iter().filter(|candidate| candidate.message.number <= last);
    for (candidate, message_id) in due.zip(ids) {
        let origin = details(&candidate.message.details, candidate.message.number)?;
        let arn = destination.as_deref().or_else(|| origin.get(SOURCE)?.as_str());
        let Some(arn) = arn else {
            failure = Some("CouldNotDetermineMessageSource");
            break;
        };
        let Some(to) = queue_of_arn(conn, arn).await? else {
            failure = Some(NO_QUEUE);
            break;
        };
        let relocation = Relocation {
            to,
            sent_at: now,
            earlier_receives: 0,
            first_received_at: None,
            message_id,
            dead_letter_source: None,
        };
        relocate(conn, now, candidate, &relocation).await?;
        touched.extend(candidate.group.clone());
        reached.insert(to.id);
        moved += 1;
    }
    groups::refresh(conn, source, &touched).await?;
    let sql = "UPDATE queue_move_tasks SET moved = moved + ? WHERE id = ?";
    sqlx::query(sql).bind(moved).bind(id).execute(&mut *conn).await?;
    if failure.is_some() || moved == 0 {
        return end(conn, id, failure).await;
    }
    Ok(MoveStep::Moved(reached))
}

const NO_QUEUE: &str = "AWS.SimpleQueueService.NonExistentQueue";

async fn end(
    conn: &mut SqliteConnection,
    id: i64,
    failure: Option<&str>,
) -> Result<MoveStep, StoreError> {
    let status = if failure.is_some() { "FAILED" } else { "COMPLETED" };
    let sql = "UPDATE queue_move_tasks SET status = ?, failure = ? WHERE id = ?";
    sqlx::query(sql).bind(status).bind(failure).bind(id).execute(conn).await?;
    Ok(MoveStep::Ended)
}

async fn queue_of_arn(
    conn: &mut SqliteConnection,
    arn: &str,
) -> Result<Option<QueueKey>, StoreError> {
    let name = arn.rsplit(':').next().unwrap_or_default();
    let sql = "SELECT id, is_fifo FROM queues WHERE name = ?";
    let row = sqlx::query(sql).bind(name).fetch_optional(conn).await?;
    let key =
        |row: SqliteRow| Ok(QueueKey { id: row.try_get("id")?, is_fifo: row.try_get("is_fifo")? });
    row.map(key).transpose()
}

fn record(row: &SqliteRow) -> Result<MoveRecord, StoreError> {
    let columns = Columns::new(row, "queue_move_tasks", "id");
    Ok(MoveRecord {
        id: columns.get("id")?,
        source_arn: columns.get("source_arn")?,
        destination: columns.get("destination")?,
        rate: columns.maybe_count("rate")?,
        status: columns.get("status")?,
        to_move: columns.count("to_move")?,
        moved: columns.count("moved")?,
        failure: columns.get("failure")?,
        started_at: columns.count("started_at")?,
    })
}
