//! Messages in flight that are deleted or whose visibility is changed.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sqlx::{Row, SqliteConnection};

use super::{QueueKey, QueueTable, groups};
use crate::{error::StoreError, row::signed};

/// A receive of a message: the message, and which of its receives it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The message's number.
    pub number: i64,
    /// How often it had been received with this.
    pub receives: u32,
}

/// What came of a receipt that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It was done.
    Done,
    /// The message is not there any more.
    Gone,
    /// The message has been received again since.
    Stale,
    /// The message is visible: nobody has it in flight.
    Visible,
    /// The message would be in flight for longer than a message may.
    TooLong,
}

struct Flight {
    receives: u32,
    visible_at: u64,
    received_at: u64,
    group: Option<String>,
}

impl QueueTable<'_> {
    /// Deletes messages for good. A FIFO queue does so only while they are in flight.
    pub async fn remove(
        &self,
        queue: QueueKey,
        now: u64,
        receipts: Vec<Receipt>,
    ) -> Result<Vec<Settled>, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let mut settled = Vec::new();
                let mut touched = BTreeSet::new();
                for receipt in receipts {
                    let flight = flight(conn, queue, receipt).await?;
                    settled.push(match flight {
                        None => Settled::Gone,
                        Some(flight) if flight.receives != receipt.receives => Settled::Stale,
                        Some(flight) if queue.is_fifo && flight.visible_at <= now => {
                            Settled::Visible
                        }
                        Some(flight) => {
                            let query = sqlx::query("DELETE FROM queue_messages WHERE id = ?");
                            query.bind(receipt.number).execute(&mut *conn).await?;
                            touched.extend(flight.group);
                            Settled::Done
                        }
                    });
                }
                groups::refresh(conn, queue.id, &touched).await?;
                Ok(settled)
            })
        });
        write.await
    }

    /// Makes messages in flight visible at other times, no later than `longest` milliseconds after
    /// they were received.
    pub async fn change_visibility(
        &self,
        queue: QueueKey,
        now: u64,
        longest: u64,
        changes: Vec<(Receipt, u64)>,
    ) -> Result<Vec<Settled>, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let mut settled = Vec::new();
                let mut touched = BTreeSet::new();
                for (receipt, visible_at) in changes {
                    let flight = flight(conn, queue, receipt).await?;
                    settled.push(match flight {
                        None => Settled::Gone,
                        Some(flight) if flight.receives != receipt.receives => Settled::Stale,
                        Some(flight) if flight.visible_at <= now => Settled::Visible,
                        Some(flight) if visible_at > flight.received_at + longest => {
                            Settled::TooLong
                        }
                        Some(flight) => {
                            let sql = "UPDATE queue_messages SET visible_at = ? WHERE id = ?";
                            let query = sqlx::query(sql).bind(signed(visible_at));
                            query.bind(receipt.number).execute(&mut *conn).await?;
                            touched.extend(flight.group);
                            Settled::Done
                        }
                    });
                }
                groups::refresh(conn, queue.id, &touched).await?;
                Ok(settled)
            })
        });
        write.await
    }
}

async fn flight(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    receipt: Receipt,
) -> Result<Option<Flight>, StoreError> {
    let sql = "SELECT receives, visible_at, received_at, fifo_group FROM queue_messages
               WHERE id = ? AND queue_id = ?";
    let query = sqlx::query(sql).bind(receipt.number).bind(queue.id);
    let Some(row) = query.fetch_optional(conn).await? else { return Ok(None) };
    let instant = |at: i64| u64::try_from(at).unwrap_or_default();
    Ok(Some(Flight {
        receives: row.try_get("receives")?,
        visible_at: instant(row.try_get("visible_at")?),
        received_at: instant(row.try_get::<Option<i64>, _>("received_at")?.unwrap_or_default()),
        group: row.try_get("fifo_group")?,
    }))
}
