//! Executions of pipelines, with their steps.

use sqlx::{QueryBuilder, SqliteConnection, sqlite::SqliteRow};

use super::{
    PipelineTable,
    record::{self, Page, PipelineRecord},
    results::{self, ResultRow},
};
use crate::{
    error::StoreError,
    outbox,
    row::{Columns, signed},
    store::Store,
};

/// An execution. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionRecord {
    /// Its number.
    pub id: i64,
    /// Its ARN.
    pub arn: String,
    /// The number of its pipeline.
    pub pipeline: i64,
    /// The version of the pipeline that it is of.
    pub version: u64,
    /// The token of the call that started it.
    pub token: String,
    /// What it was started with, as JSON.
    pub request: String,
    /// Where it stands.
    pub status: String,
    /// Its state, as JSON, without its steps.
    pub state: String,
    /// When it was started.
    pub created_at: u64,
    /// When it last changed.
    pub modified_at: u64,
    /// When it came to its end.
    pub ended_at: Option<u64>,
}

/// A step of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// Its name.
    pub name: String,
    /// Its state, as JSON.
    pub state: String,
    /// By what it is answered, if it is a callback that waits.
    pub callback: Option<String>,
}

/// An event for whoever reacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// What kind of thing it happened to.
    pub topic: String,
    /// Which one.
    pub subject: String,
    /// What happened, as JSON.
    pub body: String,
}

/// An execution to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewExecution {
    /// The execution, without a number.
    pub execution: ExecutionRecord,
    /// Its steps.
    pub steps: Vec<StepRow>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
}

/// What becomes of an execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutionChange {
    /// Its number.
    pub id: i64,
    /// The number of its pipeline.
    pub pipeline: i64,
    /// Where it stands.
    pub status: String,
    /// Whether that is its end.
    pub is_final: bool,
    /// Its state, as JSON.
    pub state: String,
    /// The steps that changed.
    pub steps: Vec<StepRow>,
    /// Results that later executions may use again.
    pub results: Vec<ResultRow>,
    /// What is told of it.
    pub events: Vec<NewEvent>,
    /// When.
    pub at: u64,
}

/// Which executions of a pipeline to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionQuery {
    /// Started at this instant or later.
    pub created_after: Option<u64>,
    /// Started at this instant or earlier.
    pub created_before: Option<u64>,
    /// Ordered by ARN, not by when they were started.
    pub by_arn: bool,
    /// The greatest first.
    pub descending: bool,
    /// Executions on a page, at most.
    pub limit: u32,
    /// Where to go on.
    pub page: Option<String>,
}

impl PipelineTable<'_> {
    /// Keeps a new execution. If the same call has started one already, that is returned, with
    /// `false`.
    pub async fn start(&self, new: NewExecution) -> Result<(ExecutionRecord, bool), StoreError> {
        self.0.write(move |conn| Box::pin(async move { start(conn, new).await })).await
    }

    /// Keeps what has become of an execution.
    pub async fn change(&self, change: ExecutionChange) -> Result<(), StoreError> {
        self.0.write(move |conn| Box::pin(async move { self::change(conn, change).await })).await
    }

    /// Keeps another request as what execution number `id` was started with.
    pub async fn set_request(&self, id: i64, request: String) -> Result<(), StoreError> {
        let sql = "UPDATE pipeline_executions SET request = ? WHERE id = ?";
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                sqlx::query(sql).bind(request).bind(id).execute(conn).await?;
                Ok(())
            })
        });
        write.await
    }

    /// The execution of that ARN.
    pub async fn execution(&self, arn: &str) -> Result<Option<ExecutionRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM pipeline_executions WHERE arn = ?").bind(arn);
        let row = query.fetch_optional(self.0.readers()).await?;
        row.as_ref().map(execution).transpose()
    }

    /// The pipeline that an execution is of.
    pub async fn of_execution(
        &self,
        execution: &ExecutionRecord,
    ) -> Result<Option<PipelineRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM pipelines WHERE id = ?").bind(execution.pipeline);
        let row = query.fetch_optional(self.0.readers()).await?;
        row.as_ref().map(record::pipeline).transpose()
    }

    /// The execution that was last started of a pipeline.
    pub async fn latest(
        &self,
        pipeline: &PipelineRecord,
    ) -> Result<Option<ExecutionRecord>, StoreError> {
        let sql =
            "SELECT * FROM pipeline_executions WHERE pipeline_id = ? ORDER BY id DESC LIMIT 1";
        let row = sqlx::query(sql).bind(pipeline.id).fetch_optional(self.0.readers()).await?;
        row.as_ref().map(execution).transpose()
    }

    /// The executions that have not ended, in the order in which they were started.
    pub async fn open_executions(&self) -> Result<Vec<ExecutionRecord>, StoreError> {
        let sql = "SELECT * FROM pipeline_executions WHERE ended_at IS NULL ORDER BY id";
        let rows = sqlx::query(sql).fetch_all(self.0.readers()).await?;
        rows.iter().map(execution).collect()
    }

    /// The steps of an execution, in the order of their names.
    pub async fn steps(&self, execution: &ExecutionRecord) -> Result<Vec<StepRow>, StoreError> {
        let sql = "SELECT name, state, callback FROM pipeline_steps WHERE execution_id = ?
                   ORDER BY name";
        let rows = sqlx::query(sql).bind(execution.id).fetch_all(self.0.readers()).await?;
        let step = |row| {
            let columns = Columns::new(row, "pipeline_steps", "name");
            Ok(StepRow {
                name: columns.get("name")?,
                state: columns.get("state")?,
                callback: columns.get("callback")?,
            })
        };
        rows.iter().map(step).collect()
    }

    /// The ARN of the execution and the name of the step that a callback's token stands for.
    pub async fn callback(&self, token: &str) -> Result<Option<(String, String)>, StoreError> {
        let sql = "SELECT arn, name FROM pipeline_steps JOIN pipeline_executions
                   ON id = execution_id WHERE callback = ?";
        let query = sqlx::query_as(sql).bind(token);
        Ok(query.fetch_optional(self.0.readers()).await?)
    }

    /// A page of a pipeline's executions.
    pub async fn executions(
        &self,
        pipeline: &PipelineRecord,
        query: &ExecutionQuery,
    ) -> Result<Page<ExecutionRecord>, StoreError> {
        page(self.0, pipeline, query).await
    }
}

async fn page(
    store: &Store,
    pipeline: &PipelineRecord,
    query: &ExecutionQuery,
) -> Result<Page<ExecutionRecord>, StoreError> {
    let mut sql = QueryBuilder::new("SELECT * FROM pipeline_executions WHERE pipeline_id = ");
    sql.push_bind(pipeline.id);
    record::within(&mut sql, query.created_after, query.created_before);
    if query.by_arn {
        record::in_order(&mut sql, "arn", query.descending, query.page.clone());
    } else {
        let page = record::number(query.page.as_deref())?;
        record::in_order(&mut sql, "id", query.descending, page);
    }
    sql.push(" LIMIT ").push_bind(record::one_more(query.limit));
    let rows = sql.build().fetch_all(store.readers()).await?;
    let token = |execution: &ExecutionRecord| {
        if query.by_arn { execution.arn.clone() } else { execution.id.to_string() }
    };
    record::page(&rows, query.limit, execution, token)
}

async fn start(
    conn: &mut SqliteConnection,
    new: NewExecution,
) -> Result<(ExecutionRecord, bool), StoreError> {
    let mut record = new.execution;
    let sql = "SELECT * FROM pipeline_executions WHERE pipeline_id = ? AND token = ?";
    let query = sqlx::query(sql).bind(record.pipeline).bind(&record.token);
    if let Some(row) = query.fetch_optional(&mut *conn).await? {
        return Ok((execution(&row)?, false));
    }
    let at = signed(record.created_at);
    let sql = "INSERT INTO pipeline_executions
                   (arn, pipeline_id, version, token, request, status, state, created_at, modified_at,
                    ended_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let query =
        sqlx::query(sql).bind(&record.arn).bind(record.pipeline).bind(signed(record.version));
    let query = query.bind(&record.token).bind(&record.request).bind(&record.status);
    let query = query.bind(&record.state).bind(at).bind(at).bind(record.ended_at.map(signed));
    record.id = query.execute(&mut *conn).await?.last_insert_rowid();
    let sql = "UPDATE pipelines SET last_run_at = ? WHERE id = ?";
    sqlx::query(sql).bind(at).bind(record.pipeline).execute(&mut *conn).await?;
    let sql =
        "UPDATE pipeline_versions SET last_execution = ? WHERE pipeline_id = ? AND version = ?";
    let query = sqlx::query(sql).bind(&record.arn).bind(record.pipeline);
    query.bind(signed(record.version)).execute(&mut *conn).await?;
    put_steps(conn, record.id, &new.steps).await?;
    tell(conn, &new.events, record.created_at).await?;
    Ok((record, true))
}

async fn change(conn: &mut SqliteConnection, change: ExecutionChange) -> Result<(), StoreError> {
    let sql = "UPDATE pipeline_executions SET status = ?, state = ?,
                   modified_at = ?, ended_at = ? WHERE id = ?";
    sqlx::query(sql)
        .bind(&change.status)
        .bind(&change.state)
        .bind(signed(change.at))
        .bind(change.is_final.then(|| signed(change.at)))
        .bind(change.id)
        .execute(&mut *conn)
        .await?;
    put_steps(conn, change.id, &change.steps).await?;
    for result in &change.results {
        results::insert(conn, change.pipeline, result).await?;
    }
    tell(conn, &change.events, change.at).await
}

async fn put_steps(
    conn: &mut SqliteConnection,
    execution: i64,
    steps: &[StepRow],
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO pipeline_steps (execution_id, name, state, callback)
               VALUES (?, ?, ?, ?)";
    for step in steps {
        let query = sqlx::query(sql).bind(execution).bind(&step.name).bind(&step.state);
        query.bind(&step.callback).execute(&mut *conn).await?;
    }
    Ok(())
}

async fn tell(conn: &mut SqliteConnection, events: &[NewEvent], at: u64) -> Result<(), StoreError> {
    for event in events {
        outbox::insert(conn, at, &event.topic, &event.subject, &event.body).await?;
    }
    Ok(())
}

fn execution(row: &SqliteRow) -> Result<ExecutionRecord, StoreError> {
    let columns = Columns::new(row, "pipeline_executions", "id");
    Ok(ExecutionRecord {
        id: columns.get("id")?,
        arn: columns.get("arn")?,
        pipeline: columns.get("pipeline_id")?,
        version: columns.count("version")?,
        token: columns.get("token")?,
        request: columns.get("request")?,
        status: columns.get("status")?,
        state: columns.get("state")?,
        created_at: columns.count("created_at")?,
        modified_at: columns.count("modified_at")?,
        ended_at: columns.maybe_count("ended_at")?,
    })
}
