//! A new job: its row, request, tags, first history entry and event.

use bessemer_domain::{JobId, JobKind, Lifecycle, Limits, RetryPolicy};
use sqlx::{SqliteConnection, error::DatabaseError};

use super::{Job, change};
use crate::{
    error::StoreError,
    row::signed,
    tags::{self, Tag},
};

/// A job to be put in the queue.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// What it does.
    pub kind: JobKind,
    /// Its name, unique for its kind.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// What it is to do, as JSON, in the words of its kind.
    pub request: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Jobs of a higher priority go first; 0 is usual.
    pub priority: i32,
    /// Whose it is: the machine is shared fairly between the shares that have jobs waiting.
    pub share: String,
    /// Cores that it takes while it runs.
    pub cores: u32,
    /// Bytes of memory that it takes while it runs.
    pub memory: u64,
    /// The type of the instances that it asks for, such as `ml.m5.xlarge`, for quotas.
    pub instance_type: String,
    /// How many instances it asks for.
    pub instance_count: u32,
    /// What was changed about the request, in words.
    pub note: Option<String>,
    /// When it is tried again.
    pub policy: RetryPolicy,
    /// Attempts that the request itself asks for, the first included; they go before the policy's.
    pub requested_attempts: Option<u32>,
    /// How long it may take.
    pub limits: Limits,
}

pub(super) async fn submit(
    conn: &mut SqliteConnection,
    new: &NewJob,
    now: u64,
) -> Result<Job, StoreError> {
    let lifecycle = Lifecycle::new(new.memory, new.policy.clone(), new.limits, now);
    submit_as(conn, new, (lifecycle, 0), now).await
}

/// The same in a state of its own, and of a rank.
pub(crate) async fn submit_as(
    conn: &mut SqliteConnection,
    new: &NewJob,
    (lifecycle, rank): (Lifecycle, i32),
    now: u64,
) -> Result<Job, StoreError> {
    let job = Job {
        id: JobId(insert(conn, new, (&lifecycle, rank), now).await?),
        kind: new.kind,
        name: new.name.clone(),
        arn: new.arn.clone(),
        priority: new.priority,
        rank,
        share: new.share.clone(),
        cores: new.cores,
        instance_type: new.instance_type.clone(),
        instance_count: new.instance_count,
        tags: tags::in_order(&new.tags),
        note: new.note.clone(),
        lifecycle,
        stage: None,
        created_at: now,
        started_at: None,
        ended_at: None,
        modified_at: now,
    };
    let sql = "INSERT INTO job_documents (job_id, request) VALUES (?, ?)";
    sqlx::query(sql).bind(job.id.0).bind(&new.request).execute(&mut *conn).await?;
    tags::insert(conn, &new.arn, &new.tags).await?;
    change::tell(conn, &job, "submitted", None, now).await?;
    Ok(job)
}

async fn insert(
    conn: &mut SqliteConnection,
    new: &NewJob,
    (lifecycle, rank): (&Lifecycle, i32),
    now: u64,
) -> Result<i64, StoreError> {
    let sql =
        "INSERT INTO jobs (kind, name, arn, priority, share, cores, note, state, phase, due_at,
                   attempts, number, refusals, token, memory, waiting_since, run_millis, policy,
                   limits, created_at, modified_at, instance_type, instance_count, rank)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)";
    let state = lifecycle.state.name();
    let done = sqlx::query(sql)
        .bind(new.kind.as_str())
        .bind(&new.name)
        .bind(&new.arn)
        .bind(new.priority)
        .bind(&new.share)
        .bind(new.cores)
        .bind(&new.note)
        .bind(state.as_str())
        .bind(state.phase().as_str())
        .bind(lifecycle.due_at().map(signed))
        .bind(signed(new.memory))
        .bind(signed(now))
        .bind(json(&new.policy))
        .bind(json(&new.limits))
        .bind(signed(now))
        .bind(signed(now))
        .bind(&new.instance_type)
        .bind(new.instance_count)
        .bind(rank)
        .execute(conn)
        .await;
    match done {
        Ok(done) => Ok(done.last_insert_rowid()),
        Err(error)
            if error.as_database_error().is_some_and(<dyn DatabaseError>::is_unique_violation) =>
        {
            let what = format!("{} job", new.kind);
            Err(StoreError::AlreadyExists { what, name: new.name.clone() })
        }
        Err(error) => Err(error.into()),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("structs of numbers and names are JSON")
}
