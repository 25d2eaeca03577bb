//! Compute environments, job queues, scheduling policies and service environments.

use sqlx::{SqliteConnection, SqlitePool, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    row::{Columns, signed},
    tags::{self, Tag},
};

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchResourceKind {
    /// Where jobs run.
    ComputeEnvironment,
    /// What jobs wait in.
    JobQueue,
    /// How a queue is shared.
    SchedulingPolicy,
    /// Where service jobs run.
    ServiceEnvironment,
}

impl BatchResourceKind {
    /// The type of its ARNs, and its name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComputeEnvironment => "compute-environment",
            Self::JobQueue => "job-queue",
            Self::SchedulingPolicy => "scheduling-policy",
            Self::ServiceEnvironment => "service-environment",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::ComputeEnvironment,
            Self::JobQueue,
            Self::SchedulingPolicy,
            Self::ServiceEnvironment,
        ];
        all.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Something that jobs are described by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchResource {
    /// Of which kind it is.
    pub kind: BatchResourceKind,
    /// Its name, unique for its kind.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// What it is, as JSON.
    pub document: String,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
}

pub(super) async fn create(
    conn: &mut SqliteConnection,
    new: &BatchResource,
    with: &[Tag],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO batch_resources (kind, name, arn, document, created_at)
               VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let query = sqlx::query(sql).bind(new.kind.as_str()).bind(&new.name).bind(&new.arn);
    let query = query.bind(&new.document).bind(signed(new.created_at));
    if query.execute(&mut *conn).await?.rows_affected() == 0 {
        let what = new.kind.as_str().to_owned();
        return Err(StoreError::AlreadyExists { what, name: new.name.clone() });
    }
    tags::insert(conn, &new.arn, with).await
}

pub(super) async fn get(
    readers: &SqlitePool,
    kind: BatchResourceKind,
    name: &str,
) -> Result<Option<BatchResource>, StoreError> {
    let sql = "SELECT id, kind, name, arn, document, created_at FROM batch_resources
               WHERE kind = ?1 AND (name = ?2 OR arn = ?2)";
    let row = sqlx::query(sql).bind(kind.as_str()).bind(name).fetch_optional(readers).await?;
    row.as_ref().map(resource).transpose()
}

pub(super) async fn list(
    readers: &SqlitePool,
    kind: BatchResourceKind,
) -> Result<Vec<BatchResource>, StoreError> {
    let sql = "SELECT id, kind, name, arn, document, created_at FROM batch_resources
               WHERE kind = ? ORDER BY id";
    let rows = sqlx::query(sql).bind(kind.as_str()).fetch_all(readers).await?;
    rows.iter().map(resource).collect()
}

pub(super) async fn update(
    conn: &mut SqliteConnection,
    arn: &str,
    document: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE batch_resources SET document = ? WHERE arn = ?";
    sqlx::query(sql).bind(document).bind(arn).execute(conn).await?;
    Ok(())
}

pub(super) async fn delete(conn: &mut SqliteConnection, arn: &str) -> Result<(), StoreError> {
    for sql in ["DELETE FROM batch_resources WHERE arn = ?", "DELETE FROM tags WHERE arn = ?"] {
        sqlx::query(sql).bind(arn).execute(&mut *conn).await?;
    }
    Ok(())
}

fn resource(row: &SqliteRow) -> Result<BatchResource, StoreError> {
    let columns = Columns::new(row, "batch_resources", "id");
    let kind = BatchResourceKind::parse(columns.get("kind")?);
    Ok(BatchResource {
        kind: columns.required("kind", kind)?,
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        document: columns.get("document")?,
        created_at: columns.count("created_at")?,
    })
}
