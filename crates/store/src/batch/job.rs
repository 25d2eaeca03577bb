//! [`BatchJob`]: what Batch knows of a job.

use bessemer_domain::{Asked, BatchCounts, BatchStatus, JobId};
use sqlx::{AssertSqlSafe, SqlitePool, sqlite::SqliteRow};

use crate::{error::StoreError, row::Columns};

/// A job of Batch: a single one, an array, or a child of an array. Instants are milliseconds since
/// 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchJob {
    /// Counts jobs as they come.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The name that it was given.
    pub name: String,
    /// The ARN of its queue.
    pub queue: String,
    /// Its definition, as `name:revision`.
    pub definition: String,
    /// The array that it is of, and its place in it.
    pub parent: Option<(String, u32)>,
    /// Its children, if it is an array.
    pub array: Option<BatchArray>,
    /// Its row in the table of jobs, if it is none.
    pub job: Option<JobId>,
    /// How it stands.
    pub status: BatchStatus,
    /// What somebody wanted of it.
    pub asked: Option<Asked>,
    /// Why it was ended, if it did not end by itself.
    pub reason: Option<String>,
    /// When it was submitted.
    pub created_at: u64,
    /// When its code, or that of its first child, began to run.
    pub started_at: Option<u64>,
    /// When it, or its last child, came to its end.
    pub ended_at: Option<u64>,
    /// What its latest attempt had to say, as JSON.
    pub result: Option<String>,
}

/// The children of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchArray {
    /// How many there are.
    pub size: u32,
    /// How many stand where.
    pub counts: BatchCounts,
    /// When one last changed.
    pub changed_at: u64,
    /// The request that made them, as JSON.
    pub document: String,
}

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "seq, id, arn, name, queue, definition, parent, place, \
    batch_jobs.job_id AS job_id, document, status, asked, reason, size, submitted, pending, \
    runnable, starting, running, succeeded, failed, created_at, started_at, ended_at, changed_at, \
    (SELECT result FROM job_documents WHERE job_documents.job_id = batch_jobs.job_id) AS result";

pub(super) async fn get(readers: &SqlitePool, id: &str) -> Result<Option<BatchJob>, StoreError> {
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM batch_jobs WHERE id = ?"));
    sqlx::query(sql).bind(id).fetch_optional(readers).await?.as_ref().map(read).transpose()
}

pub(super) fn read(row: &SqliteRow) -> Result<BatchJob, StoreError> {
    let columns = Columns::new(row, "batch_jobs", "seq");
    let parent: Option<String> = columns.get("parent")?;
    let parent = match parent {
        Some(parent) => Some((parent, columns.count("place")?)),
        None => None,
    };
    let array = match columns.maybe_count("size")? {
        Some(size) => Some(BatchArray {
            size,
            counts: counts(&columns)?,
            changed_at: columns.count("changed_at")?,
            document: columns.get("document")?,
        }),
        None => None,
    };
    Ok(BatchJob {
        seq: columns.get("seq")?,
        id: columns.get("id")?,
        arn: columns.get("arn")?,
        name: columns.get("name")?,
        queue: columns.get("queue")?,
        definition: columns.get("definition")?,
        parent,
        array,
        job: columns.get::<Option<i64>>("job_id")?.map(JobId),
        status: columns.parse("status")?,
        asked: columns.maybe_parse("asked")?,
        reason: columns.get("reason")?,
        created_at: columns.count("created_at")?,
        started_at: columns.maybe_count("started_at")?,
        ended_at: columns.maybe_count("ended_at")?,
        result: columns.get("result")?,
    })
}

/// The counts of an array's row.
pub(super) fn counts(columns: &Columns<'_>) -> Result<BatchCounts, StoreError> {
    Ok(BatchCounts([
        columns.count("submitted")?,
        columns.count("pending")?,
        columns.count("runnable")?,
        columns.count("starting")?,
        columns.count("running")?,
        columns.count("succeeded")?,
        columns.count("failed")?,
    ]))
}
