//! The groups of FIFO queues: when something of each can be received.

use std::collections::BTreeSet;

use sqlx::SqliteConnection;

use crate::{error::StoreError, row::signed};

/// A message has come to a group, behind all others. If there are others, it changes nothing.
pub(super) async fn arrived(
    conn: &mut SqliteConnection,
    queue: i64,
    group: &str,
    message: i64,
    visible_at: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO queue_groups (queue_id, name, head, free_at) VALUES (?, ?, ?, ?)
               ON CONFLICT (queue_id, name) DO NOTHING";
    let query = sqlx::query(sql).bind(queue).bind(group).bind(message);
    query.bind(signed(visible_at)).execute(conn).await?;
    Ok(())
}

/// Messages of groups have changed or gone.
///
/// Messages are received in their order, and none while one is in flight: those in flight are
/// among the first ten, as many as a receive gives at most.
pub(super) async fn refresh(
    conn: &mut SqliteConnection,
    queue: i64,
    groups: &BTreeSet<String>,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO queue_groups (queue_id, name, head, free_at)
               SELECT ?1, ?2, min(id),
                      max(max(CASE WHEN receives > 0 THEN visible_at ELSE 0 END),
                          (SELECT visible_at FROM queue_messages
                           WHERE queue_id = ?1 AND fifo_group = ?2 ORDER BY id LIMIT 1))
               FROM (SELECT id, visible_at, receives FROM queue_messages
                     WHERE queue_id = ?1 AND fifo_group = ?2 ORDER BY id LIMIT 10)
               HAVING count(*) > 0
               ON CONFLICT (queue_id, name) DO UPDATE
               SET head = excluded.head, free_at = excluded.free_at";
    for group in groups {
        let query = sqlx::query(sql).bind(queue).bind(group);
        if query.execute(&mut *conn).await?.rows_affected() == 0 {
            let sql = "DELETE FROM queue_groups WHERE queue_id = ? AND name = ?";
            sqlx::query(sql).bind(queue).bind(group).execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// [`refresh`] for all groups of a queue.
pub(super) async fn refresh_all(conn: &mut SqliteConnection, queue: i64) -> Result<(), StoreError> {
    let sql = "SELECT name FROM queue_groups WHERE queue_id = ?";
    let names: Vec<String> = sqlx::query_scalar(sql).bind(queue).fetch_all(&mut *conn).await?;
    refresh(conn, queue, &names.into_iter().collect()).await
}
