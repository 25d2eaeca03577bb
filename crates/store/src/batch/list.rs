//! Lists of Batch's jobs.

use bessemer_domain::{BatchStatus, BatchToDo, JobId};
use sqlx::{QueryBuilder, Sqlite, SqlitePool};

use super::{
    BatchJob,
    job::{COLUMNS, read},
};
use crate::{
    error::StoreError,
    row::{Columns, signed},
};

/// Which jobs to list. Instants are milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchJobQuery {
    /// The children of this array, in their order.
    pub parent: Option<String>,
    /// Or else the jobs of the queue of this ARN that are no children, the latest first.
    pub queue: String,
    /// Of this status.
    pub status: Option<BatchStatus>,
    /// With one of these names; a `*` at the end stands for anything.
    pub names: Vec<String>,
    /// By one of these definitions, as `name` or `name:revision`; `*` as in names.
    pub definitions: Vec<String>,
    /// Submitted before this instant.
    pub created_before: Option<u64>,
    /// Submitted after it.
    pub created_after: Option<u64>,
    /// Jobs on a page, at most.
    pub limit: u32,
    /// Where to go on: [`BatchJobPage::next`] of the page before.
    pub page: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchJobPage {
    /// The jobs on it.
    pub jobs: Vec<BatchJob>,
    /// Where the next page goes on, if there is one.
    pub next: Option<String>,
}

pub(super) async fn page(
    readers: &SqlitePool,
    query: &BatchJobQuery,
) -> Result<BatchJobPage, StoreError> {
    let mut sql = statement(query)?;
    let rows = sql.build().fetch_all(readers).await?;
    let limit = query.limit.max(1) as usize;
    let jobs = rows.iter().take(limit).map(read).collect::<Result<Vec<_>, _>>()?;
    let last = jobs.last().filter(|_| rows.len() > limit);
    let next = last.map(|job| job.seq.to_string());
    Ok(BatchJobPage { jobs, next })
}

fn statement(query: &BatchJobQuery) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut sql = QueryBuilder::new(format!("SELECT {COLUMNS} FROM batch_jobs WHERE "));
    let order = if let Some(parent) = &query.parent {
        sql.push("parent = ").push_bind(parent.clone());
        ""
    } else {
        sql.push("parent IS NULL AND queue = ").push_bind(query.queue.clone());
        " DESC"
    };
    if let Some(status) = query.status {
        sql.push(" AND status = ").push_bind(status.as_str());
    }
    any_like(&mut sql, "name", &query.names);
    let definitions = query.definitions.iter();
    let of_any_revision = |definition: &String| {
        let is_whole = definition.contains([':', '*']);
        if is_whole { definition.clone() } else { format!("{definition}:*") }
    };
    any_like(&mut sql, "definition", &definitions.map(of_any_revision).collect::<Vec<_>>());
    let ranges =
        [(" AND created_at < ", query.created_before), (" AND created_at > ", query.created_after)];
    for (condition, instant) in ranges {
        if let Some(instant) = instant {
            sql.push(condition).push_bind(signed(instant));
        }
    }
    if let Some(page) = &query.page {
        let seq: i64 = page.parse().map_err(|_| StoreError::BadPageToken(page.clone()))?;
        sql.push(if order.is_empty() { " AND seq > " } else { " AND seq < " }).push_bind(seq);
    }
    sql.push(" ORDER BY seq").push(order);
    sql.push(" LIMIT ").push_bind(i64::from(query.limit.max(1)) + 1);
    Ok(sql)
}

/// The column has to look like one of the patterns, in any case of letters.
fn any_like(sql: &mut QueryBuilder<Sqlite>, column: &str, patterns: &[String]) {
    for (index, pattern) in patterns.iter().enumerate() {
        let escaped = pattern.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        let like = match escaped.strip_suffix('*') {
            Some(begin) => format!("{begin}%"),
            None => escaped,
        };
        sql.push(if index == 0 { " AND (" } else { " OR " });
        sql.push(column).push(" LIKE ").push_bind(like).push(" ESCAPE '\\'");
    }
    if !patterns.is_empty() {
        sql.push(")");
    }
}

pub(super) async fn to_do(
    readers: &SqlitePool,
    limit: u32,
) -> Result<Vec<(JobId, BatchToDo)>, StoreError> {
    let sql = "SELECT seq, job_id, to_do FROM batch_jobs INDEXED BY batch_jobs_to_do
               WHERE to_do IS NOT NULL ORDER BY seq LIMIT ?";
    let rows = sqlx::query(sql).bind(limit).fetch_all(readers).await?;
    let one = |row| {
        let columns = Columns::new(row, "batch_jobs", "seq");
        Ok((JobId(columns.get("job_id")?), columns.parse("to_do")?))
    };
    rows.iter().map(one).collect()
}
