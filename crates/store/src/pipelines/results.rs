//! Results of steps that later executions may use again.

use sqlx::SqliteConnection;

use super::PipelineTable;
use crate::{
    error::StoreError,
    row::{Columns, signed},
};

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// The step's name.
    pub step: String,
    /// What it was made from.
    pub hash: String,
    /// The ARN of the execution that has it.
    pub execution: String,
    /// What others may refer to, as JSON.
    pub properties: String,
    /// What the step is known by, as JSON.
    pub metadata: String,
    /// When it came to be, in milliseconds since 1970.
    pub ended_at: u64,
}

impl PipelineTable<'_> {
    /// The latest result of a step of pipeline number `pipeline` that was made from the same, at
    /// `since` or later.
    pub async fn result(
        &self,
        pipeline: i64,
        step: &str,
        hash: &str,
        since: u64,
    ) -> Result<Option<ResultRow>, StoreError> {
        let sql = "SELECT * FROM pipeline_results
                   WHERE pipeline_id = ? AND step = ? AND hash = ? AND ended_at >= ?";
        let query = sqlx::query(sql).bind(pipeline).bind(step).bind(hash).bind(signed(since));
        let row = query.fetch_optional(self.0.readers()).await?;
        let read = |row| {
            let columns = Columns::new(row, "pipeline_results", "step");
            Ok(ResultRow {
                step: columns.get("step")?,
                hash: columns.get("hash")?,
                execution: columns.get("execution")?,
                properties: columns.get("properties")?,
                metadata: columns.get("metadata")?,
                ended_at: columns.count("ended_at")?,
            })
        };
        row.as_ref().map(read).transpose()
    }
}

pub(super) async fn insert(
    conn: &mut SqliteConnection,
    pipeline: i64,
    result: &ResultRow,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO pipeline_results
                   (pipeline_id, step, hash, execution, properties, metadata, ended_at)
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(pipeline)
        .bind(&result.step)
        .bind(&result.hash)
        .bind(&result.execution)
        .bind(&result.properties)
        .bind(&result.metadata)
        .bind(signed(result.ended_at))
        .execute(conn)
        .await?;
    Ok(())
}
