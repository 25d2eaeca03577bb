//! Transform jobs: `bessemer transform` as a child process over links to the job's objects, and its
//! outputs put into their bucket when it is done.
//!
//! A job has the folder `runs/<job>/`:
//!
//! ```text
//! inputs/         links to the objects, as they were when the job began
//! model/          the model's artifacts
//! inputs.manifest, order.json    what the child process is to do
//! output/         the engine's output folder, which a later attempt goes on with
//! end.json        how the child process ended
//! ```

mod child;
mod end;
mod order;
mod plan;
mod publish;
mod stage;
mod streams;

use std::{path::PathBuf, sync::Arc};

use bessemer_aws::TransformRequest;
use bessemer_compute::logs::LogFolder;
use bessemer_domain::{FailureClass, JobId, Outcome, ProcessId};
use bessemer_jobs::{Attempt, Control, Runner};
use bessemer_objects::buckets::BucketDir;

pub(crate) use end::{End, FileEnd, write_end};
pub(crate) use order::Order;
use plan::Plan;
use streams::Streams;

/// Runs transform jobs.
#[derive(Debug, Clone)]
pub(crate) struct TransformRunner {
    /// `runs/` of the data directory.
    pub(crate) runs: PathBuf,
    pub(crate) buckets: Arc<BucketDir>,
    pub(crate) logs: LogFolder,
}

/// An attempt that ended early.
#[derive(Debug)]
pub(crate) struct Failed {
    class: FailureClass,
    message: String,
}

impl Failed {
    /// What can't be carried out, however often it is tried.
    fn invalid(message: impl Into<String>) -> Self {
        Self { class: FailureClass::Invalid, message: message.into() }
    }

    /// What may pass.
    fn infrastructure(message: impl std::fmt::Display) -> Self {
        Self { class: FailureClass::Infrastructure, message: message.to_string() }
    }
}

impl Runner for TransformRunner {
    /// The first attempt since the job was submitted or a retry was asked for begins anew; a later
    /// one goes on with the output of the one before.
    async fn run(&self, attempt: Attempt, control: Control) -> Outcome {
        if attempt.job.lifecycle.attempts <= 1 {
            self.forget(attempt.job.id).await;
        }
        self.go(attempt, control, None).await
    }

    /// The process lives on without its server: it is waited for. If it has ended without saying
    /// how, another goes on with its output.
    async fn resume(&self, attempt: Attempt, left: Option<ProcessId>, control: Control) -> Outcome {
        self.go(attempt, control, left).await
    }

    async fn settled(&self, job: JobId) {
        self.forget(job).await;
    }
}

impl TransformRunner {
    async fn go(&self, attempt: Attempt, control: Control, left: Option<ProcessId>) -> Outcome {
        let done = self.attempt(&attempt, &control, left).await;
        let outcome = done.unwrap_or_else(|Failed { class, message }| {
            Streams::of(&self.logs, &attempt.job).say(&message);
            Outcome::failed(class, message)
        });
        // After these, another attempt goes on with what there is; else it begins anew.
        if matches!(&outcome, Outcome::Failed { class, .. } if *class != FailureClass::Infrastructure)
        {
            self.forget(attempt.job.id).await;
        }
        outcome
    }

    fn folder(&self, job: JobId) -> PathBuf {
        self.runs.join(job.to_string())
    }

    /// Removes the job's folder, at once for whoever looks for it. What is left behind costs space
    /// and nothing else.
    async fn forget(&self, job: JobId) {
        let (folder, gone) = (self.folder(job), self.runs.join(format!(".gone-{job}")));
        let remove = async {
            remove_all(&gone).await?;
            tokio::fs::rename(&folder, &gone).await?;
            remove_all(&gone).await
        };
        if let Err(error) = remove.await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %folder.display(), %error, "a job's folder can't be removed");
        }
    }

    async fn attempt(
        &self,
        attempt: &Attempt,
        control: &Control,
        left: Option<ProcessId>,
    ) -> Result<Outcome, Failed> {
        let folder = self.folder(attempt.job.id);
        let request: TransformRequest = serde_json::from_str(&attempt.request)
            .map_err(|error| Failed::infrastructure(format!("read the job's request: {error}")))?;
        let plan = Plan::of(&request).map_err(Failed::invalid)?;
        let streams = Streams::of(&self.logs, &attempt.job);
        if let Some(left) = &left {
            child::wait(left, control).await?;
        }
        let is_new = left.is_none() || !end::has_ended(&folder);
        if is_new {
            if control.stop().is_some() {
                return Err(Failed::infrastructure("it was told to stop before it ran"));
            }
            let lost = |error: bessemer_jobs::AttemptLost| Failed::infrastructure(error);
            control.stage("Downloading").await.map_err(lost)?;
            let staged = {
                let (runner, plan, folder) = (self.clone(), plan.clone(), folder.clone());
                blocking(move || stage::stage(&runner.buckets, &plan, &folder)).await?
            };
            let order = Order::new(&plan, &staged, &streams, attempt.resources);
            child::run(&folder, &order, control).await?;
        }
        let end = end::read(&folder)?;
        if end.may_publish() {
            // Whoever was replaced must not put anything in place.
            control.renew().await.map_err(Failed::infrastructure)?;
        }
        let (runner, outcome) = (self.clone(), (plan, folder.clone(), end));
        blocking(move || {
            let (plan, folder, end) = outcome;
            publish::conclude(&runner.buckets, &plan, &folder, &end, &streams)
        })
        .await
    }
}

async fn remove_all(folder: &std::path::Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failed> + Send + 'static,
) -> Result<T, Failed> {
    tokio::task::spawn_blocking(work).await.map_err(Failed::infrastructure)?
}
