//! Transitions: the job's row, its attempt, its history and the event for whoever reacts.

use bessemer_domain::{
    FailureClass, JobEvent, JobId, JobKind, JobState, Moment, StopReason, Token,
};
use serde_json::json;
use sqlx::SqliteConnection;

use super::{Advanced, Job, record};
use crate::{
    batch,
    error::StoreError,
    history::{self, HistoryEntry},
    outbox,
    row::signed,
};

pub(super) async fn advance(
    conn: &mut SqliteConnection,
    id: JobId,
    event: &JobEvent,
    at: Moment,
) -> Result<Advanced, StoreError> {
    let mut job = record::by_id(conn, id).await?.ok_or(StoreError::NoJob(id))?;
    let done = job.lifecycle.advance(event, at)?;
    let from = job.lifecycle.state.name();
    let was_final = from.is_final();
    let memory = job.lifecycle.memory;
    job.lifecycle = done.next;
    job.modified_at = at.now;
    let is_final = job.lifecycle.state.name().is_final();
    if is_final && !was_final {
        job.ended_at = Some(at.now);
    }
    match event {
        JobEvent::Launched { .. } => job.started_at = job.started_at.or(Some(at.now)),
        JobEvent::Staged { stage, .. } => job.stage = Some(stage.clone()),
        JobEvent::Admitted { .. } => job.stage = None,
        JobEvent::RetryRequested if was_final => {
            (job.started_at, job.ended_at, job.stage) = (None, None, None);
        }
        _ => {}
    }
    update(conn, &job, event).await?;
    update_attempt(conn, &job, event, memory, at.now).await?;
    if !matches!(event, JobEvent::Renewed { .. }) {
        tell(conn, &job, event.as_str(), failure(event), at.now).await?;
    }
    if job.kind == JobKind::Batch && job.lifecycle.state.name() != from {
        batch::follow(conn, &job).await?;
    }
    Ok(Advanced { job, effects: done.effects })
}

/// The failure that an event itself tells of.
fn failure(event: &JobEvent) -> Option<(FailureClass, String)> {
    match event {
        JobEvent::Ended { outcome, .. } => {
            outcome.failure().map(|(class, message)| (class, message.to_owned()))
        }
        _ => None,
    }
}

async fn update(
    conn: &mut SqliteConnection,
    job: &Job,
    event: &JobEvent,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET state = ?, phase = ?, stage = ?, class = ?, message = ?,
                   stop_reason = ?, until = ?, running_since = ?, lease_until = ?,
                   lease_owner = CASE WHEN ? THEN coalesce(?, lease_owner) END,
                   due_at = ?, attempts = ?, number = ?, refusals = ?, token = ?, memory = ?,
                   waiting_since = ?, run_millis = ?, started_at = ?, ended_at = ?, modified_at = ?
               WHERE id = ?";
    let life = &job.lifecycle;
    let state = &life.state;
    let failure = state.failure();
    let owner = match event {
        JobEvent::Admitted { owner, .. } | JobEvent::Adopted { owner, .. } => Some(owner),
        _ => None,
    };
    let (until, reason) = match state {
        JobState::Backoff { until, .. } => (Some(*until), None),
        JobState::Running { deadline, .. } => (*deadline, None),
        JobState::Stopping { deadline, reason, .. } => (Some(*deadline), Some(*reason)),
        _ => (None, None),
    };
    sqlx::query(sql)
        .bind(state.name().as_str())
        .bind(state.name().phase().as_str())
        .bind(&job.stage)
        .bind(failure.map(|(class, _)| class.as_str()))
        .bind(failure.map(|(_, message)| message))
        .bind(reason.map(StopReason::as_str))
        .bind(until.map(signed))
        .bind(state.running_since().map(signed))
        .bind(state.lease_until().map(signed))
        .bind(state.lease_until().is_some())
        .bind(owner)
        .bind(life.due_at().map(signed))
        .bind(life.attempts)
        .bind(life.number)
        .bind(life.refusals)
        .bind(signed(life.token.0))
        .bind(signed(life.memory))
        .bind(signed(life.waiting_since))
        .bind(signed(life.run_millis))
        .bind(job.started_at.map(signed))
        .bind(job.ended_at.map(signed))
        .bind(signed(job.modified_at))
        .bind(job.id.0)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes what the event says of the attempt. `memory` is what the attempt was given.
async fn update_attempt(
    conn: &mut SqliteConnection,
    job: &Job,
    event: &JobEvent,
    memory: u64,
    now: u64,
) -> Result<(), StoreError> {
    let Job { id, lifecycle: life, .. } = job;
    match event {
        JobEvent::Admitted { owner, .. } => {
            let sql = "INSERT INTO attempts (job_id, number, token, owner, memory, created_at)
                       VALUES (?, ?, ?, ?, ?, ?)";
            let query = sqlx::query(sql).bind(id.0).bind(life.number).bind(signed(life.token.0));
            query.bind(owner).bind(signed(memory)).bind(signed(now)).execute(&mut *conn).await?;
        }
        JobEvent::Adopted { owner, .. } => {
            let sql = "UPDATE attempts SET token = ?, owner = ? WHERE job_id = ? AND number = ?";
            let query = sqlx::query(sql).bind(signed(life.token.0)).bind(owner);
            query.bind(id.0).bind(life.number).execute(&mut *conn).await?;
        }
        JobEvent::Launched { process, .. } => {
            let sql = "UPDATE attempts SET launched_at = coalesce(launched_at, ?), pid = ?,
                       started_ticks = ?, boot = ? WHERE job_id = ? AND number = ?";
            let query = sqlx::query(sql)
                .bind(signed(now))
                .bind(process.as_ref().map(|process| process.pid))
                .bind(process.as_ref().map(|process| signed(process.started_ticks)))
                .bind(process.as_ref().map(|process| &process.boot));
            query.bind(id.0).bind(life.number).execute(&mut *conn).await?;
        }
        _ => {}
    }
    if let JobEvent::Ended { outcome, .. } = event
        && let Some(result) = outcome.result()
    {
        let sql = "UPDATE job_documents SET result = ? WHERE job_id = ?";
        sqlx::query(sql).bind(result).bind(id.0).execute(&mut *conn).await?;
        if job.kind == JobKind::Batch {
            let sql = "UPDATE attempts SET result = ? WHERE job_id = ? AND number = ?";
            let query = sqlx::query(sql).bind(result).bind(id.0).bind(life.number);
            query.execute(&mut *conn).await?;
        }
    }
    if life.state.lease_until().is_none() {
        // The state tells of time limits, which the attempt itself knows nothing of.
        let failed = life.state.failure().map(|(class, message)| (class, message.to_owned()));
        end_attempt(conn, job, failed.or_else(|| failure(event)), now).await?;
    }
    Ok(())
}

async fn end_attempt(
    conn: &mut SqliteConnection,
    job: &Job,
    failure: Option<(FailureClass, String)>,
    now: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE attempts SET ended_at = ?, class = ?, message = ?
               WHERE job_id = ? AND number = ? AND ended_at IS NULL";
    let (class, message) = failure.unzip();
    sqlx::query(sql)
        .bind(signed(now))
        .bind(class.map(FailureClass::as_str))
        .bind(message)
        .bind(job.id.0)
        .bind(job.lifecycle.number)
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes the history entry and the event of something that happened to `job`.
pub(super) async fn tell(
    conn: &mut SqliteConnection,
    job: &Job,
    event: &str,
    failure: Option<(FailureClass, String)>,
    now: u64,
) -> Result<(), StoreError> {
    let state = job.lifecycle.state.name();
    let of_state = job.lifecycle.state.failure().map(|(class, text)| (class, text.to_owned()));
    let (class, message) = of_state.or(failure).unzip();
    let Token(token) = job.lifecycle.token;
    let body = json!({
        "job": job.id.0,
        "kind": job.kind.as_str(),
        "name": job.name,
        "arn": job.arn,
        "event": event,
        "state": state.as_str(),
        "phase": state.phase().as_str(),
        "stage": job.stage,
        "attempt": job.lifecycle.number,
        "token": token,
        "class": class.map(FailureClass::as_str),
        "message": message,
    });
    let entry = HistoryEntry {
        at: now,
        event: event.to_owned(),
        state,
        stage: job.stage.clone(),
        number: job.lifecycle.number,
        class,
        message,
    };
    history::insert(conn, job.id, &entry).await?;
    let subject = format!("{}/{}", job.kind, job.name);
    outbox::insert(conn, now, "job", &subject, &body.to_string()).await
}

pub(super) async fn renew_leases(
    conn: &mut SqliteConnection,
    owner: &str,
    lease_until: u64,
) -> Result<(), StoreError> {
    let sql = "UPDATE jobs SET lease_until = max(lease_until, ?) WHERE lease_owner = ?";
    sqlx::query(sql).bind(signed(lease_until)).bind(owner).execute(conn).await?;
    Ok(())
}
