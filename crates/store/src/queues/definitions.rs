//! Queues themselves.

use sqlx::sqlite::SqliteRow;

use super::{QueueTable, groups};
use crate::{
    error::StoreError,
    row::{Columns, signed},
    tags::{self, Tag},
};

/// A queue that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewQueue {
    /// Its name, unique.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// Whether its messages keep the order of their groups.
    pub is_fifo: bool,
    /// The attributes that are set, as JSON.
    pub attributes: String,
    /// When it is made.
    pub created_at: u64,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its number, which no other queue has or will have.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether its messages keep the order of their groups.
    pub is_fifo: bool,
    /// The attributes that are set, as JSON.
    pub attributes: String,
    /// When it was made.
    pub created_at: u64,
    /// When its attributes were last set.
    pub modified_at: u64,
}

impl QueueTable<'_> {
    /// Keeps a queue and its tags. Its name must be new.
    pub async fn create(&self, queue: NewQueue, with: Vec<Tag>) -> Result<QueueRecord, StoreError> {
        let sql = "INSERT INTO queues (name, arn, is_fifo, attributes, created_at, modified_at)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?5) ON CONFLICT (name) DO NOTHING";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(sql).bind(&queue.name).bind(&queue.arn);
                let query = query.bind(queue.is_fifo).bind(&queue.attributes);
                let query = query.bind(signed(queue.created_at));
                let done = query.execute(&mut *conn).await?;
                if done.rows_affected() == 0 {
                    let what = "queue".to_owned();
                    return Err(StoreError::AlreadyExists { what, name: queue.name });
                }
                tags::insert(conn, &queue.arn, &with).await?;
                Ok(QueueRecord {
                    id: done.last_insert_rowid(),
                    name: queue.name,
                    arn: queue.arn,
                    is_fifo: queue.is_fifo,
                    attributes: queue.attributes,
                    created_at: queue.created_at,
                    modified_at: queue.created_at,
                })
            })
        });
        write.await
    }

    /// All queues, in the order of their numbers.
    pub async fn all(&self) -> Result<Vec<QueueRecord>, StoreError> {
        let sql = "SELECT id, name, arn, is_fifo, attributes, created_at, modified_at FROM queues
                   ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(self.0.readers()).await?;
        rows.iter().map(record).collect()
    }

    /// Gives a queue attributes in place of those it had. `delay`, in milliseconds, becomes that of
    /// the messages of a FIFO queue that wait for their first receive.
    pub async fn set_attributes(
        &self,
        id: i64,
        attributes: String,
        modified_at: u64,
        delay: Option<u64>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE queues SET attributes = ?, modified_at = ? WHERE id = ?";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(sql).bind(attributes).bind(signed(modified_at)).bind(id);
                query.execute(&mut *conn).await?;
                if let Some(delay) = delay {
                    let sql = "UPDATE queue_messages SET visible_at = sent_at + ?
                               WHERE queue_id = ? AND receives = 0";
                    sqlx::query(sql).bind(signed(delay)).bind(id).execute(&mut *conn).await?;
                    groups::refresh_all(conn, id).await?;
                }
                Ok(())
            })
        });
        write.await
    }

    /// Forgets a queue and its tags. Its messages can't be reached any more; they go away by
    /// [`QueueTable::purge`].
    pub async fn delete(&self, id: i64) -> Result<(), StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let tags = "DELETE FROM tags WHERE arn = (SELECT arn FROM queues WHERE id = ?)";
                sqlx::query(tags).bind(id).execute(&mut *conn).await?;
                sqlx::query("DELETE FROM queues WHERE id = ?").bind(id).execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }
}

fn record(row: &SqliteRow) -> Result<QueueRecord, StoreError> {
    let columns = Columns::new(row, "queues", "id");
    Ok(QueueRecord {
        id: columns.get("id")?,
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        is_fifo: columns.get("is_fifo")?,
        attributes: columns.get("attributes")?,
        created_at: columns.count("created_at")?,
        modified_at: columns.count("modified_at")?,
    })
}
