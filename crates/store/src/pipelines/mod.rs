//! Pipelines: their versions, their executions with the steps, and the results that later
//! executions may use again. What states and definitions mean is their manager's business.

mod executions;
mod record;
mod results;
mod versions;

use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

pub use executions::{
    ExecutionChange, ExecutionQuery, ExecutionRecord, NewEvent, NewExecution, StepRow,
};
pub use record::{Page, PipelineRecord, VersionRecord};
pub(crate) use record::{in_order, number, one_more, page, within};
pub use results::ResultRow;
pub use versions::VersionChange;

use crate::{
    error::StoreError,
    row::signed,
    store::Store,
    tags::{self, Tag},
};

/// The table of pipelines.
pub struct PipelineTable<'s>(pub(crate) &'s Store);

/// A pipeline to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPipeline {
    /// The pipeline; its version is 1.
    pub pipeline: PipelineRecord,
    /// Its definition.
    pub definition: String,
    /// Names of the version.
    pub aliases: Vec<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// What is changed about a pipeline; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the members are those of `PipelineRecord` and `VersionRecord`")]
pub struct PipelineChange {
    pub display_name: Option<String>,
    pub description: Option<String>,
    pub role_arn: Option<String>,
    pub parallelism: Option<u32>,
    /// Makes a new version.
    pub definition: Option<String>,
    pub aliases: Vec<String>,
}

/// Which pipelines to list. Instants are milliseconds since 1970 and belong to the range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineQuery {
    /// Whose names begin so.
    pub prefix: Option<String>,
    /// Made at this instant or later.
    pub created_after: Option<u64>,
    /// Made at this instant or earlier.
    pub created_before: Option<u64>,
    /// Ordered by name, not by when they were made.
    pub by_name: bool,
    /// The greatest first.
    pub descending: bool,
    /// Pipelines on a page, at most.
    pub limit: u32,
    /// Where to go on.
    pub page: Option<String>,
}

impl PipelineTable<'_> {
    /// Keeps a pipeline. Its name must be new; the same call again changes nothing.
    pub async fn create(&self, new: NewPipeline) -> Result<PipelineRecord, StoreError> {
        self.0.write(move |conn| Box::pin(async move { create(conn, new).await })).await
    }

    /// The pipeline of that name.
    pub async fn get(&self, name: &str) -> Result<Option<PipelineRecord>, StoreError> {
        let mut reader = self.0.readers().acquire().await?;
        record::by_name(&mut reader, name).await
    }

    /// Changes a pipeline. Returns it, if it is there.
    pub async fn update(
        &self,
        name: &str,
        change: PipelineChange,
        now: u64,
    ) -> Result<Option<PipelineRecord>, StoreError> {
        let name = name.to_owned();
        let write = self
            .0
            .write(move |conn| Box::pin(async move { update(conn, &name, change, now).await }));
        write.await
    }

    /// Forgets a pipeline with all that belongs to it. Returns it, if it was there; one with an
    /// execution under way is left as it is.
    pub async fn delete(&self, name: &str) -> Result<Option<PipelineRecord>, StoreError> {
        let name = name.to_owned();
        self.0.write(move |conn| Box::pin(async move { delete(conn, &name).await })).await
    }

    /// A page of the pipelines that `query` is about.
    pub async fn list(&self, query: &PipelineQuery) -> Result<Page<PipelineRecord>, StoreError> {
        let mut sql = statement(query)?;
        let rows = sql.build().fetch_all(self.0.readers()).await?;
        let token = |pipeline: &PipelineRecord| {
            if query.by_name { pipeline.name.clone() } else { pipeline.id.to_string() }
        };
        record::page(&rows, query.limit, record::pipeline, token)
    }
}

async fn create(
    conn: &mut SqliteConnection,
    new: NewPipeline,
) -> Result<PipelineRecord, StoreError> {
    let mut pipeline = new.pipeline;
    if let Some(known) = record::by_name(conn, &pipeline.name).await? {
        if known.token == pipeline.token {
            return Ok(known);
        }
        return Err(StoreError::AlreadyExists { what: "pipeline".to_owned(), name: pipeline.name });
    }
    let sql = "INSERT INTO pipelines (name, arn, display_name, description, role_arn, parallelism,
                   version, token, created_at, modified_at) VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?, ?)";
    let query = sqlx::query(sql).bind(&pipeline.name).bind(&pipeline.arn);
    let query = query.bind(&pipeline.display_name).bind(&pipeline.description);
    let query = query.bind(&pipeline.role_arn).bind(pipeline.parallelism).bind(&pipeline.token);
    let at = signed(pipeline.created_at);
    pipeline.id = query.bind(at).bind(at).execute(&mut *conn).await?.last_insert_rowid();
    pipeline.version = 1;
    versions::insert(conn, &pipeline, &new.definition, &new.aliases).await?;
    tags::insert(conn, &pipeline.arn, &new.tags).await?;
    Ok(pipeline)
}

async fn update(
    conn: &mut SqliteConnection,
    name: &str,
    change: PipelineChange,
    now: u64,
) -> Result<Option<PipelineRecord>, StoreError> {
    let Some(mut pipeline) = record::by_name(conn, name).await? else { return Ok(None) };
    pipeline.display_name = change.display_name.or(pipeline.display_name);
    pipeline.description = change.description.or(pipeline.description);
    pipeline.role_arn = change.role_arn.unwrap_or(pipeline.role_arn);
    pipeline.parallelism = change.parallelism.or(pipeline.parallelism);
    pipeline.modified_at = now;
    if let Some(definition) = &change.definition {
        pipeline.version += 1;
        versions::insert(conn, &pipeline, definition, &change.aliases).await?;
    }
    let sql = "UPDATE pipelines SET display_name = ?, description = ?, role_arn = ?,
                   parallelism = ?, version = ?, modified_at = ? WHERE id = ?";
    sqlx::query(sql)
        .bind(&pipeline.display_name)
        .bind(&pipeline.description)
        .bind(&pipeline.role_arn)
        .bind(pipeline.parallelism)
        .bind(signed(pipeline.version))
        .bind(signed(now))
        .bind(pipeline.id)
        .execute(conn)
        .await?;
    Ok(Some(pipeline))
}

async fn delete(
    conn: &mut SqliteConnection,
    name: &str,
) -> Result<Option<PipelineRecord>, StoreError> {
    let Some(pipeline) = record::by_name(conn, name).await? else { return Ok(None) };
    let open =
        "SELECT count(*) FROM pipeline_executions WHERE pipeline_id = ? AND ended_at IS NULL";
    let open: i64 = sqlx::query_scalar(open).bind(pipeline.id).fetch_one(&mut *conn).await?;
    if open > 0 {
        return Err(StoreError::InProgress { what: "pipeline".to_owned(), name: pipeline.name });
    }
    for sql in [
        "DELETE FROM pipeline_steps WHERE execution_id IN
             (SELECT id FROM pipeline_executions WHERE pipeline_id = ?)",
        "DELETE FROM pipeline_executions WHERE pipeline_id = ?",
        "DELETE FROM pipeline_results WHERE pipeline_id = ?",
        "DELETE FROM pipeline_versions WHERE pipeline_id = ?",
        "DELETE FROM pipelines WHERE id = ?",
    ] {
        sqlx::query(sql).bind(pipeline.id).execute(&mut *conn).await?;
    }
    sqlx::query("DELETE FROM tags WHERE arn = ?").bind(&pipeline.arn).execute(conn).await?;
    Ok(Some(pipeline))
}

fn statement(query: &PipelineQuery) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut sql = QueryBuilder::new("SELECT * FROM pipelines WHERE 1");
    if let Some(prefix) = &query.prefix {
        let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        sql.push(" AND substr(name, 1, ").push_bind(length).push(") = ").push_bind(prefix.clone());
    }
    record::within(&mut sql, query.created_after, query.created_before);
    if query.by_name {
        record::in_order(&mut sql, "name", query.descending, query.page.clone());
    } else {
        let page = record::number(query.page.as_deref())?;
        record::in_order(&mut sql, "id", query.descending, page);
    }
    sql.push(" LIMIT ").push_bind(record::one_more(query.limit));
    Ok(sql)
}
