//! Messages that go away by themselves or all at once, and how many there are.

use std::collections::BTreeSet;

use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{QueueTable, groups};
use crate::{
    error::StoreError,
    row::{Columns, signed},
};

/// Rows that one transaction deletes, at most: others wait for it.
const CHUNK: u32 = 1000;

/// How many messages a queue holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// That can be received.
    pub visible: u64,
    /// That are in flight.
    pub in_flight: u64,
    /// That wait for their first receive to become possible.
    pub delayed: u64,
}

impl QueueTable<'_> {
    /// How many messages a queue holds.
    pub async fn count(&self, queue: i64, now: u64) -> Result<MessageCounts, StoreError> {
        let sql = "SELECT
            (SELECT count(*) FROM queue_messages WHERE queue_id = ?1 AND visible_at <= ?2)
                AS visible,
            (SELECT count(*) FROM queue_messages
             WHERE queue_id = ?1 AND visible_at > ?2 AND receives > 0) AS in_flight,
            (SELECT count(*) FROM queue_messages
             WHERE queue_id = ?1 AND visible_at > ?2 AND receives = 0) AS delayed";
        let query = sqlx::query(sql).bind(queue).bind(signed(now));
        let row = query.fetch_one(self.0.readers()).await?;
        let columns = Columns::new(&row, "queue_messages", "visible");
        Ok(MessageCounts {
            visible: columns.count("visible")?,
            in_flight: columns.count("in_flight")?,
            delayed: columns.count("delayed")?,
        })
    }

    /// The number of the latest message of any queue.
    pub async fn latest(&self) -> Result<i64, StoreError> {
        let sql = "SELECT coalesce(max(id), 0) FROM queue_messages";
        Ok(sqlx::query_scalar(sql).fetch_one(self.0.readers()).await?)
    }

    /// Deletes some of a queue's messages up to number `last`. Returns whether there may be more.
    pub async fn purge(&self, queue: i64, last: i64) -> Result<bool, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let sql = "SELECT id, fifo_group FROM queue_messages
                           WHERE queue_id = ? AND id <= ? LIMIT ?";
                let query = sqlx::query(sql).bind(queue).bind(last).bind(CHUNK);
                let rows = query.fetch_all(&mut *conn).await?;
                delete(conn, queue, &rows).await?;
                Ok(rows.len() == CHUNK as usize)
            })
        });
        write.await
    }

    /// Deletes some messages that were sent to a queue at `expired` or before. Returns whether
    /// there may be more.
    pub async fn expire(&self, queue: i64, expired: u64) -> Result<bool, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move { expire(conn, queue, expired).await.map(|count| count == CHUNK) })
        });
        write.await
    }

    /// When the oldest message of a queue was sent.
    pub async fn oldest(&self, queue: i64) -> Result<Option<u64>, StoreError> {
        let sql = "SELECT min(sent_at) FROM queue_messages WHERE queue_id = ?";
        let query = sqlx::query_scalar(sql).bind(queue);
        let oldest: Option<i64> = query.fetch_one(self.0.readers()).await?;
        Ok(oldest.map(|at| u64::try_from(at).unwrap_or_default()))
    }

    /// The numbers of queues that are deleted and have left messages.
    pub async fn orphaned(&self) -> Result<Vec<i64>, StoreError> {
        let mut orphaned = Vec::new();
        let mut last = 0;
        loop {
            let sql = "SELECT min(queue_id) FROM queue_messages WHERE queue_id > ?";
            let query = sqlx::query_scalar(sql).bind(last);
            let next: Option<i64> = query.fetch_one(self.0.readers()).await?;
            let Some(queue) = next else { return Ok(orphaned) };
            let sql = "SELECT id FROM queues WHERE id = ?";
            let query = sqlx::query(sql).bind(queue);
            if query.fetch_optional(self.0.readers()).await?.is_none() {
                orphaned.push(queue);
            }
            last = queue;
        }
    }

    /// Forgets some of what was remembered until `now` of messages and attempts. Returns whether
    /// there may be more.
    pub async fn forget(&self, now: u64) -> Result<bool, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let mut most = 0;
                for sql in [
                    "DELETE FROM queue_deduplications WHERE id IN
                         (SELECT id FROM queue_deduplications WHERE until <= ? LIMIT ?)",
                    "DELETE FROM queue_attempts WHERE id IN
                         (SELECT id FROM queue_attempts WHERE until <= ? LIMIT ?)",
                ] {
                    let query = sqlx::query(sql).bind(signed(now)).bind(CHUNK);
                    most = most.max(query.execute(&mut *conn).await?.rows_affected());
                }
                Ok(most == u64::from(CHUNK))
            })
        });
        write.await
    }

    /// Whether there is something to [`QueueTable::forget`].
    pub async fn has_forgettable(&self, now: u64) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM queue_deduplications WHERE until <= ?1)
                   OR EXISTS (SELECT 1 FROM queue_attempts WHERE until <= ?1)";
        Ok(sqlx::query_scalar(sql).bind(signed(now)).fetch_one(self.0.readers()).await?)
    }
}

/// Deletes messages that are too old, [`CHUNK`] at most, and says how many.
pub(super) async fn expire(
    conn: &mut SqliteConnection,
    queue: i64,
    expired: u64,
) -> Result<u32, StoreError> {
    let sql = "SELECT id, fifo_group FROM queue_messages WHERE queue_id = ? AND sent_at <= ?
               ORDER BY sent_at LIMIT ?";
    let query = sqlx::query(sql).bind(queue).bind(signed(expired)).bind(CHUNK);
    let rows = query.fetch_all(&mut *conn).await?;
    delete(conn, queue, &rows).await?;
    Ok(rows.len() as u32)
}

async fn delete(
    conn: &mut SqliteConnection,
    queue: i64,
    rows: &[SqliteRow],
) -> Result<(), StoreError> {
    let mut touched = BTreeSet::new();
    for row in rows {
        let id: i64 = row.try_get("id")?;
        sqlx::query("DELETE FROM queue_messages WHERE id = ?").bind(id).execute(&mut *conn).await?;
        touched.extend(row.try_get::<Option<String>, _>("fifo_group")?);
    }
    groups::refresh(conn, queue, &touched).await
}
