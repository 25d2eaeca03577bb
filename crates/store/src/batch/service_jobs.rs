//! Jobs that Batch has `SageMaker` run.

use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    row::{Columns, signed},
    tags::{self, Tag},
};

/// A service job. How it stands is told by its training job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchServiceJob {
    /// Its id.
    pub id: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The ARN of its queue.
    pub queue: String,
    /// The name of its training job.
    pub training_job: String,
    /// The request that made it, as JSON.
    pub document: String,
    /// Why somebody ended it.
    pub reason: Option<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

pub(super) async fn create(
    conn: &mut SqliteConnection,
    job: &BatchServiceJob,
    with: &[Tag],
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO batch_service_jobs (id, arn, name, queue, training_job, document, created_at)
               VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql).bind(&job.id).bind(&job.arn).bind(&job.name).bind(&job.queue);
    let query = query.bind(&job.training_job).bind(&job.document).bind(signed(job.created_at));
    if query.execute(&mut *conn).await?.rows_affected() == 0 {
        let what = "training job".to_owned();
        return Err(StoreError::AlreadyExists { what, name: job.training_job.clone() });
    }
    tags::insert(conn, &job.arn, with).await
}

pub(super) async fn delete(conn: &mut SqliteConnection, arn: &str) -> Result<(), StoreError> {
    for sql in ["DELETE FROM batch_service_jobs WHERE arn = ?", "DELETE FROM tags WHERE arn = ?"] {
        sqlx::query(sql).bind(arn).execute(&mut *conn).await?;
    }
    Ok(())
}

pub(super) async fn end(
    conn: &mut SqliteConnection,
    id: &str,
    reason: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE batch_service_jobs SET reason = coalesce(reason, ?) WHERE id = ?";
    sqlx::query(sql).bind(reason).bind(id).execute(conn).await?;
    Ok(())
}

pub(super) async fn get(
    readers: &SqlitePool,
    id: &str,
) -> Result<Option<BatchServiceJob>, StoreError> {
    let sql = "SELECT seq, id, arn, name, queue, training_job, document, reason, created_at
               FROM batch_service_jobs WHERE id = ?";
    sqlx::query(sql).bind(id).fetch_optional(readers).await?.as_ref().map(job).transpose()
}

pub(super) async fn of_queue(
    readers: &SqlitePool,
    queue: &str,
) -> Result<Vec<BatchServiceJob>, StoreError> {
    let sql = "SELECT seq, id, arn, name, queue, training_job, document, reason, created_at
               FROM batch_service_jobs WHERE queue = ? ORDER BY seq DESC";
    sqlx::query(sql).bind(queue).fetch_all(readers).await?.iter().map(job).collect()
}

fn job(row: &SqliteRow) -> Result<BatchServiceJob, StoreError> {
    let columns = Columns::new(row, "batch_service_jobs", "seq");
    Ok(BatchServiceJob {
        id: columns.get("id")?,
        arn: columns.get("arn")?,
        name: columns.get("name")?,
        queue: columns.get("queue")?,
        training_job: columns.get("training_job")?,
        document: columns.get("document")?,
        reason: columns.get("reason")?,
        created_at: columns.count("created_at")?,
    })
}
