//! New jobs of Batch, with what they wait for.

use bessemer_domain::{
    BatchCounts, BatchStatus, BatchToDo, BatchWait, JobId, Lifecycle, StateName,
};
use sqlx::SqliteConnection;

use super::follow::DEPENDENCY_FAILED;
use crate::{
    error::StoreError,
    jobs::{Job, NewJob, QuotaCheck, quota, submit::submit_as},
    row::signed,
};

/// A job to be put in place: a single one, an array, or a child of one.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBatchJob {
    /// Its id, which is new.
    pub id: String,
    /// Its ARN.
    pub arn: String,
    /// The name that it is given.
    pub name: String,
    /// The ARN of its queue.
    pub queue: String,
    /// Its definition, as `name:revision`.
    pub definition: String,
    /// The array that it is of, and its place in it.
    pub parent: Option<(String, u32)>,
    /// What it is.
    pub body: NewBatchBody,
    /// The jobs that have to succeed before it begins.
    pub after: Vec<String>,
}

/// What a new job is.
#[derive(Debug, Clone, PartialEq)]
pub enum NewBatchBody {
    /// One that runs, and its rank within its share.
    Job(Box<NewJob>, i32),
    /// An array, whose children come before it; with the request that made it, as JSON.
    Array(String),
}

pub(super) async fn submit(
    conn: &mut SqliteConnection,
    new: &[NewBatchJob],
    quotas: &[QuotaCheck],
    now: u64,
) -> Result<Vec<Job>, StoreError> {
    let mut jobs = Vec::new();
    let mut counts = BatchCounts::default();
    for new in new {
        let wait = wait(conn, new).await?;
        let place = match &new.body {
            NewBatchBody::Job(body, rank) => {
                let life = Lifecycle::new(body.memory, body.policy.clone(), body.limits, now);
                let is_held = wait.waits > 0 || wait.is_doomed;
                let life = if is_held { life.held() } else { life };
                let job = submit_as(conn, body, (life, *rank), now).await?;
                counts.add(BatchStatus::of(job.lifecycle.state.name()));
                let place = Place::Job(job.id, job.lifecycle.state.name());
                jobs.push(job);
                place
            }
            NewBatchBody::Array(document) => Place::Array(document, counts),
        };
        insert(conn, new, &wait, &place, now).await?;
    }
    if let Some(NewBatchBody::Job(first, _)) = new.first().map(|new| &new.body) {
        quota::check(conn, first, quotas).await?;
    }
    Ok(jobs)
}

/// What a new job has to wait for. What it depends on may come later, as children of arrays do.
async fn wait(conn: &mut SqliteConnection, new: &NewBatchJob) -> Result<BatchWait, StoreError> {
    let mut wait = BatchWait::default();
    for other in &new.after {
        let sql = "SELECT status FROM batch_jobs WHERE id = ?";
        let status: Option<String> =
            sqlx::query_scalar(sql).bind(other).fetch_optional(&mut *conn).await?;
        match status.and_then(|status| status.parse().ok()) {
            Some(BatchStatus::Succeeded) => {}
            Some(BatchStatus::Failed) => wait.is_doomed = true,
            _ => {
                let sql = "INSERT INTO batch_dependencies (waits_for, job) VALUES (?, ?)
                           ON CONFLICT DO NOTHING";
                let done = sqlx::query(sql).bind(other).bind(&new.id).execute(&mut *conn).await?;
                wait.waits += u32::from(done.rows_affected() > 0);
            }
        }
    }
    Ok(wait)
}

enum Place<'n> {
    Job(JobId, StateName),
    Array(&'n str, BatchCounts),
}

async fn insert(
    conn: &mut SqliteConnection,
    new: &NewBatchJob,
    wait: &BatchWait,
    place: &Place<'_>,
    now: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO batch_jobs (id, arn, name, queue, definition, parent, place, job_id,
                   document, state, status, waits, doomed, reason, to_do, size, submitted, pending,
                   runnable, starting, running, succeeded, failed, created_at, changed_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    let (job, state, document, counts) = match place {
        Place::Job(job, state) => (Some(job.0), *state, None, BatchCounts::default()),
        Place::Array(document, counts) => (None, StateName::Held, Some(*document), *counts),
    };
    let to_do = wait.to_do(state).filter(|_| job.is_some());
    let size: u32 = counts.0.iter().sum();
    let parent = new.parent.as_ref();
    let mut query = sqlx::query(sql)
        .bind(&new.id)
        .bind(&new.arn)
        .bind(&new.name)
        .bind(&new.queue)
        .bind(&new.definition)
        .bind(parent.map(|(id, _)| id))
        .bind(parent.map(|(_, place)| *place))
        .bind(job)
        .bind(document)
        .bind(state.as_str())
        .bind(BatchStatus::of(state).as_str())
        .bind(wait.waits)
        .bind(wait.is_doomed)
        .bind(wait.is_doomed.then_some(DEPENDENCY_FAILED))
        .bind(to_do.map(BatchToDo::as_str))
        .bind(document.map(|_| size));
    for count in counts.0 {
        query = query.bind(count);
    }
    query.bind(signed(now)).bind(signed(now)).execute(conn).await?;
    Ok(())
}
