//! Versions of pipelines.

use sqlx::{QueryBuilder, SqliteConnection};

use super::{
    PipelineTable,
    record::{self, Page, PipelineRecord, VersionRecord},
};
use crate::{error::StoreError, row::signed};

/// What is changed about a version; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionChange {
    /// What it is called where people see it.
    pub display_name: Option<String>,
    /// What is new in it, in words.
    pub description: Option<String>,
    /// Names that it gets; versions that had them lose them.
    pub add_aliases: Vec<String>,
    /// Names that it loses.
    pub remove_aliases: Vec<String>,
}

impl PipelineTable<'_> {
    /// A version of a pipeline.
    pub async fn version(
        &self,
        pipeline: &PipelineRecord,
        version: u64,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let sql = "SELECT * FROM pipeline_versions WHERE pipeline_id = ? AND version = ?";
        let query = sqlx::query(sql).bind(pipeline.id).bind(signed(version));
        let row = query.fetch_optional(self.0.readers()).await?;
        row.as_ref().map(record::version).transpose()
    }

    /// The version of a pipeline that has this alias.
    pub async fn aliased(
        &self,
        pipeline: &PipelineRecord,
        alias: &str,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let sql = "SELECT * FROM pipeline_versions WHERE pipeline_id = ? AND EXISTS
                   (SELECT 1 FROM json_each(aliases) WHERE json_each.value = ?)";
        let query = sqlx::query(sql).bind(pipeline.id).bind(alias);
        let row = query.fetch_optional(self.0.readers()).await?;
        row.as_ref().map(record::version).transpose()
    }

    /// A page of a pipeline's versions.
    pub async fn versions(
        &self,
        pipeline: &PipelineRecord,
        (after, before): (Option<u64>, Option<u64>),
        descending: bool,
        limit: u32,
        page: Option<&str>,
    ) -> Result<Page<VersionRecord>, StoreError> {
        let mut sql = QueryBuilder::new("SELECT * FROM pipeline_versions WHERE pipeline_id = ");
        sql.push_bind(pipeline.id);
        record::within(&mut sql, after, before);
        record::in_order(&mut sql, "version", descending, record::number(page)?);
        sql.push(" LIMIT ").push_bind(record::one_more(limit));
        let rows = sql.build().fetch_all(self.0.readers()).await?;
        record::page(&rows, limit, record::version, |version| version.version.to_string())
    }

    /// Changes a version. Returns whether it is there.
    pub async fn update_version(
        &self,
        pipeline: &PipelineRecord,
        version: u64,
        change: VersionChange,
    ) -> Result<bool, StoreError> {
        let pipeline = pipeline.id;
        let write = self.0.write(move |conn| {
            Box::pin(async move { update(conn, pipeline, version, change).await })
        });
        write.await
    }
}

async fn update(
    conn: &mut SqliteConnection,
    pipeline: i64,
    version: u64,
    change: VersionChange,
) -> Result<bool, StoreError> {
    let all = "SELECT * FROM pipeline_versions WHERE pipeline_id = ?";
    let rows = sqlx::query(all).bind(pipeline).fetch_all(&mut *conn).await?;
    let mut is_there = false;
    for row in &rows {
        let mut known = record::version(row)?;
        let before = known.clone();
        known.aliases.retain(|alias| !change.add_aliases.contains(alias));
        if known.version == version {
            is_there = true;
            known.aliases.retain(|alias| !change.remove_aliases.contains(alias));
            known.aliases.extend(change.add_aliases.iter().cloned());
            known.display_name = change.display_name.clone().or(known.display_name);
            known.description = change.description.clone().or(known.description);
        }
        if known == before {
            continue;
        }
        let sql = "UPDATE pipeline_versions SET display_name = ?, description = ?, aliases = ?
                   WHERE pipeline_id = ? AND version = ?";
        let query = sqlx::query(sql).bind(&known.display_name).bind(&known.description);
        let query = query.bind(json(&known.aliases)).bind(pipeline).bind(signed(known.version));
        query.execute(&mut *conn).await?;
    }
    Ok(is_there)
}

/// Keeps the definition of a pipeline's latest version.
pub(super) async fn insert(
    conn: &mut SqliteConnection,
    pipeline: &PipelineRecord,
    definition: &str,
    aliases: &[String],
) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO pipeline_versions (pipeline_id, version, definition, aliases, created_at)
               VALUES (?, ?, ?, '[]', ?)";
    sqlx::query(sql)
        .bind(pipeline.id)
        .bind(signed(pipeline.version))
        .bind(definition)
        .bind(signed(pipeline.modified_at))
        .execute(&mut *conn)
        .await?;
    if !aliases.is_empty() {
        let change = VersionChange { add_aliases: aliases.to_vec(), ..VersionChange::default() };
        update(conn, pipeline.id, pipeline.version, change).await?;
    }
    Ok(())
}

fn json(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}
