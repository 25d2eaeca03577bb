//! What the handle, the dispatcher and the attempts share; and the one way by which a job changes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bessemer_domain::{Effect, JobEvent, JobId, JobKind, JobState, Moment};
use bessemer_store::{Advanced, Job, NewBatchJob, NewJob, QuotaCheck, Store, StoreError};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::Notify;

use crate::{
    board::Board, control::Stop, policies::Policies, queue::Entry, resources::Resources,
    runner::Runners, timer::Timer,
};

/// How long to wait before a write that the database refused for now is tried again.
const RETRY_WRITE_MILLIS: u64 = 1_000;

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) timer: Arc<dyn Timer>,
    pub(crate) machine: Resources,
    pub(crate) policies: Policies,
    pub(crate) runners: Runners,
    pub(crate) owner: String,
    pub(crate) lease_millis: u64,
    /// Wakes the dispatcher.
    pub(crate) changed: Notify,
    /// Tells that a job of Batch has changed.
    pub(crate) batch_changed: Notify,
    random: Mutex<StdRng>,
    board: Mutex<Board>,
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        timer: Arc<dyn Timer>,
        machine: Resources,
        policies: Policies,
        runners: Runners,
        lease_millis: u64,
        seed: u64,
    ) -> Self {
        let board = Board::new(machine, policies.queue.weights.clone());
        let owner = format!("{}-{:016x}", std::process::id(), seed);
        Self {
            store,
            timer,
            machine,
            policies,
            runners,
            owner,
            lease_millis,
            changed: Notify::new(),
            batch_changed: Notify::new(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
            board: Mutex::new(board),
        }
    }

    /// The board. Nothing that holds it waits or can fail half way.
    pub(crate) fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back the room of a job that was given it. It still counts for quotas.
    pub(crate) fn vacate(&self, entry: &Entry) {
        let mut board = self.board();
        board.queue.pass(self.now());
        board.queue.vacate(entry);
        drop(board);
        self.changed.notify_one();
    }

    pub(crate) fn now(&self) -> u64 {
        self.timer.now_millis()
    }

    pub(crate) fn lease_until(&self) -> u64 {
        self.now().saturating_add(self.lease_millis)
    }

    fn moment(&self) -> Moment {
        let unit = self.random.lock().unwrap_or_else(PoisonError::into_inner).random();
        Moment { now: self.now(), unit }
    }

    /// Puts a job in the queue, even if the caller goes away meanwhile.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        job: NewJob,
        within: Vec<QuotaCheck>,
    ) -> Result<Job, StoreError> {
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let job = shared.store.jobs().submit_within(job, within, shared.now()).await?;
            shared.enter(&job);
            shared.changed.notify_one();
            Ok(job)
        });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same with jobs of Batch.
    pub(crate) async fn submit_batch(
        self: &Arc<Self>,
        jobs: Vec<NewBatchJob>,
        within: Vec<QuotaCheck>,
    ) -> Result<(), StoreError> {
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let jobs = shared.store.batch().submit(jobs, within, shared.now()).await?;
            for job in &jobs {
                shared.enter(job);
            }
            shared.changed.notify_one();
            shared.batch_changed.notify_one();
            Ok(())
        });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Puts a new job on the board.
    fn enter(&self, job: &Job) {
        let entry = self.policies.entry(job);
        let mut board = self.board();
        if job.lifecycle.state == JobState::Queued {
            board.queue.push(entry);
        }
        if let Some(due) = job.lifecycle.due_at() {
            board.set_alarm(due, job.id);
        }
    }

    /// Changes a job by `event`, of which nothing follows, with the next change that is written. One
    /// that can't be written is left out.
    pub(crate) async fn apply_later(&self, id: JobId, event: JobEvent) -> Result<(), StoreError> {
        self.store.jobs().advance_later(id, event, self.moment()).await
    }

    /// Changes a job by `event`, and does what follows from it, even if the caller goes away
    /// meanwhile.
    pub(crate) async fn apply(
        self: &Arc<Self>,
        id: JobId,
        event: JobEvent,
    ) -> Result<Job, StoreError> {
        let shared = Arc::clone(self);
        let task = tokio::spawn(async move {
            let done = shared.store.jobs().advance(id, event, shared.moment()).await?;
            shared.follow_up(&done);
            Ok(done.job)
        });
        task.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same, again and again while the database can't take it.
    pub(crate) async fn apply_surely(
        self: &Arc<Self>,
        id: JobId,
        event: JobEvent,
    ) -> Result<Job, StoreError> {
        loop {
            match self.apply(id, event.clone()).await {
                Err(StoreError::Closed) => return Err(StoreError::Closed),
                Err(error) if error.is_transient() => self.pause(&error).await,
                done => return done,
            }
        }
    }

    /// Waits until a write that failed is worth another try.
    pub(crate) async fn pause(&self, error: &StoreError) {
        tracing::warn!(%error, "a job's change is not on disk yet and is tried again");
        let until = self.now().saturating_add(RETRY_WRITE_MILLIS);
        while self.now() < until {
            self.timer.sleep_until(until).await;
        }
    }

    fn follow_up(&self, done: &Advanced) {
        let id = done.job.id;
        let mut board = self.board();
        for effect in &done.effects {
            match *effect {
                Effect::Enqueue => board.queue.push(self.policies.entry(&done.job)),
                Effect::WakeAt(at) => board.set_alarm(at, id),
                Effect::Finish => board.finish(id),
                Effect::TellToStop { reason, grace_millis } => {
                    if let Some(live) = board.live(id) {
                        live.stop.send_replace(Some(Stop { reason, grace_millis }));
                    }
                }
                Effect::Abandon { token } => {
                    if let Some(live) = board.live(id) {
                        live.abandoned.send_replace(Some(token));
                    }
                }
            }
        }
        drop(board);
        if !done.effects.is_empty() {
            self.changed.notify_one();
        }
        if done.job.kind == JobKind::Batch {
            self.batch_changed.notify_one();
        }
    }
}
