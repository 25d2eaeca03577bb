//! The handle on all jobs: what fronts and commands call.

use std::sync::Arc;

use bessemer_domain::{JobEvent, JobKind};
use bessemer_store::{
    AttemptRecord, Documents, HistoryEntry, Job, JobPage, JobQuery, NewJob, Store, StoreError,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    dispatcher::{self, Shutdown},
    error::JobsError,
    explain::{self, Obstacles, Room},
    policies::Policies,
    resources::Resources,
    runner::Runners,
    shared::Shared,
    stats::{self, Figures, StatsQuery, Trend},
    timer::{SystemTimer, Timer},
};

/// What jobs are run with.
pub struct JobsOptions {
    /// Where they are kept.
    pub store: Store,
    /// What runs them, by kind.
    pub runners: Runners,
    /// What they may take of the machine, all together.
    pub machine: Resources,
    /// What the operator has set.
    pub policies: Policies,
    /// Tells the time.
    pub timer: Arc<dyn Timer>,
    /// How long an attempt is held without being renewed, in milliseconds.
    pub lease_millis: u64,
    /// Where random numbers start; no two servers should have the same.
    pub seed: u64,
}

impl JobsOptions {
    /// The whole of this machine, nothing set, its clock, and leases of 30 seconds.
    pub fn new(store: Store, runners: Runners, seed: u64) -> Self {
        Self {
            store,
            runners,
            machine: Resources::of_this_machine(),
            policies: Policies::default(),
            timer: Arc::new(SystemTimer),
            lease_millis: 30_000,
            seed,
        }
    }
}

/// All jobs. Clones are of the same.
#[derive(Clone)]
pub struct Jobs {
    pub(crate) shared: Arc<Shared>,
    shutdowns: mpsc::Sender<Shutdown>,
}

impl Jobs {
    /// Takes up what the last server left and begins to run jobs, in the runtime that it is called
    /// in. There has to be one at most for a store.
    pub async fn start(options: JobsOptions) -> Result<Self, JobsError> {
        let JobsOptions { store, runners, machine, policies, timer, lease_millis, seed } = options;
        let shared = Shared::new(store, timer, machine, policies, runners, lease_millis, seed);
        let shared = Arc::new(shared);
        let left = dispatcher::recover(&shared).await?;
        let (shutdowns, asked) = mpsc::channel(1);
        tokio::spawn(dispatcher::serve(Arc::clone(&shared), left, asked));
        Ok(Self { shared, shutdowns })
    }

    /// Puts a job in the queue; when this returns, it is on disk. It gets what the operator has set
    /// for it, and no more than the machine has, with a note; its memory does not grow past that.
    pub async fn submit(&self, mut job: NewJob) -> Result<Job, JobsError> {
        self.prepare(&mut job)?;
        let within = self.shared.policies.checks(&job)?;
        let (kind, name) = (job.kind, job.name.clone());
        match self.shared.submit(job, within).await {
            Err(StoreError::AlreadyExists { .. }) => Err(JobsError::AlreadyExists { kind, name }),
            done => Ok(done?),
        }
    }

    /// Gives a job what the operator has set for it, and no more than the machine has.
    pub(crate) fn prepare(&self, job: &mut NewJob) -> Result<(), JobsError> {
        self.shared.policies.apply(job)?;
        let machine = self.shared.machine;
        let asked = Resources { cores: job.cores, memory: job.memory };
        let (given, note) = asked.clamped_to(machine);
        (job.cores, job.memory) = (given.cores, given.memory);
        let notes: Vec<String> = job.note.take().into_iter().chain(note).collect();
        job.note = (!notes.is_empty()).then(|| notes.join("; "));
        let most = job.policy.memory_max.unwrap_or(u64::MAX);
        job.policy.memory_max = Some(most.min(machine.memory));
        Ok(())
    }

    /// The job of that name.
    pub async fn get(&self, kind: JobKind, name: &str) -> Result<Job, JobsError> {
        let found = self.shared.store.jobs().get(kind, name).await?;
        found.ok_or_else(|| JobsError::NotFound { kind, name: name.to_owned() })
    }

    /// What a job was asked to do and what came of it.
    pub async fn documents(&self, job: &Job) -> Result<Documents, JobsError> {
        Ok(self.shared.store.jobs().documents(job.id).await?)
    }

    /// The attempts at a job, in order.
    pub async fn attempts(&self, job: &Job) -> Result<Vec<AttemptRecord>, JobsError> {
        Ok(self.shared.store.jobs().attempts(job.id).await?)
    }

    /// What happened to a job, in order.
    pub async fn history(&self, job: &Job) -> Result<Vec<HistoryEntry>, JobsError> {
        Ok(self.shared.store.jobs().history(job.id).await?)
    }

    /// A page of the jobs that `query` is about.
    pub async fn list(&self, query: &JobQuery) -> Result<JobPage, JobsError> {
        Ok(self.shared.store.jobs().list(query).await?)
    }

    /// Asks a job to end: one that waits is stopped at once, one that runs gets its grace. Asking
    /// again changes nothing; a job that has ended refuses.
    pub async fn stop(&self, kind: JobKind, name: &str) -> Result<Job, JobsError> {
        let job = self.get(kind, name).await?;
        Ok(self.shared.apply(job.id, JobEvent::StopRequested).await?)
    }

    /// Has a failed or stopped job tried again, with all its attempts, or one that waits for its
    /// next attempt at once. Any other refuses.
    pub async fn retry(&self, kind: JobKind, name: &str) -> Result<Job, JobsError> {
        let job = self.get(kind, name).await?;
        Ok(self.shared.apply(job.id, JobEvent::RetryRequested).await?)
    }

    /// Why a job is where it is, in words: what it waits for, how it failed and how often, what
    /// comes next.
    pub async fn why(&self, kind: JobKind, name: &str) -> Result<String, JobsError> {
        let job = self.get(kind, name).await?;
        let attempts = self.attempts(&job).await?;
        let entry = self.shared.policies.entry(&job);
        let room = self.room();
        let obstacles = {
            let queue = &self.shared.board().queue;
            let closed = queue.closed(&entry.gates, entry.instances);
            Obstacles {
                room,
                share: queue.share(&job.share),
                closed: closed.map(|(gate, running)| (gate.clone(), running)),
            }
        };
        Ok(explain::explain(&job, &attempts, &obstacles, self.shared.now()))
    }

    /// What the machine has left for jobs, and how many wait for it.
    pub fn room(&self) -> Room {
        let board = self.shared.board();
        Room { free: board.queue.free(), total: self.shared.machine, waiting: board.queue.len() }
    }

    /// Returns when a job has come to its end, with what it has become.
    pub async fn wait(&self, kind: JobKind, name: &str) -> Result<Job, JobsError> {
        loop {
            let id = self.get(kind, name).await?.id;
            // Listened for first and looked at then, so that no end is missed.
            let ended = self.shared.board().wait_for(id);
            let job = self.get(kind, name).await?;
            if job.lifecycle.state.name().is_final() {
                return Ok(job);
            }
            ended.await.map_err(|_| JobsError::Closed)?;
        }
    }

    /// Figures of the jobs that have ended, by group, in the order of the groups' names.
    pub async fn stats(&self, query: &StatsQuery) -> Result<Vec<(String, Figures)>, JobsError> {
        let jobs = self.shared.store.jobs();
        let ended = jobs.ended(query.kind, query.since, query.group.tag()).await?;
        Ok(stats::figures(&ended, &query.group))
    }

    /// The same over time: with the time before that was as long, and by day.
    pub async fn trends(&self, query: &StatsQuery) -> Result<Vec<Trend>, JobsError> {
        let jobs = self.shared.store.jobs();
        let length = self.shared.now().saturating_sub(query.since);
        let begin = query.since.saturating_sub(length);
        let ended = jobs.ended(query.kind, begin, query.group.tag()).await?;
        Ok(stats::trends(ended, &query.group, query.since))
    }

    /// Starts no more attempts, waits up to `grace_millis` for those that run, and drops the rest,
    /// which the next server takes over. Jobs can still be read.
    pub async fn shutdown(&self, grace_millis: u64) {
        let (done, ended) = oneshot::channel();
        let deadline = self.shared.now().saturating_add(grace_millis);
        if self.shutdowns.send(Shutdown { deadline, done }).await.is_ok() {
            // It fails if another shutdown was first, which is as good.
            let _ = ended.await;
        }
    }
}
