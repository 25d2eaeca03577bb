//! What happened to jobs: a row a transition, written with it.

use bessemer_domain::{FailureClass, JobId, StateName};
use sqlx::SqliteConnection;

use crate::{
    error::StoreError,
    row::{Columns, signed},
    store::Store,
};

/// Something that happened to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// What: `submitted`, or the name of a [`bessemer_domain::JobEvent`].
    pub event: String,
    /// The state that it left the job in.
    pub state: StateName,
    /// What the attempt was at then, by its own word.
    pub stage: Option<String>,
    /// The number of the latest attempt; 0 before the first.
    pub number: u32,
    /// How the attempt failed, if this is what happened.
    pub class: Option<FailureClass>,
    /// And why, in words.
    pub message: Option<String>,
}

pub(crate) async fn insert(
    conn: &mut SqliteConnection,
    job: JobId,
    entry: &HistoryEntry,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO history (job_id, at, event, state, stage, number, class, message)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(job.0)
        .bind(signed(entry.at))
        .bind(&entry.event)
        .bind(entry.state.as_str())
        .bind(&entry.stage)
        .bind(entry.number)
        .bind(entry.class.map(FailureClass::as_str))
        .bind(&entry.message)
        .execute(conn)
        .await?;
    Ok(())
}

pub(crate) async fn of_job(store: &Store, job: JobId) -> Result<Vec<HistoryEntry>, StoreError> {
    let sql = "SELECT seq, at, event, state, stage, number, class, message FROM history
               WHERE job_id = ? ORDER BY seq";
    let rows = sqlx::query(sql).bind(job.0).fetch_all(store.readers()).await?;
    let entry = |row| {
        let columns = Columns::new(row, "history", "seq");
        Ok(HistoryEntry {
            at: columns.count("at")?,
            event: columns.get("event")?,
            state: columns.parse("state")?,
            stage: columns.get("stage")?,
            number: columns.count("number")?,
            class: columns.maybe_parse("class")?,
            message: columns.get("message")?,
        })
    };
    rows.iter().map(entry).collect()
}
