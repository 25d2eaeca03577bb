//! The database's form, version by version. `PRAGMA user_version` tells which one it is in.

use std::path::Path;

use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::error::StoreError;

/// The scripts that lead from each version to the next; a script once released never changes.
const SCRIPTS: &[&str] = &[
    include_str!("../migrations/0001_jobs.sql"),
    include_str!("../migrations/0002_instances.sql"),
    include_str!("../migrations/0003_status.sql"),
    include_str!("../migrations/0004_queues.sql"),
    include_str!("../migrations/0006_pipelines.sql"),
    include_str!("../migrations/0007_batch.sql"),
    include_str!("../migrations/0008_functions.sql"),
    include_str!("../migrations/0009_tuning.sql"),
];

/// The version that this release writes.
pub(crate) const CURRENT: i64 = SCRIPTS.len() as i64;

/// Brings the database to [`CURRENT`], each step whole or not at all.
pub(crate) async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *conn).await?;
    let start = usize::try_from(found).unwrap_or(usize::MAX);
    let Some(scripts) = SCRIPTS.get(start..) else {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: CURRENT });
    };
    for (script, version) in scripts.iter().zip(found + 1..) {
        let mut step = conn.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*script).execute(&mut *step).await?;
        let version = AssertSqlSafe(format!("PRAGMA user_version = {version}"));
        sqlx::raw_sql(version).execute(&mut *step).await?;
        step.commit().await?;
    }
    Ok(())
}
