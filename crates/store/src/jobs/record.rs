//! Rows to jobs, attempts and documents.

use std::collections::BTreeMap;

use bessemer_domain::{
    JobId, JobKind, JobState, Lifecycle, ProcessId, StateName, StopReason, Token,
};
use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool, sqlite::SqliteRow};

use super::{AttemptRecord, Documents, Job};
use crate::{error::StoreError, row::Columns, tags::Tag};

/// The columns that [`job`] reads.
pub(super) const COLUMNS: &str = "id, kind, name, arn, priority, share, cores, note, state, stage, \
    class, message, stop_reason, until, running_since, lease_until, attempts, number, refusals, \
    token, memory, waiting_since, run_millis, policy, limits, created_at, started_at, ended_at, \
    modified_at, instance_type, instance_count, rank, \
    (SELECT json_group_object(key, value) FROM tags WHERE tags.arn = jobs.arn) AS tags";

pub(super) async fn by_id(
    conn: &mut SqliteConnection,
    id: JobId,
) -> Result<Option<Job>, StoreError> {
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM jobs WHERE id = ?"));
    let row = sqlx::query(sql).bind(id.0).fetch_optional(conn).await?;
    row.as_ref().map(job).transpose()
}

pub(super) async fn by_name(
    readers: &SqlitePool,
    kind: JobKind,
    name: &str,
) -> Result<Option<Job>, StoreError> {
    let sql = AssertSqlSafe(format!("SELECT {COLUMNS} FROM jobs WHERE kind = ? AND name = ?"));
    let query = sqlx::query(sql).bind(kind.as_str()).bind(name);
    query.fetch_optional(readers).await?.as_ref().map(job).transpose()
}

pub(super) fn job(row: &SqliteRow) -> Result<Job, StoreError> {
    let columns = Columns::new(row, "jobs", "id");
    Ok(Job {
        id: JobId(columns.get("id")?),
        kind: columns.parse("kind")?,
        name: columns.get("name")?,
        arn: columns.get("arn")?,
        priority: columns.get("priority")?,
        rank: columns.get("rank")?,
        share: columns.get("share")?,
        cores: columns.count("cores")?,
        instance_type: columns.get("instance_type")?,
        instance_count: columns.count("instance_count")?,
        tags: tags(&columns)?,
        note: columns.get("note")?,
        lifecycle: lifecycle(&columns)?,
        stage: columns.get("stage")?,
        created_at: columns.count("created_at")?,
        started_at: columns.maybe_count("started_at")?,
        ended_at: columns.maybe_count("ended_at")?,
        modified_at: columns.count("modified_at")?,
    })
}

pub(super) fn tags(columns: &Columns<'_>) -> Result<Vec<Tag>, StoreError> {
    let tags = serde_json::from_str::<BTreeMap<String, String>>(columns.get("tags")?);
    let tags = tags.map_err(|_| columns.bad("tags"))?;
    Ok(tags.into_iter().map(|(key, value)| Tag { key, value }).collect())
}

fn lifecycle(columns: &Columns<'_>) -> Result<Lifecycle, StoreError> {
    let policy = serde_json::from_str(columns.get("policy")?);
    let limits = serde_json::from_str(columns.get("limits")?);
    Ok(Lifecycle {
        state: state(columns)?,
        attempts: columns.count("attempts")?,
        number: columns.count("number")?,
        refusals: columns.count("refusals")?,
        token: Token(columns.count("token")?),
        memory: columns.count("memory")?,
        waiting_since: columns.count("waiting_since")?,
        run_millis: columns.count("run_millis")?,
        policy: policy.map_err(|_| columns.bad("policy"))?,
        limits: limits.map_err(|_| columns.bad("limits"))?,
    })
}

fn state(columns: &Columns<'_>) -> Result<JobState, StoreError> {
    let instant = |column| columns.required(column, columns.maybe_count::<u64>(column)?);
    let class = || columns.required("class", columns.maybe_parse("class")?);
    let message = || columns.required("message", columns.get::<Option<String>>("message")?);
    Ok(match columns.parse::<StateName>("state")? {
        StateName::Held => JobState::Held,
        StateName::Queued => JobState::Queued,
        StateName::Starting => JobState::Starting { lease_until: instant("lease_until")? },
        StateName::Running => JobState::Running {
            lease_until: instant("lease_until")?,
            since: instant("running_since")?,
            deadline: columns.maybe_count("until")?,
        },
        StateName::Backoff => {
            JobState::Backoff { until: instant("until")?, class: class()?, message: message()? }
        }
        StateName::Stopping => JobState::Stopping {
            lease_until: instant("lease_until")?,
            since: columns.maybe_count("running_since")?,
            reason: columns
                .required("stop_reason", columns.maybe_parse::<StopReason>("stop_reason")?)?,
            deadline: instant("until")?,
        },
        StateName::Succeeded => JobState::Succeeded,
        StateName::Failed => JobState::Failed { class: class()?, message: message()? },
        StateName::Stopped => JobState::Stopped,
    })
}

pub(super) async fn documents(readers: &SqlitePool, id: JobId) -> Result<Documents, StoreError> {
    let sql = "SELECT job_id, request, result FROM job_documents WHERE job_id = ?";
    let row = sqlx::query(sql).bind(id.0).fetch_optional(readers).await?;
    let row = row.ok_or(StoreError::NoJob(id))?;
    let columns = Columns::new(&row, "job_documents", "job_id");
    Ok(Documents { request: columns.get("request")?, result: columns.get("result")? })
}

/// The documents of many jobs at once, in no order.
pub(super) async fn documents_of(
    readers: &SqlitePool,
    ids: &[JobId],
) -> Result<Vec<(JobId, Documents)>, StoreError> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let ids = serde_json::to_string(&ids).expect("numbers are JSON");
    let sql = "SELECT job_id, request, result FROM job_documents
               WHERE job_id IN (SELECT value FROM json_each(?))";
    let rows = sqlx::query(sql).bind(ids).fetch_all(readers).await?;
    let documents = |row| {
        let columns = Columns::new(row, "job_documents", "job_id");
        let documents =
            Documents { request: columns.get("request")?, result: columns.get("result")? };
        Ok((JobId(columns.get("job_id")?), documents))
    };
    rows.iter().map(documents).collect()
}

/// Writes another request in the place of job `id`'s.
pub(super) async fn set_request(
    conn: &mut SqliteConnection,
    id: JobId,
    request: &str,
) -> Result<(), StoreError> {
    let sql = "UPDATE job_documents SET request = ? WHERE job_id = ?";
    match sqlx::query(sql).bind(request).bind(id.0).execute(conn).await?.rows_affected() {
        0 => Err(StoreError::NoJob(id)),
        _ => Ok(()),
    }
}

pub(super) async fn attempts(
    readers: &SqlitePool,
    id: JobId,
) -> Result<Vec<AttemptRecord>, StoreError> {
    let sql = "SELECT job_id, number, token, owner, memory, pid, started_ticks, boot, created_at,
                   launched_at, ended_at, class, message, result
               FROM attempts WHERE job_id = ? ORDER BY number";
    let rows = sqlx::query(sql).bind(id.0).fetch_all(readers).await?;
    rows.iter().map(attempt).collect()
}

fn attempt(row: &SqliteRow) -> Result<AttemptRecord, StoreError> {
    let columns = Columns::new(row, "attempts", "job_id");
    let process = match columns.maybe_count("pid")? {
        None => None,
        Some(pid) => Some(ProcessId {
            pid,
            started_ticks: columns.count("started_ticks")?,
            boot: columns.get("boot")?,
        }),
    };
    Ok(AttemptRecord {
        job: JobId(columns.get("job_id")?),
        number: columns.count("number")?,
        token: Token(columns.count("token")?),
        owner: columns.get("owner")?,
        memory: columns.count("memory")?,
        process,
        created_at: columns.count("created_at")?,
        launched_at: columns.maybe_count("launched_at")?,
        ended_at: columns.maybe_count("ended_at")?,
        class: columns.maybe_parse("class")?,
        message: columns.get("message")?,
        result: columns.get("result")?,
    })
}
