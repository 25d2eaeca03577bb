//! Messages that are sent.

use sqlx::{Row, SqliteConnection};

use super::{QueueKey, QueueTable, groups};
use crate::{error::StoreError, row::signed};

/// A message that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// Its id, unique for all time.
    pub message_id: String,
    /// Its text.
    pub body: String,
    /// All else that is told of it, as a JSON object.
    pub details: String,
    /// The group whose order it keeps, in a FIFO queue.
    pub group: Option<String>,
    /// What makes a second one of it no message of its own.
    pub deduplication: Option<Deduplication>,
    /// When it can be received.
    pub visible_at: u64,
}

/// Of messages with the same scope and name, a queue takes one until a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplication {
    /// Where the name is unique: a group, or empty for the whole queue.
    pub scope: String,
    /// The name.
    pub name: String,
    /// From when on another may have it.
    pub until: u64,
}

/// A message that is in the queue, or was there before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Its number: later messages of any queue have greater ones.
    pub number: i64,
    /// Its id.
    pub message_id: String,
}

impl QueueTable<'_> {
    /// Puts messages into a queue, in their order. `None` if there is no such queue.
    pub async fn send(
        &self,
        queue: QueueKey,
        now: u64,
        messages: Vec<NewMessage>,
    ) -> Result<Option<Vec<SentMessage>>, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let sql = "SELECT id FROM queues WHERE id = ?";
                let found = sqlx::query(sql).bind(queue.id).fetch_optional(&mut *conn).await?;
                if found.is_none() {
                    return Ok(None);
                }
                let mut sent = Vec::new();
                for message in messages {
                    sent.push(put(conn, queue, now, message).await?);
                }
                Ok(Some(sent))
            })
        });
        write.await
    }
}

async fn put(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    now: u64,
    message: NewMessage,
) -> Result<SentMessage, StoreError> {
    if let Some(deduplication) = &message.deduplication
        && let Some(earlier) = earlier(conn, queue.id, now, deduplication).await?
    {
        return Ok(earlier);
    }
    let sql = "INSERT INTO queue_messages
                   (queue_id, fifo_group, sent_at, visible_at, receives, earlier_receives)
               VALUES (?, ?, ?, ?, 0, 0)";
    let query = sqlx::query(sql).bind(queue.id).bind(&message.group);
    let query = query.bind(signed(now)).bind(signed(message.visible_at));
    let number = query.execute(&mut *conn).await?.last_insert_rowid();
    let sql = "INSERT INTO queue_contents (message, message_id, body, details)
               VALUES (?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(number).bind(&message.message_id);
    query.bind(&message.body).bind(&message.details).execute(&mut *conn).await?;
    if let Some(group) = &message.group {
        groups::arrived(conn, queue.id, group, number, message.visible_at).await?;
    }
    let sent = SentMessage { number, message_id: message.message_id };
    if let Some(deduplication) = &message.deduplication {
        let sql = "INSERT OR REPLACE INTO queue_deduplications
                       (queue_id, scope, name, message, message_id, until)
                   VALUES (?, ?, ?, ?, ?, ?)";
        let query = sqlx::query(sql).bind(queue.id).bind(&deduplication.scope);
        let query = query.bind(&deduplication.name).bind(sent.number).bind(&sent.message_id);
        query.bind(signed(deduplication.until)).execute(conn).await?;
    }
    Ok(sent)
}

/// The message that this one is a second one of.
async fn earlier(
    conn: &mut SqliteConnection,
    queue: i64,
    now: u64,
    deduplication: &Deduplication,
) -> Result<Option<SentMessage>, StoreError> {
    let sql = "SELECT message, message_id FROM queue_deduplications
               WHERE queue_id = ? AND scope = ? AND name = ? AND until > ?";
    let query = sqlx::query(sql).bind(queue).bind(&deduplication.scope);
    let query = query.bind(&deduplication.name).bind(signed(now));
    let row = query.fetch_optional(conn).await?;
    let sent = |row: sqlx::sqlite::SqliteRow| {
        Ok(SentMessage { number: row.try_get(0)?, message_id: row.try_get(1)? })
    };
    row.map(sent).transpose()
}
