//! Batch's rows follow their jobs, in the transaction that changes the job: its status, its array's
//! counts and end, and what waits for it.

use bessemer_domain::{Asked, BatchStatus, BatchToDo, BatchWait, StateName};
use sqlx::{AssertSqlSafe, SqliteConnection, sqlite::SqliteRow};

use super::job::counts;
use crate::{
    error::StoreError,
    jobs::Job,
    row::{Columns, signed},
};

/// Why a job fails that depends on one that failed.
pub(super) const DEPENDENCY_FAILED: &str = "Dependent Job failed";

/// A job's row as far as decisions need it.
struct Row {
    seq: i64,
    id: String,
    parent: Option<String>,
    is_array: bool,
    state: StateName,
    status: BatchStatus,
    wait: BatchWait,
}

const ROW: &str = "seq, id, parent, size, state, status, waits, doomed, asked";

impl Row {
    fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        let columns = Columns::new(row, "batch_jobs", "seq");
        Ok(Self {
            seq: columns.get("seq")?,
            id: columns.get("id")?,
            parent: columns.get("parent")?,
            is_array: columns.get::<Option<i64>>("size")?.is_some(),
            state: columns.parse("state")?,
            status: columns.parse("status")?,
            wait: BatchWait {
                waits: columns.count("waits")?,
                is_doomed: columns.get("doomed")?,
                asked: columns.maybe_parse("asked")?,
            },
        })
    }

    /// What is to be done about it; its children see to an array.
    fn to_do(&self) -> Option<BatchToDo> {
        self.wait.to_do(self.state).filter(|_| !self.is_array)
    }
}

async fn rows(
    conn: &mut SqliteConnection,
    condition: &str,
    value: &str,
) -> Result<Vec<Row>, StoreError> {
    let sql = AssertSqlSafe(format!("SELECT {ROW} FROM batch_jobs WHERE {condition}"));
    sqlx::query(sql).bind(value).fetch_all(conn).await?.iter().map(Row::read).collect()
}

/// `job` has come into another state.
pub(crate) async fn follow(conn: &mut SqliteConnection, job: &Job) -> Result<(), StoreError> {
    let Some(mut row) = rows(conn, "id = ?", &job.name).await?.pop() else { return Ok(()) };
    let old = row.status;
    row.state = job.lifecycle.state.name();
    row.status = BatchStatus::of(row.state);
    let sql = "UPDATE batch_jobs SET state = ?, status = ?, to_do = ?, started_at = ?,
                   ended_at = ?, changed_at = ? WHERE seq = ?";
    sqlx::query(sql)
        .bind(row.state.as_str())
        .bind(row.status.as_str())
        .bind(row.to_do().map(BatchToDo::as_str))
        .bind(job.started_at.map(signed))
        .bind(job.ended_at.map(signed))
        .bind(signed(job.modified_at))
        .bind(row.seq)
        .execute(&mut *conn)
        .await?;
    if row.status == old {
        return Ok(());
    }
    if let Some(parent) = &row.parent {
        count(conn, parent, (old, row.status), job).await?;
    }
    ended(conn, &row.id, row.status).await
}

/// A child of the array `parent` has another status.
async fn count(
    conn: &mut SqliteConnection,
    parent: &str,
    (old, new): (BatchStatus, BatchStatus),
    child: &Job,
) -> Result<(), StoreError> {
    let (less, more) = (old.as_str().to_lowercase(), new.as_str().to_lowercase());
    let sql = AssertSqlSafe(format!(
        "UPDATE batch_jobs SET {less} = {less} - 1, {more} = {more} + 1, changed_at = ?,
             started_at = coalesce(started_at, ?)
         WHERE id = ? RETURNING *"
    ));
    let query = sqlx::query(sql).bind(signed(child.modified_at));
    let query = query.bind(child.started_at.map(signed)).bind(parent);
    let Some(row) = query.fetch_optional(&mut *conn).await? else { return Ok(()) };
    let columns = Columns::new(&row, "batch_jobs", "seq");
    let (was, is) = (columns.parse::<BatchStatus>("status")?, counts(&columns)?.status());
    if was == is {
        return Ok(());
    }
    let sql = "UPDATE batch_jobs SET status = ?, ended_at = ? WHERE id = ?";
    let ended_at = is.is_final().then(|| signed(child.modified_at));
    sqlx::query(sql).bind(is.as_str()).bind(ended_at).bind(parent).execute(&mut *conn).await?;
    ended(conn, parent, is).await
}

/// Tells those that wait for job `id`, if that is its end.
async fn ended(
    conn: &mut SqliteConnection,
    id: &str,
    status: BatchStatus,
) -> Result<(), StoreError> {
    if !status.is_final() {
        return Ok(());
    }
    let waiting = "id IN (SELECT job FROM batch_dependencies WHERE waits_for = ?)";
    let succeeded = status == BatchStatus::Succeeded;
    for mut row in rows(conn, waiting, id).await? {
        row.wait = row.wait.after_end(succeeded);
        let reason = row.wait.is_doomed.then_some(DEPENDENCY_FAILED);
        write_wait(conn, &row, reason).await?;
    }
    let sql = "DELETE FROM batch_dependencies WHERE waits_for = ?";
    sqlx::query(sql).bind(id).execute(conn).await?;
    Ok(())
}

/// Somebody wants job `id` and its children to end.
pub(super) async fn ask(
    conn: &mut SqliteConnection,
    id: &str,
    asked: Asked,
    reason: &str,
) -> Result<Option<()>, StoreError> {
    let Some(row) = rows(conn, "id = ?", id).await?.pop() else { return Ok(None) };
    let children = if row.is_array { rows(conn, "parent = ?", id).await? } else { Vec::new() };
    for mut row in children.into_iter().chain([row]).filter(|row| !row.status.is_final()) {
        row.wait.asked = row.wait.asked.max(Some(asked));
        if row.is_array || row.to_do().is_some() {
            write_wait(conn, &row, Some(reason)).await?;
        }
    }
    Ok(Some(()))
}

/// Writes what a job waits for; the first reason stays.
async fn write_wait(
    conn: &mut SqliteConnection,
    row: &Row,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let sql = "UPDATE batch_jobs SET waits = ?, doomed = ?, asked = ?, to_do = ?,
                   reason = coalesce(reason, ?) WHERE seq = ?";
    sqlx::query(sql)
        .bind(row.wait.waits)
        .bind(row.wait.is_doomed)
        .bind(row.wait.asked.map(Asked::as_str))
        .bind(row.to_do().map(BatchToDo::as_str))
        .bind(reason)
        .bind(row.seq)
        .execute(conn)
        .await?;
    Ok(())
}
