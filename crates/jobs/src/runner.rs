//! What runs attempts: one runner for each kind of job.

use std::{collections::HashMap, sync::Arc};

use bessemer_domain::{FailureClass, JobId, JobKind, Outcome, ProcessId, Token};
use bessemer_store::Job;
use futures::future::BoxFuture;

use crate::{control::Control, process, resources::Resources};

/// An attempt to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// The job, as it was when the attempt began or was taken over.
    pub job: Job,
    /// What the job is to do, as JSON.
    pub request: String,
    /// Counts the job's attempts from 1. With the job's number it names the attempt for good.
    pub number: u32,
    /// The fencing token. Whatever the attempt commits outside the database has to carry it or to
    /// be safe to do twice.
    pub token: Token,
    /// What the attempt may take of the machine.
    pub resources: Resources,
}

/// Runs the attempts at jobs of a kind.
///
/// A runner that starts a process keeps to this order, so that no process ever runs that the next
/// server does not know of: start it so that it waits, record it by [`Control::launched`], then let
/// it go, and end it if that fails. It has to wait for the server's word in a way that ends with the
/// server, such as a read from a pipe. It should lead a process group of its own.
///
/// A runner ends what it started before it returns; when its future is dropped it should too, but
/// need not: the process that was recorded is ended then.
pub trait Runner: Send + Sync + 'static {
    /// Runs an attempt to its end. The user's code runs from [`Control::launched`] on, which time
    /// limits count from. When [`Control::stopping`] returns, the attempt is to end within the
    /// grace that it tells.
    fn run(&self, attempt: Attempt, control: Control) -> impl Future<Output = Outcome> + Send;

    /// Takes over an attempt that the last server left; `left` is the process that was recorded for
    /// it, which may have ended. A runner that can't go on with it leaves this as it is: the
    /// process is ended, and the attempt fails for `Infrastructure`.
    fn resume(
        &self,
        _attempt: Attempt,
        left: Option<ProcessId>,
        _control: Control,
    ) -> impl Future<Output = Outcome> + Send {
        async move {
            if let Some(left) = left
                && let Err(error) = process::end_process(&left).await
            {
                tracing::error!(pid = left.pid, %error, "a process of the last server lives on");
            }
            let message = "the server was restarted while it ran";
            Outcome::failed(FailureClass::Infrastructure, message)
        }
    }

    /// Clears away what attempt `number` at `job` left: its outcome is on disk, or it was given up.
    /// Not called if the server ends before; what is left then is for the next one to find.
    fn forget(&self, _job: JobId, _number: u32) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// [`Runner`] with its futures boxed.
pub(crate) trait BoxedRunner: Send + Sync {
    fn run(&self, attempt: Attempt, control: Control) -> BoxFuture<'_, Outcome>;

    fn resume(
        &self,
        attempt: Attempt,
        left: Option<ProcessId>,
        control: Control,
    ) -> BoxFuture<'_, Outcome>;

    fn forget(&self, job: JobId, number: u32) -> BoxFuture<'_, ()>;
}

impl<R: Runner> BoxedRunner for R {
    fn run(&self, attempt: Attempt, control: Control) -> BoxFuture<'_, Outcome> {
        Box::pin(Runner::run(self, attempt, control))
    }

    fn resume(
        &self,
        attempt: Attempt,
        left: Option<ProcessId>,
        control: Control,
    ) -> BoxFuture<'_, Outcome> {
        Box::pin(Runner::resume(self, attempt, left, control))
    }

    fn forget(&self, job: JobId, number: u32) -> BoxFuture<'_, ()> {
        Box::pin(Runner::forget(self, job, number))
    }
}

/// The runners by kind of job.
#[derive(Clone, Default)]
pub struct Runners {
    by_kind: HashMap<JobKind, Arc<dyn BoxedRunner>>,
}

impl Runners {
    /// No runners: jobs are kept, and fail as `Invalid` when their turn comes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with `runner` for the jobs of `kind`.
    #[must_use]
    pub fn with(mut self, kind: JobKind, runner: impl Runner) -> Self {
        self.by_kind.insert(kind, Arc::new(runner));
        self
    }

    pub(crate) fn of(&self, kind: JobKind) -> Option<Arc<dyn BoxedRunner>> {
        self.by_kind.get(&kind).map(Arc::clone)
    }
}
