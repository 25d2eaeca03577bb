//! Jobs of every kind: the table, and the words for its rows.

pub(crate) mod change;
mod count;
mod list;
mod query;
pub(crate) mod quota;
mod record;
pub(crate) mod submit;

use bessemer_domain::{
    CAPACITY_ERROR, Effect, FailureClass, JobEvent, JobId, JobKind, Lifecycle, Moment, Phase,
    ProcessId, StateName, Token,
};

pub use query::{JobPage, JobQuery, JobSort};
pub use quota::QuotaCheck;
pub use submit::NewJob;

use crate::{error::StoreError, history::HistoryEntry, store::Store, tags::Tag};

/// The table of jobs.
pub struct JobTable<'s>(pub(crate) &'s Store);

/// A job, without the documents that can be large. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Its name, unique for its kind.
    pub name: String,
    /// Its ARN, which its tags go by.
    pub arn: String,
    /// Jobs of a higher priority go first.
    pub priority: i32,
    /// Within a share, jobs of a higher rank go first.
    pub rank: i32,
    /// Whose it is, for shares of the machine.
    pub share: String,
    /// Cores that it takes while it runs.
    pub cores: u32,
    /// The type of the instances that it asks for, such as `ml.m5.xlarge`.
    pub instance_type: String,
    /// How many instances it asks for.
    pub instance_count: u32,
    /// Its tags as they are now, in the order of their keys.
    pub tags: Vec<Tag>,
    /// What was changed about the request, in words.
    pub note: Option<String>,
    /// Where it stands and how it goes on.
    pub lifecycle: Lifecycle,
    /// What its latest attempt is or was at, by its own word.
    pub stage: Option<String>,
    /// When it was submitted.
    pub created_at: u64,
    /// When its code first ran, since it was submitted or a retry was asked for.
    pub started_at: Option<u64>,
    /// When it came to its end.
    pub ended_at: Option<u64>,
    /// When it last changed.
    pub modified_at: u64,
}

impl Job {
    /// What the job comes to for clients of SageMaker: its phase, but training and processing jobs
    /// that ran out of time are stopped, and so are training jobs that waited for too long.
    #[must_use]
    pub fn status(&self) -> Phase {
        let state = &self.lifecycle.state;
        match (state.name().phase(), self.kind, state.failure()) {
            (
                Phase::Failed,
                JobKind::Training | JobKind::Processing,
                Some((FailureClass::Timeout, _)),
            )
            | (Phase::Failed, JobKind::Training, Some((FailureClass::Capacity, _)))
                if !state.failure().is_some_and(|(_, why)| why.starts_with(CAPACITY_ERROR)) =>
            {
                Phase::Stopped
            }
            (phase, ..) => phase,
        }
    }
}

/// What a job was asked to do and what came of it, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Documents {
    /// The request that made it.
    pub request: String,
    /// What its latest attempt had to say.
    pub result: Option<String>,
}

/// An attempt at a job. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// The job.
    pub job: JobId,
    /// Counts the job's attempts from 1.
    pub number: u32,
    /// Its fencing token.
    pub token: Token,
    /// The server that runs or ran it.
    pub owner: String,
    /// Bytes of memory that it was given.
    pub memory: u64,
    /// The process that runs or ran it.
    pub process: Option<ProcessId>,
    /// When it was given room.
    pub created_at: u64,
    /// When its code began to run.
    pub launched_at: Option<u64>,
    /// When it ended.
    pub ended_at: Option<u64>,
    /// How it failed.
    pub class: Option<FailureClass>,
    /// And why, in words.
    pub message: Option<String>,
    /// What a job of Batch had to say of it, as JSON.
    pub result: Option<String>,
}

/// What became of a job by an event, now on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Advanced {
    /// The job from now on.
    pub job: Job,
    /// What has to be done about it.
    pub effects: Vec<Effect>,
}

/// A job that waits for room or for its next attempt, as far as a queue has to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingJob {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// Its name.
    pub name: String,
    /// The type of its instances.
    pub instance_type: String,
    /// How many instances it asks for.
    pub instance_count: u32,
    /// Its tags, in the order of their keys.
    pub tags: Vec<Tag>,
    /// `Queued` or `Backoff`.
    pub state: StateName,
    /// Jobs of a higher priority go first.
    pub priority: i32,
    /// Within a share, jobs of a higher rank go first.
    pub rank: i32,
    /// Whose it is, for shares of the machine.
    pub share: String,
    /// Cores that it takes while it runs.
    pub cores: u32,
    /// Bytes of memory that it takes while it runs.
    pub memory: u64,
    /// When something is due though nothing happens; see [`Lifecycle::due_at`].
    pub due_at: Option<u64>,
}

/// A job that came to its end, as far as figures have to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    /// Its name.
    pub name: String,
    /// The value of the tag that was asked for.
    pub tag: Option<String>,
    /// How it ended.
    pub phase: Phase,
    /// How its last attempt failed, if it did.
    pub class: Option<FailureClass>,
    /// Attempts ever made.
    pub attempts: u32,
    /// When it was submitted.
    pub created_at: u64,
    /// When its code first ran.
    pub started_at: Option<u64>,
    /// How long its code ran, in all attempts together.
    pub run_millis: u64,
    /// When it ended.
    pub ended_at: u64,
}

impl JobTable<'_> {
    /// Puts a job in the queue. Its name must be new for its kind.
    pub async fn submit(&self, job: NewJob, now: u64) -> Result<Job, StoreError> {
        self.submit_within(job, Vec::new(), now).await
    }

    /// The same, if all of `quotas` have room for it; they are looked at in the transaction that
    /// puts the job in place.
    pub async fn submit_within(
        &self,
        job: NewJob,
        quotas: Vec<QuotaCheck>,
        now: u64,
    ) -> Result<Job, StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move {
                let submitted = submit::submit(conn, &job, now).await?;
                quota::check(conn, &job, &quotas).await?;
                Ok(submitted)
            })
        });
        write.await
    }

    /// What becomes of job `id` by `event`: state, history and outbox event in one transaction.
    pub async fn advance(
        &self,
        id: JobId,
        event: JobEvent,
        at: Moment,
    ) -> Result<Advanced, StoreError> {
        let write = self.0.write_surely(move |conn| {
            Box::pin(async move { change::advance(conn, id, &event, at).await })
        });
        write.await
    }

    /// The same for an event of which nothing follows, with the next write or a moment later. What is
    /// refused, or can't be written, is left out.
    pub async fn advance_later(
        &self,
        id: JobId,
        event: JobEvent,
        at: Moment,
    ) -> Result<(), StoreError> {
        let write = self.0.write_later(move |conn| {
            Box::pin(async move { change::advance(conn, id, &event, at).await.map(|_| ()) })
        });
        write.await
    }

    /// Holds on to every attempt of `owner` until `lease_until`.
    pub async fn renew_leases(&self, owner: &str, lease_until: u64) -> Result<(), StoreError> {
        let owner = owner.to_owned();
        let write = self.0.write(move |conn| {
            Box::pin(async move { change::renew_leases(conn, &owner, lease_until).await })
        });
        write.await
    }

    /// The job of that name.
    pub async fn get(&self, kind: JobKind, name: &str) -> Result<Option<Job>, StoreError> {
        record::by_name(self.0.readers(), kind, name).await
    }

    /// The job of that number.
    pub async fn get_by_id(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let mut reader = self.0.readers().acquire().await?;
        record::by_id(&mut reader, id).await
    }

    /// What job `id` was asked to do and what came of it.
    pub async fn documents(&self, id: JobId) -> Result<Documents, StoreError> {
        record::documents(self.0.readers(), id).await
    }

    /// The documents of many jobs at once, in no order; those that do not exist are left out.
    pub async fn documents_of(&self, ids: &[JobId]) -> Result<Vec<(JobId, Documents)>, StoreError> {
        record::documents_of(self.0.readers(), ids).await
    }

    /// Keeps `request` as what job `id` was asked to do. An attempt under way knows nothing of it.
    pub async fn set_request(&self, id: JobId, request: String) -> Result<(), StoreError> {
        let write = self.0.write(move |conn| {
            Box::pin(async move { record::set_request(conn, id, &request).await })
        });
        write.await
    }

    /// The attempts at job `id`, in order.
    pub async fn attempts(&self, id: JobId) -> Result<Vec<AttemptRecord>, StoreError> {
        record::attempts(self.0.readers(), id).await
    }

    /// What happened to job `id`, in order.
    pub async fn history(&self, id: JobId) -> Result<Vec<HistoryEntry>, StoreError> {
        crate::history::of_job(self.0, id).await
    }

    /// A page of the jobs that `query` is about.
    pub async fn list(&self, query: &JobQuery) -> Result<JobPage, StoreError> {
        list::page(self.0.readers(), query).await
    }

    /// The number of jobs of each kind in each phase.
    pub async fn count_by_phase(&self) -> Result<Vec<(JobKind, Phase, u64)>, StoreError> {
        count::by_phase(self.0.readers()).await
    }

    /// The jobs that wait for room or for their next attempt, longest waiting first.
    pub async fn waiting(&self) -> Result<Vec<WaitingJob>, StoreError> {
        list::waiting(self.0.readers()).await
    }

    /// The jobs with an attempt under way, of whatever owner.
    pub async fn leased(&self) -> Result<Vec<Job>, StoreError> {
        list::leased(self.0.readers()).await
    }

    /// The jobs that ended at `since` or later, in that order, with the values of tag `tag`.
    pub async fn ended(
        &self,
        kind: Option<JobKind>,
        since: u64,
        tag: Option<&str>,
    ) -> Result<Vec<EndedJob>, StoreError> {
        list::ended(self.0.readers(), kind, since, tag).await
    }
}
