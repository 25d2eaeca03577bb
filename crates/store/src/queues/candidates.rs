//! The messages of a queue that could be received now.

use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{QueueKey, receive::ReceivedMessage};
use crate::{
    error::StoreError,
    row::{Columns, signed},
};

/// A message that could be received, as it is before.
pub(super) struct Candidate {
    pub(super) message: ReceivedMessage,
    pub(super) group: Option<String>,
    pub(super) visible_at: u64,
    pub(super) first_received_at: Option<u64>,
}

/// The columns of a candidate, of `queue_messages` as `m` and `queue_contents` as `c`.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT m.id, m.fifo_group, m.sent_at, m.visible_at, m.receives, m.earlier_receives,
                    m.first_received_at, c.message_id, c.body, c.details
             FROM queue_messages m CROSS JOIN queue_contents c ON c.message = m.id ",
            $rest
        )
    };
}

/// Those that have been visible for longest, `limit` at most. Of a FIFO queue: the first of groups
/// that are free, the groups whole as far as that goes.
pub(super) async fn visible(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    now: u64,
    limit: u32,
) -> Result<Vec<Candidate>, StoreError> {
    if !queue.is_fifo {
        let sql = select!(
            "WHERE m.queue_id = ? AND m.visible_at <= ? ORDER BY m.visible_at, m.id LIMIT ?"
        );
        let query = sqlx::query(sql).bind(queue.id).bind(signed(now)).bind(limit);
        return query.fetch_all(conn).await?.iter().map(candidate).collect();
    }
    let sql = "SELECT name FROM queue_groups WHERE queue_id = ? AND free_at <= ?
               ORDER BY free_at, head LIMIT ?";
    let query = sqlx::query_scalar(sql).bind(queue.id).bind(signed(now)).bind(limit);
    let groups: Vec<String> = query.fetch_all(&mut *conn).await?;
    let mut found = Vec::new();
    for group in groups {
        let room = limit - found.len() as u32;
        if room == 0 {
            break;
        }
        let sql = select!("WHERE m.queue_id = ? AND m.fifo_group = ? ORDER BY m.id LIMIT ?");
        let query = sqlx::query(sql).bind(queue.id).bind(&group).bind(room);
        for row in &query.fetch_all(&mut *conn).await? {
            let candidate = candidate(row)?;
            // What comes behind a message waits for it.
            if candidate.visible_at > now {
                break;
            }
            found.push(candidate);
        }
    }
    Ok(found)
}

/// One message, if it is in the queue and was received so often.
pub(super) async fn one(
    conn: &mut SqliteConnection,
    queue: i64,
    number: i64,
    receives: u32,
) -> Result<Option<Candidate>, StoreError> {
    let sql = select!("WHERE m.id = ? AND m.queue_id = ? AND m.receives = ?");
    let query = sqlx::query(sql).bind(number).bind(queue).bind(receives);
    query.fetch_optional(conn).await?.as_ref().map(candidate).transpose()
}

fn candidate(row: &SqliteRow) -> Result<Candidate, StoreError> {
    let columns = Columns::new(row, "queue_messages", "id");
    let first_received_at = columns.maybe_count("first_received_at")?;
    let message = ReceivedMessage {
        number: columns.get("id")?,
        message_id: columns.get("message_id")?,
        body: columns.get("body")?,
        details: columns.get("details")?,
        receives: columns.count("receives")?,
        earlier_receives: columns.count("earlier_receives")?,
        sent_at: columns.count("sent_at")?,
        first_received_at: first_received_at.unwrap_or_default(),
    };
    Ok(Candidate {
        message,
        group: columns.get("fifo_group")?,
        visible_at: columns.count("visible_at")?,
        first_received_at,
    })
}
