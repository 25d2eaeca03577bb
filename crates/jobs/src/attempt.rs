//! An attempt from the room that it was given to the end of what it started.

use std::{panic::AssertUnwindSafe, sync::Arc};

use bessemer_domain::{
    FailureClass, JobEvent, JobId, JobKind, JobState, Outcome, ProcessId, Token,
};
use bessemer_store::{Job, StoreError};
use futures::FutureExt;

use crate::{
    board::Entered,
    control::{Control, Noted},
    process,
    queue::Entry,
    runner::Attempt,
    shared::Shared,
};

/// Runs the next attempt at a job that has been given room, and gives the room back.
pub(crate) async fn run(shared: Arc<Shared>, entry: Entry, entered: Entered) {
    let owner = shared.owner.clone();
    let admitted = JobEvent::Admitted { owner, lease_until: shared.lease_until() };
    let serial = entered.serial;
    match shared.apply_surely(entry.job, admitted).await {
        Ok(job) => follow(&shared, &entry, entered, job, Start::Fresh).await,
        Err(error) => {
            match error {
                // It was stopped while it waited.
                StoreError::Refused(refused) => {
                    tracing::debug!(job = %entry.job, %refused, "a job is not run");
                }
                error => tracing::error!(job = %entry.job, %error, "a job can't be run"),
            }
            shared.vacate(&entry);
        }
    }
    clear(&shared, &entry, serial);
}

/// Takes over the attempt that the last server left at `job`.
pub(crate) async fn take_over(shared: Arc<Shared>, entry: Entry, entered: Entered, job: Job) {
    let serial = entered.serial;
    match adopt(&shared, &job).await {
        Ok((job, left)) => follow(&shared, &entry, entered, job, Start::Left(left)).await,
        Err(error) => {
            tracing::error!(job = %entry.job, %error, "a job can't be taken over");
            shared.vacate(&entry);
        }
    }
    clear(&shared, &entry, serial);
}

/// How an attempt begins in this server.
enum Start {
    /// It is new.
    Fresh,
    /// The last server left it, with the process that it had recorded.
    Left(Option<ProcessId>),
}

async fn adopt(shared: &Arc<Shared>, job: &Job) -> Result<(Job, Option<ProcessId>), StoreError> {
    let attempts = loop {
        match shared.store.jobs().attempts(job.id).await {
            Err(error) if error.is_transient() => shared.pause(&error).await,
            attempts => break attempts?,
        }
    };
    let token = job.lifecycle.token;
    let owner = shared.owner.clone();
    let event = JobEvent::Adopted { token, owner, lease_until: shared.lease_until() };
    let job = shared.apply_surely(job.id, event).await?;
    // Not before: what is due long since must not end an attempt that nobody has in hand yet.
    if let Some(due) = job.lifecycle.due_at() {
        shared.board().set_alarm(due, job.id);
        shared.changed.notify_one();
    }
    Ok((job, attempts.into_iter().next_back().and_then(|attempt| attempt.process)))
}

/// Has the runner run the attempt, records how it ended, and takes back the room that it still has.
async fn follow(shared: &Arc<Shared>, entry: &Entry, entered: Entered, job: Job, start: Start) {
    let noted = Noted {
        process: match &start {
            Start::Fresh => None,
            Start::Left(left) => left.clone(),
        },
        deadline: job.lifecycle.due_at(),
    };
    let (token, stop) = (job.lifecycle.token, entered.stop.clone());
    let control = Control::new(Arc::clone(shared), job.id, token, stop, noted, entry.clone());
    run_to_end(shared, entry, entered, job, start, &control).await;
    control.give_back_room();
}

async fn run_to_end(
    shared: &Arc<Shared>,
    entry: &Entry,
    mut entered: Entered,
    job: Job,
    start: Start,
    control: &Control,
) {
    let (kind, number, token) = (job.kind, job.lifecycle.number, job.lifecycle.token);
    let of_this = |abandoned: &Option<Token>| abandoned.is_some_and(|last| last >= token);
    let outcome = tokio::select! {
        outcome = call(shared, entry, job, control.clone(), start) => Some(outcome),
        _ = entered.abandoned.wait_for(of_this) => None,
    };
    let Noted { process, deadline } = control.noted();
    let Some(outcome) = outcome else {
        if let Some(process) = process {
            end(&process).await;
        }
        forget(shared, kind, entry.job, number).await;
        return;
    };
    {
        let mut board = shared.board();
        board.leave(entry.job, entered.serial);
        if let Some(deadline) = deadline {
            board.clear_alarm(deadline, entry.job);
        }
    }
    match shared.apply_surely(entry.job, JobEvent::Ended { token, outcome }).await {
        Ok(job) if job.lifecycle.state.name().is_final() => {
            if let Some(runner) = shared.runners.of(job.kind) {
                runner.settled(job.id).await;
            }
        }
        Ok(_) => {}
        Err(error) => {
            tracing::warn!(job = %entry.job, %token, %error, "an attempt's outcome is not taken");
        }
    }
    forget(shared, kind, entry.job, number).await;
}

async fn forget(shared: &Shared, kind: JobKind, job: JobId, number: u32) {
    if let Some(runner) = shared.runners.of(kind) {
        runner.forget(job, number).await;
    }
}

/// Ends the process of an attempt that was to have stopped by now. This comes before the job is
/// brought to its end: a server that dies in between leaves no process that nobody looks for.
pub(crate) async fn end_overdue(shared: &Shared, id: JobId) {
    if !shared.board().is_stopping(id) {
        return;
    }
    let jobs = shared.store.jobs();
    let (leased, attempts) = match (jobs.leased().await, jobs.attempts(id).await) {
        (Ok(leased), Ok(attempts)) => (leased, attempts),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(job = %id, %error, "an attempt's process is not found for now");
            return;
        }
    };
    let now = shared.now();
    let overdue = leased.iter().find(|job| job.id == id).is_some_and(
        |job| matches!(job.lifecycle.state, JobState::Stopping { deadline, .. } if deadline <= now),
    );
    let process = attempts.into_iter().next_back().and_then(|attempt| attempt.process);
    if let Some(process) = process.filter(|_| overdue) {
        end(&process).await;
    }
}

async fn end(process: &ProcessId) {
    if let Err(error) = process::end_process(process).await {
        tracing::error!(pid = process.pid, %error, "an attempt's process can't be ended");
    }
}

async fn call(
    shared: &Arc<Shared>,
    entry: &Entry,
    job: Job,
    control: Control,
    start: Start,
) -> Outcome {
    let kind = job.kind;
    let Some(runner) = shared.runners.of(kind) else {
        let message = format!("this server runs no {kind} jobs");
        return Outcome::failed(FailureClass::Invalid, message);
    };
    let request = match request(shared, job.id).await {
        Ok(request) => request,
        Err(error) => {
            return Outcome::failed(FailureClass::Infrastructure, error.to_string());
        }
    };
    let (number, token) = (job.lifecycle.number, job.lifecycle.token);
    let attempt = Attempt { job, request, number, token, resources: entry.need };
    let work = match start {
        Start::Fresh => runner.run(attempt, control),
        Start::Left(left) => runner.resume(attempt, left, control),
    };
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        let message = format!("the runner of {kind} jobs failed; the server's log tells where");
        Outcome::failed(FailureClass::Infrastructure, message)
    })
}

async fn request(shared: &Arc<Shared>, job: JobId) -> Result<String, StoreError> {
    loop {
        match shared.store.jobs().documents(job).await {
            Err(error) if error.is_transient() => shared.pause(&error).await,
            documents => return documents.map(|documents| documents.request),
        }
    }
}

fn clear(shared: &Shared, entry: &Entry, serial: u64) {
    let mut board = shared.board();
    board.leave(entry.job, serial);
    board.queue.leave(entry);
    drop(board);
    shared.changed.notify_one();
}
