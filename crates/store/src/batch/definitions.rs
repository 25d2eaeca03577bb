//! Job definitions and their revisions.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    row::Columns,
    tags::{self, Tag},
};

/// A revision of a job definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchDefinition {
    /// Its number, over all definitions, growing with time.
    pub id: i64,
    /// The definition's name.
    pub name: String,
    /// Counts the name's revisions from 1.
    pub revision: u32,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// Whether jobs can be submitted by it.
    pub is_active: bool,
    /// What it says, as JSON.
    pub document: String,
}

/// Which definitions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BatchDefinitionQuery {
    /// Of this name.
    pub name: Option<String>,
    /// Active or not.
    pub is_active: Option<bool>,
    /// With a smaller number: where the page before ended.
    pub below: Option<i64>,
    /// At most.
    pub limit: u32,
}

pub(super) async fn register(
    conn: &mut SqliteConnection,
    name: &str,
    prefix: &str,
    document: String,
    with: &[Tag],
) -> Result<BatchDefinition, StoreError> {
    let sql = "SELECT coalesce(max(revision), 0) + 1 FROM batch_definitions WHERE name = ?";
    let revision: u32 = sqlx::query_scalar(sql).bind(name).fetch_one(&mut *conn).await?;
    let arn = format!("{prefix}{name}:{revision}");
    let sql = "INSERT INTO batch_definitions (name, revision, arn, active, document)
               VALUES (?, ?, ?, 1, ?)";
    let query = sqlx::query(sql).bind(name).bind(revision).bind(&arn).bind(&document);
    let id = query.execute(&mut *conn).await?.last_insert_rowid();
    tags::insert(conn, &arn, with).await?;
    Ok(BatchDefinition { id, name: name.to_owned(), revision, arn, is_active: true, document })
}

pub(super) async fn deregister(conn: &mut SqliteConnection, arn: &str) -> Result<(), StoreError> {
    let sql = "UPDATE batch_definitions SET active = 0 WHERE arn = ?";
    sqlx::query(sql).bind(arn).execute(conn).await?;
    Ok(())
}

pub(super) async fn get(
    readers: &SqlitePool,
    name: &str,
    revision: Option<u32>,
) -> Result<Option<BatchDefinition>, StoreError> {
    let sql = "SELECT id, name, revision, arn, active, document FROM batch_definitions
               WHERE name = ?1 AND CASE WHEN ?2 IS NULL THEN active ELSE revision = ?2 END
               ORDER BY revision DESC LIMIT 1";
    let row = sqlx::query(sql).bind(name).bind(revision).fetch_optional(readers).await?;
    row.as_ref().map(definition).transpose()
}

pub(super) async fn list(
    readers: &SqlitePool,
    query: &BatchDefinitionQuery,
) -> Result<Vec<BatchDefinition>, StoreError> {
    let mut sql = QueryBuilder::<Sqlite>::new(
        "SELECT id, name, revision, arn, active, document FROM batch_definitions WHERE 1",
    );
    if let Some(name) = &query.name {
        sql.push(" AND name = ").push_bind(name.clone());
    }
    if let Some(is_active) = query.is_active {
        sql.push(" AND active = ").push_bind(is_active);
    }
    if let Some(below) = query.below {
        sql.push(" AND id < ").push_bind(below);
    }
    sql.push(" ORDER BY id DESC LIMIT ").push_bind(query.limit);
    sql.build().fetch_all(readers).await?.iter().map(definition).collect()
}

fn definition(row: &SqliteRow) -> Result<BatchDefinition, StoreError> {
    let columns = Columns::new(row, "batch_definitions", "id");
    Ok(BatchDefinition {
        id: columns.get("id")?,
        name: columns.get("name")?,
        revision: columns.count("revision")?,
        arn: columns.get("arn")?,
        is_active: columns.get("active")?,
        document: columns.get("document")?,
    })
}
