//! What a runner says to the dispatcher while an attempt runs, and hears from it.

use std::{
    future,
    sync::{Arc, Mutex, PoisonError},
};

use bessemer_domain::{JobEvent, JobId, ProcessId, StopReason, Token};
use bessemer_store::{Job, StoreError};
use tokio::sync::watch;

use crate::{queue::Entry, shared::Shared};

/// The attempt is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub reason: StopReason,
    /// How long it may take to end by itself, in milliseconds.
    pub grace_millis: u64,
}

/// The attempt can't go on: it has been told to stop, or another has taken its place, or the server
/// shuts down. The runner is to end what it started and to return.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the attempt is no longer wanted: {0}")]
pub struct AttemptLost(String);

/// A runner's line to the dispatcher, for one attempt. Clones are of the same attempt.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
    job: JobId,
    token: Token,
    stop: watch::Receiver<Option<Stop>>,
    noted: Arc<Mutex<Noted>>,
    /// What the attempt was given of the machine, until it gives it back.
    room: Arc<Mutex<Option<Entry>>>,
}

/// What the dispatcher has to know when the attempt has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Noted {
    /// The process that was recorded.
    pub(crate) process: Option<ProcessId>,
    /// When its time is up.
    pub(crate) deadline: Option<u64>,
}

impl Control {
    pub(crate) fn new(
        shared: Arc<Shared>,
        job: JobId,
        token: Token,
        stop: watch::Receiver<Option<Stop>>,
        noted: Noted,
        room: Entry,
    ) -> Self {
        let (noted, room) = (Arc::new(Mutex::new(noted)), Arc::new(Mutex::new(Some(room))));
        Self { shared, job, token, stop, noted, room }
    }

    /// Records that the user's code begins to run, by `process` if it is one of its own. When this
    /// returns, it is on disk, and the next server would find the process. To be called again if
    /// another process takes over.
    pub async fn launched(&self, process: Option<ProcessId>) -> Result<(), AttemptLost> {
        let job = self.say(JobEvent::Launched { token: self.token, process: process.clone() });
        let deadline = job.await?.lifecycle.due_at();
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner) = Noted { process, deadline };
        Ok(())
    }

    /// Records what the attempt is at, in one word such as `Downloading`, in the job's history. It is
    /// on disk with the next thing that is recorded, or a moment later; this does not wait for it.
    pub async fn stage(&self, stage: &str) -> Result<(), AttemptLost> {
        let event = JobEvent::Staged { token: self.token, stage: stage.to_owned() };
        let said = self.shared.apply_later(self.job, event).await;
        said.map_err(|error| AttemptLost(error.to_string()))
    }

    /// Fails if the attempt is no longer the job's: to be asked before results are put in place.
    pub async fn confirm(&self) -> Result<(), AttemptLost> {
        let lost = |error: StoreError| AttemptLost(error.to_string());
        let job = self.shared.store.jobs().get_by_id(self.job).await.map_err(lost)?;
        match job {
            Some(job) if job.lifecycle.is_held_by(self.token) => Ok(()),
            Some(job) => Err(AttemptLost(format!("another has token {}", job.lifecycle.token))),
            None => Err(lost(StoreError::NoJob(self.job))),
        }
    }

    /// Gives the machine's room back before the attempt's end: all its processes are gone, and what is
    /// left to do is the server's own. Its place among running jobs, which quotas count, it keeps.
    pub fn give_back_room(&self) {
        if let Some(entry) = self.take_room() {
            self.shared.vacate(&entry);
        }
    }

    /// What the attempt still has of the machine.
    pub(crate) fn take_room(&self) -> Option<Entry> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Renews the attempt's lease now, which the dispatcher otherwise does by itself for as long as
    /// the runner runs. Fails if the attempt is no longer the job's.
    pub async fn renew(&self) -> Result<(), AttemptLost> {
        let lease_until = self.shared.lease_until();
        self.say(JobEvent::Renewed { token: self.token, lease_until }).await.map(|_| ())
    }

    /// Returns when the attempt is to end.
    pub async fn stopping(&self) -> Stop {
        let mut stop = self.stop.clone();
        let told = stop.wait_for(Option::is_some).await.ok().and_then(|told| *told);
        match told {
            Some(told) => told,
            // The dispatcher has struck the attempt out, and nobody can tell it any more.
            None => future::pending().await,
        }
    }

    /// Whether the attempt is to end, and how.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        *self.stop.borrow()
    }

    pub(crate) fn noted(&self) -> Noted {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn say(&self, event: JobEvent) -> Result<Job, AttemptLost> {
        let said = self.shared.apply_surely(self.job, event).await;
        said.map_err(|error| AttemptLost(error.to_string()))
    }
}
