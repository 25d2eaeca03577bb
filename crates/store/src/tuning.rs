//! Tuning jobs: searches over training jobs. Their training jobs are jobs like any other; what the
//! search makes of them is its driver's business.

use sqlx::{QueryBuilder, Sqlite, SqliteConnection, sqlite::SqliteRow};

use crate::{
    error::StoreError,
    outbox,
    pipelines::{NewEvent, Page, in_order, number, one_more, page, within},
    row::{Columns, signed},
    store::Store,
    tags::{self, Tag},
};

/// A tuning job. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TuningRecord {
    /// Its number.
    pub id: i64,
    /// Its name, unique.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// The request that made it, as JSON.
    pub request: String,
    /// What its random choices and the names of its training jobs follow from.
    pub seed: u64,
    /// Where it stands, in the words of its API.
    pub status: String,
    /// Why it failed, in words.
    pub failure: Option<String>,
    /// When it was made.
    pub created_at: u64,
    /// When it was last changed.
    pub modified_at: u64,
    /// When it came to its end.
    pub ended_at: Option<u64>,
}

/// What lists of tuning jobs are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TuningSort {
    Name,
    Status,
    #[default]
    Created,
}

/// Which tuning jobs to list. Instants are milliseconds since 1970 and belong to the range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TuningQuery {
    /// With this text in the name.
    pub name_contains: Option<String>,
    /// With this status.
    pub status: Option<String>,
    /// Made at this instant or later, and at this or earlier.
    pub created: (Option<u64>, Option<u64>),
    /// Last changed at this instant or later, and at this or earlier.
    pub modified: (Option<u64>, Option<u64>),
    /// What they are ordered by.
    pub sort: TuningSort,
    /// The greatest first.
    pub descending: bool,
    /// Jobs on a page, at most.
    pub limit: u32,
    /// Where to go on.
    pub page: Option<String>,
}

/// The table of tuning jobs.
pub struct TuningTable<'s>(pub(crate) &'s Store);

impl TuningTable<'_> {
    /// Keeps a tuning job. Its name must be new.
    pub async fn create(
        &self,
        record: TuningRecord,
        with: Vec<Tag>,
        event: NewEvent,
    ) -> Result<(), StoreError> {
        let write = self
            .0
            .write(move |conn| Box::pin(async move { create(conn, record, with, event).await }));
        write.await
    }

    /// The tuning job of that name.
    pub async fn get(&self, name: &str) -> Result<Option<TuningRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM tuning_jobs WHERE name = ?").bind(name);
        query.fetch_optional(self.0.readers()).await?.as_ref().map(record).transpose()
    }

    /// Those that have not come to their end.
    pub async fn open(&self) -> Result<Vec<TuningRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM tuning_jobs WHERE ended_at IS NULL ORDER BY id");
        query.fetch_all(self.0.readers()).await?.iter().map(record).collect()
    }

    /// Changes the status of a tuning job that has not come to its end; `end` is when it does, with
    /// what went wrong. Returns whether it was changed.
    pub async fn set_status(
        &self,
        id: i64,
        status: &'static str,
        end: Option<(u64, Option<String>)>,
        event: NewEvent,
        now: u64,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE tuning_jobs SET status = ?, failure = ?, ended_at = ?, modified_at = ?
                   WHERE id = ? AND ended_at IS NULL";
        let (ended, failure) = end.unzip();
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query(sql).bind(status).bind(failure.flatten());
                let query = query.bind(ended.map(signed)).bind(signed(now)).bind(id);
                if query.execute(&mut *conn).await?.rows_affected() == 0 {
                    return Ok(false);
                }
                outbox::insert(conn, now, &event.topic, &event.subject, &event.body).await?;
                Ok(true)
            })
        });
        write.await
    }

    /// Forgets a tuning job and its tags, if it has come to its end. Returns whether it was there.
    pub async fn delete(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let query = sqlx::query("SELECT * FROM tuning_jobs WHERE name = ?").bind(&name);
                let Some(row) = query.fetch_optional(&mut *conn).await? else { return Ok(false) };
                let found = record(&row)?;
                if found.ended_at.is_none() {
                    return Err(StoreError::InProgress { what: "tuning job".to_owned(), name });
                }
                let query = sqlx::query("DELETE FROM tags WHERE arn = ?").bind(found.arn);
                query.execute(&mut *conn).await?;
                let query = sqlx::query("DELETE FROM tuning_jobs WHERE id = ?").bind(found.id);
                query.execute(conn).await?;
                Ok(true)
            })
        });
        write.await
    }

    /// A page of the tuning jobs that `query` is about.
    pub async fn list(&self, query: &TuningQuery) -> Result<Page<TuningRecord>, StoreError> {
        let mut sql = statement(query)?;
        let rows = sql.build().fetch_all(self.0.readers()).await?;
        let token = |last: &TuningRecord| match query.sort {
            TuningSort::Name => last.name.clone(),
            TuningSort::Status => format!("{}.{:020}", last.status, last.id),
            TuningSort::Created => last.id.to_string(),
        };
        page(&rows, query.limit, record, token)
    }
}

async fn create(
    conn: &mut SqliteConnection,
    new: TuningRecord,
    with: Vec<Tag>,
    event: NewEvent,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO tuning_jobs (name, arn, request, seed, status, created_at, modified_at)
               VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING";
    let at = signed(new.created_at);
    let query = sqlx::query(sql).bind(&new.name).bind(&new.arn).bind(&new.request);
    let query = query.bind(signed(new.seed)).bind(&new.status).bind(at).bind(at);
    if query.execute(&mut *conn).await?.rows_affected() == 0 {
        return Err(StoreError::AlreadyExists { what: "tuning job".to_owned(), name: new.name });
    }
    tags::insert(conn, &new.arn, &with).await?;
    outbox::insert(conn, new.created_at, &event.topic, &event.subject, &event.body).await
}

fn statement(query: &TuningQuery) -> Result<QueryBuilder<Sqlite>, StoreError> {
    let mut sql = QueryBuilder::new("SELECT * FROM tuning_jobs WHERE 1");
    if let Some(text) = &query.name_contains {
        sql.push(" AND instr(name, ").push_bind(text.clone()).push(") > 0");
    }
    if let Some(status) = &query.status {
        sql.push(" AND status = ").push_bind(status.clone());
    }
    within(&mut sql, query.created.0, query.created.1);
    if let Some(instant) = query.modified.0 {
        sql.push(" AND modified_at >= ").push_bind(signed(instant));
    }
    if let Some(instant) = query.modified.1 {
        sql.push(" AND modified_at <= ").push_bind(signed(instant));
    }
    let last = query.page.clone();
    match query.sort {
        TuningSort::Name => in_order(&mut sql, "name", query.descending, last),
        TuningSort::Status => {
            let both = "(status || '.' || printf('%020d', id))";
            in_order(&mut sql, both, query.descending, last);
        }
        TuningSort::Created => {
            in_order(&mut sql, "id", query.descending, number(last.as_deref())?);
        }
    }
    sql.push(" LIMIT ").push_bind(one_more(query.limit));
    Ok(sql)
}

fn record(row: &SqliteRow) -> Result<TuningRecord, StoreError> {
    let columns = Columns::new(row, "tuning_jobs", "id");
    Ok(TuningRecord {
        id: columns.get("id")?,
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        request: columns.get("request")?,
        seed: columns.count("seed")?,
        status: columns.get("status")?,
        failure: columns.get("failure")?,
        created_at: columns.count("created_at")?,
        modified_at: columns.count("modified_at")?,
        ended_at: columns.maybe_count("ended_at")?,
    })
}
