//! Transform jobs: `bessemer transform` as a child process over links to the job's objects, and its
//! outputs put into their bucket when it is done.
//!
//! A job has the folder `runs/<job>/`:
//!
//! ```text
//! inputs/         links to the objects, as they were when the job began
//! model/          the model's artifacts; unpacked in unpacked/, code apart from them in code/
//! order/          what the child process is to do
//! left/           what it writes:
//!     output/     the outputs, with which a later attempt goes on
//!     end.json    how it ended
//! ```
//!
//! A model with code of its own is run with the engine in a sandbox. What it leaves in `left/` is
//! looked at as what a stranger left.

mod child;
mod code;
mod end;
mod names;
mod order;
mod payloads;
mod plan;
mod program;
mod publish;
mod sandbox;
mod stage;
mod streams;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bessemer_aws::TransformRequest;
use bessemer_domain::{FailureClass, JobId, Outcome, ProcessId};
use bessemer_jobs::{Attempt, Control, Runner};

pub(crate) use end::{End, FileEnd, write_end};
use names::Names;
pub(crate) use order::{LEFT, Order};
use plan::Plan;
use stage::Staged;
pub(crate) use streams::Streams;

use super::container::{self, Site, ensure_environment};
use crate::options::ModelOptions;
use code::StagedModel;

/// What an image that stands for nothing is to a server's command.
const PLAIN_IMAGE: &str = "python:3.11";

/// Runs transform jobs.
#[derive(Debug, Clone)]
pub(crate) struct TransformRunner {
    site: Arc<Site>,
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

impl From<container::Failed> for Failed {
    fn from(container::Failed { class, message }: container::Failed) -> Self {
        Self { class, message }
    }
}

impl TransformRunner {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        Self { site }
    }

    async fn go(&self, attempt: Attempt, control: Control, left: Option<ProcessId>) -> Outcome {
        let done = self.attempt(&attempt, &control, left).await;
        let outcome = done.unwrap_or_else(|Failed { class, message }| {
            Streams::of(&self.site.logs, &attempt.job).say(&message);
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
        self.site.runs.join(job.to_string())
    }

    /// Removes the job's folder, at once for whoever looks for it. What is left behind costs space
    /// and nothing else.
    async fn forget(&self, job: JobId) {
        let (folder, gone) = (self.folder(job), self.site.runs.join(format!(".gone-{job}")));
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
        let done = self.carry_out(attempt, control, left, (&plan, &folder)).await;
        done.map_err(|Failed { class, message }| {
            let base = Staged::read(&folder).map(|staged| staged.base);
            let message = Names::of(&folder, &plan, base.as_deref()).told(&message);
            Failed { class, message }
        })
    }

    async fn carry_out(
        &self,
        attempt: &Attempt,
        control: &Control,
        left: Option<ProcessId>,
        (plan, folder): (&Plan, &Path),
    ) -> Result<Outcome, Failed> {
        let streams = Streams::of(&self.site.logs, &attempt.job);
        let made = sandbox::left(folder);
        // A sandbox tells of itself, even if it could not be recorded.
        let launcher = &self.site.launcher;
        let was_sandboxed = sandbox::resume(launcher, folder, attempt.number, control).await?;
        if let (Some(left), false) = (&left, was_sandboxed) {
            child::wait(left, control).await?;
        }
        let is_new = (left.is_none() && !was_sandboxed) || !end::has_ended(&made);
        if is_new {
            if control.stop().is_some() {
                return Err(Failed::infrastructure("it was told to stop before it ran"));
            }
            let lost = |error: bessemer_jobs::AttemptLost| Failed::infrastructure(error);
            control.stage("Downloading").await.map_err(lost)?;
            let staged = {
                let (runner, plan, folder) = (self.clone(), plan.clone(), folder.to_owned());
                blocking(move || stage::stage(&runner.site.buckets, &plan, &folder)).await?
            };
            self.launch(attempt, control, plan, (&staged, folder, &streams)).await?;
        }
        let end = end::read(&made)?;
        if end.may_publish() {
            // Whoever was replaced must not put anything in place.
            control.renew().await.map_err(Failed::infrastructure)?;
        }
        let (runner, outcome) = (self.clone(), (plan.clone(), folder.to_owned(), end));
        blocking(move || {
            let (plan, folder, end) = outcome;
            publish::conclude(&runner.site.buckets, &plan, &folder, &end, &streams)
        })
        .await
    }

    /// Runs the engine to its end: in a sandbox if the model brings code of its own.
    async fn launch(
        &self,
        attempt: &Attempt,
        control: &Control,
        plan: &Plan,
        (staged, folder, streams): (&Staged, &Path, &Streams),
    ) -> Result<(), Failed> {
        let resources = attempt.resources;
        let client = |message: String| Failed::invalid(format!("ClientError: {message}"));
        let (model, requirements) = match &staged.model {
            StagedModel::Native(model) => {
                let order = Order::native(plan, staged, (folder, model), streams, resources);
                return child::run(folder, &order.map_err(client)?, control).await;
            }
            StagedModel::Script { script, model_dir, requirements } => {
                let model = ModelOptions {
                    handler: Some(script.clone()),
                    model_dir: Some(model_dir.clone()),
                    framework: code::framework(&plan.container.image).map(str::to_owned),
                    ..ModelOptions::default()
                };
                (model, requirements)
            }
            StagedModel::Server { command, requirements } => {
                let serve = Some(command.clone());
                (ModelOptions { serve, ..ModelOptions::default() }, requirements)
            }
        };
        let images = &self.site.images;
        let image = match (images.find(&plan.container.image), &model.serve) {
            // A command needs no more than Python.
            (Err(_), Some(_)) => images.find(PLAIN_IMAGE),
            (found, _) => found,
        };
        let image = image.map_err(|error| client(error.to_string()))?;
        let environment = {
            let (site, streams) = (Arc::clone(&self.site), streams.clone());
            let requirements = requirements.clone();
            blocking(move || {
                let (say, own) = (|text: &str| streams.say(text), requirements.as_deref());
                Ok(ensure_environment(&site.environments, &image.environment, own, &say)?)
            })
            .await?
        };
        let python = model.handler.is_some().then(|| environment.python.clone());
        let model = ModelOptions { python, ..model };
        let order = Order::sandboxed(plan, staged, sandbox::INPUTS, model, resources);
        let order = order.map_err(client)?;
        let spec = {
            let (attempt, plan) = (attempt.clone(), plan.clone());
            let (folder, streams) = (folder.to_owned(), streams.clone());
            let runs = self.site.runs.clone();
            blocking(move || {
                let setting = sandbox::Setting {
                    folder: &folder,
                    runs: &runs,
                    environment: &environment,
                    variables: plan.container.variables,
                    has_network: plan.container.has_network,
                    streams: &streams,
                };
                sandbox::prepare(&attempt, &order, &setting)
            })
            .await?
        };
        sandbox::run(&self.site.launcher, spec, control).await
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
