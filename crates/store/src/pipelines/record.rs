//! Rows of pipelines and of their versions, and pages of rows.

use sqlx::{Encode, QueryBuilder, Sqlite, SqliteConnection, Type, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    row::{Columns, signed},
};

/// A pipeline. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineRecord {
    /// Its number.
    pub id: i64,
    /// Its name, unique.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// What it is called where people see it.
    pub display_name: Option<String>,
    /// What it is for, in words.
    pub description: Option<String>,
    /// The role that its steps have.
    pub role_arn: String,
    /// Steps of an execution that may run at once.
    pub parallelism: Option<u32>,
    /// Its latest version.
    pub version: u64,
    /// The token of the call that made it.
    pub token: String,
    /// When it was made.
    pub created_at: u64,
    /// When it was last changed.
    pub modified_at: u64,
    /// When an execution was last started.
    pub last_run_at: Option<u64>,
}

/// A version of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRecord {
    /// Counts a pipeline's versions from 1.
    pub version: u64,
    /// Its definition.
    pub definition: String,
    /// What it is called where people see it.
    pub display_name: Option<String>,
    /// What is new in it, in words.
    pub description: Option<String>,
    /// Its names.
    pub aliases: Vec<String>,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// The ARN of the execution that was last started of it.
    pub last_execution: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is on it.
    pub entries: Vec<T>,
    /// Where the next page goes on, if there is one.
    pub next: Option<String>,
}

pub(super) async fn by_name(
    conn: &mut SqliteConnection,
    name: &str,
) -> Result<Option<PipelineRecord>, StoreError> {
    let query = sqlx::query("SELECT * FROM pipelines WHERE name = ?").bind(name);
    query.fetch_optional(conn).await?.as_ref().map(pipeline).transpose()
}

pub(super) fn pipeline(row: &SqliteRow) -> Result<PipelineRecord, StoreError> {
    let columns = Columns::new(row, "pipelines", "id");
    Ok(PipelineRecord {
        id: columns.get("id")?,
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        display_name: columns.get("display_name")?,
        description: columns.get("description")?,
        role_arn: columns.get("role_arn")?,
        parallelism: columns.maybe_count("parallelism")?,
        version: columns.count("version")?,
        token: columns.get("token")?,
        created_at: columns.count("created_at")?,
        modified_at: columns.count("modified_at")?,
        last_run_at: columns.maybe_count("last_run_at")?,
    })
}

pub(super) fn version(row: &SqliteRow) -> Result<VersionRecord, StoreError> {
    let columns = Columns::new(row, "pipeline_versions", "version");
    let aliases = serde_json::from_str(columns.get("aliases")?);
    Ok(VersionRecord {
        version: columns.count("version")?,
        definition: columns.get("definition")?,
        display_name: columns.get("display_name")?,
        description: columns.get("description")?,
        aliases: aliases.map_err(|_| columns.bad("aliases"))?,
        created_at: columns.count("created_at")?,
        last_execution: columns.get("last_execution")?,
    })
}

/// Rows that a page needs to know whether another follows.
pub(crate) fn one_more(limit: u32) -> i64 {
    i64::from(limit.max(1)) + 1
}

/// The page that rows make.
pub(crate) fn page<T>(
    rows: &[SqliteRow],
    limit: u32,
    read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    token: impl Fn(&T) -> String,
) -> Result<Page<T>, StoreError> {
    let limit = limit.max(1) as usize;
    let entries = rows.iter().take(limit).map(read).collect::<Result<Vec<T>, _>>()?;
    let next = entries.last().filter(|_| rows.len() > limit).map(token);
    Ok(Page { entries, next })
}

/// Only what was made in this time.
pub(crate) fn within(sql: &mut QueryBuilder<Sqlite>, after: Option<u64>, before: Option<u64>) {
    if let Some(instant) = after {
        sql.push(" AND created_at >= ").push_bind(signed(instant));
    }
    if let Some(instant) = before {
        sql.push(" AND created_at <= ").push_bind(signed(instant));
    }
}

/// Orders by a unique column, from where the last page ended.
pub(crate) fn in_order<T>(
    sql: &mut QueryBuilder<Sqlite>,
    column: &str,
    descending: bool,
    last: Option<T>,
) where
    T: for<'q> Encode<'q, Sqlite> + Type<Sqlite>,
{
    let (beyond, direction) = if descending { (" < ", " DESC") } else { (" > ", "") };
    if let Some(last) = last {
        sql.push(" AND ").push(column).push(beyond).push_bind(last);
    }
    sql.push(" ORDER BY ").push(column).push(direction);
}

/// A page token that is a number.
pub(crate) fn number(token: Option<&str>) -> Result<Option<i64>, StoreError> {
    let bad = |token: &str| StoreError::BadPageToken(token.to_owned());
    token.map(|token| token.parse().map_err(|_| bad(token))).transpose()
}
