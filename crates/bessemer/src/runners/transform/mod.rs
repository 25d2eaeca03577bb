//! Transform jobs: `bessemer transform` as a child process of each instance over links to the job's
//! objects, and the outputs put into their bucket when all are done.
//!
//! A job has the folder `runs/<job>/`:
//!
//! ```text
//! inputs/         links to the objects, as they were when the job began
//! model/          the model's artifacts; code apart from them in code/
//! algo-1/         the first instance; each has its share of the inputs
//!     model/      the artifacts unpacked
//!     order/      what the child process is to do
//!     left/       what it writes:
//!         output/     the outputs, with which a later attempt goes on
//!         end.json    how it ended
//! ```
//!
//! A model with code of its own is run with the engine in a sandbox. What it leaves in `left/` is
//! looked at as what a stranger left.

mod child;
mod code;
mod end;
mod kept;
mod merge;
mod names;
mod order;
mod payloads;
mod plan;
mod program;
mod publish;
mod replay;
mod sandbox;
mod serving;
mod stage;
mod streams;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bessemer_aws::TransformRequest;
use bessemer_compute::{Environment, docker::ContainerNetwork};
use bessemer_domain::{FailureClass, JobId, Outcome, ProcessId};
use bessemer_jobs::{Attempt, Control, Resources, Runner};

pub(crate) use end::{End, FileEnd, write_end};
pub(crate) use kept::Kept;
use names::Names;
pub(crate) use order::{LEFT, Order};
use plan::Plan;
use stage::Staged;
pub(crate) use streams::Streams;

use super::container::{self, Runtime, Site, ensure_environment, host_name};
use crate::options::ModelOptions;
use code::{ServingImage, StagedModel};

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
            self.streams(&attempt, 0).say(&message);
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
        let hosts_of = |staged: &Staged| -> Vec<PathBuf> {
            let hosts = staged.hosts(plan.instances);
            (0..hosts).map(|index| folder.join(host_name(index))).collect()
        };
        // What an earlier server left.
        let mut is_new = true;
        if let Some(staged) = Staged::read(folder) {
            let hosts = hosts_of(&staged);
            // A sandbox tells of itself, even if it could not be recorded.
            let launcher = &self.site.launcher;
            let was_sandboxed = sandbox::resume(launcher, &hosts, attempt.number, control).await?;
            if let (Some(left), false) = (&left, was_sandboxed) {
                child::wait(left, &hosts, control).await?;
            }
            let has_run = left.is_some() || was_sandboxed;
            is_new = !has_run || !hosts.iter().all(|host| end::has_ended(&sandbox::left(host)));
        }
        if is_new {
            if control.stop().is_some() {
                return Err(Failed::infrastructure("it was told to stop before it ran"));
            }
            let lost = |error: bessemer_jobs::AttemptLost| Failed::infrastructure(error);
            control.stage("Downloading").await.map_err(lost)?;
            let staged = {
                let (runner, plan, folder) = (self.clone(), plan.clone(), folder.to_owned());
                let job = attempt.job.id;
                blocking(move || {
                    let kept = plan.replay.map(|of| runner.claim(of, job)).transpose()?;
                    let container = ServingImage::of(&runner.site, &plan)?;
                    stage::stage(&runner.site.storage, &plan, &folder, (kept, container))
                })
                .await?
            };
            if !staged.names.is_empty() {
                self.launch(attempt, control, plan, (&staged, folder, &hosts_of(&staged))).await?;
            }
        }
        let staged = Staged::read(folder);
        let staged = staged.ok_or_else(|| Failed::infrastructure("the job's folder is damaged"))?;
        let mut ends = Vec::new();
        for (index, host) in hosts_of(&staged).iter().enumerate() {
            ends.push((end::read(&sandbox::left(host))?, self.streams(attempt, index)));
        }
        if ends.iter().any(|(end, _)| end.may_publish()) {
            // Whoever was replaced must not put anything in place.
            control.renew().await.map_err(Failed::infrastructure)?;
        }
        if ends.is_empty() {
            let nothing =
                serde_json::json!({ "status": "succeeded", "replayed": 0, "rejected": 0 });
            return Ok(Outcome::Succeeded { result: Some(nothing.to_string()) });
        }
        let (runner, plan, folder) = (self.clone(), plan.clone(), folder.to_owned());
        let kept_at = Kept::place(&self.site.runs, attempt.job.id);
        blocking(move || {
            let ends = (ends, kept_at.as_path());
            publish::conclude(&runner.site.storage, &plan, &folder, &staged, ends)
        })
        .await
    }

    /// What is kept of the job `of`, for its replay by `job`.
    fn claim(&self, of: JobId, job: JobId) -> Result<Kept, Failed> {
        let (runs, place) = (&self.site.runs, Kept::place(&self.site.runs, of));
        let kept = Kept::read(&place)?;
        std::fs::create_dir_all(self.folder(job)).map_err(Failed::infrastructure)?;
        Kept::claim(runs, &place, job).map(|()| kept)
    }

    fn streams(&self, attempt: &Attempt, index: usize) -> Streams {
        Streams::of(&self.site.logs, &attempt.job, index)
    }

    /// Runs an engine for each instance to its end: in sandboxes if the model brings code of its own.
    async fn launch(
        &self,
        attempt: &Attempt,
        control: &Control,
        plan: &Plan,
        (staged, folder, hosts): (&Staged, &Path, &[PathBuf]),
    ) -> Result<(), Failed> {
        let resources = of_each(attempt.resources, plan.instances);
        let share = |index: usize| staged.share(index, hosts.len());
        let (model, runtime) = match &staged.model {
            StagedModel::Native(model) => {
                let order = |(index, host): (usize, &PathBuf)| {
                    let streams = self.streams(attempt, index);
                    let order =
                        Order::native(plan, share(index), (folder, model), &streams, resources);
                    let order = order.map_err(client)?.replaying(staged.replay.as_ref());
                    Ok((host.clone(), order))
                };
                let orders: Result<Vec<_>, Failed> = hosts.iter().enumerate().map(order).collect();
                return child::run(&orders?, control).await;
            }
            StagedModel::Script { script, model_dir, requirements } => {
                let model = ModelOptions {
                    handler: Some(script.clone()),
                    model_dir: Some(model_dir.clone()),
                    framework: code::framework(&plan.container.image).map(str::to_owned),
                    ..ModelOptions::default()
                };
                let environment =
                    self.environment(attempt, plan, (&model, requirements.clone())).await?;
                let python = Some(environment.python.clone());
                (ModelOptions { python, ..model }, Runtime::Environment(environment))
            }
            StagedModel::Server { command, requirements } => {
                let serve = Some(command.clone());
                let model = ModelOptions { serve, ..ModelOptions::default() };
                let environment =
                    self.environment(attempt, plan, (&model, requirements.clone())).await?;
                (model, Runtime::Environment(environment))
            }
            StagedModel::Container(ServingImage { image, command }) => {
                // On this machine's network, others may listen there.
                let is_alone = self.site.docker.network != ContainerNetwork::Host
                    || !plan.container.has_network;
                let model = ModelOptions {
                    serve: Some(command.clone()),
                    serve_port: is_alone.then_some(serving::PORT),
                    ..ModelOptions::default()
                };
                (model, Runtime::Container(image.clone()))
            }
        };
        let mut orders = Vec::new();
        for (index, host) in hosts.iter().enumerate() {
            let order = Order::sandboxed(plan, share(index), &model, resources).map_err(client)?;
            let order = order.replaying(staged.replay.as_ref());
            orders.push((host.clone(), order, self.streams(attempt, index)));
        }
        let specs = {
            let (attempt, plan) = (attempt.clone(), plan.clone());
            let (folder, site) = (folder.to_owned(), Arc::clone(&self.site));
            blocking(move || {
                let setting = sandbox::Setting {
                    folder: &folder,
                    site: &site,
                    runtime: &runtime,
                    variables: plan.container.variables,
                    has_network: plan.container.has_network,
                    resources,
                };
                let spec =
                    |(index, (host, order, streams)): (usize, &(PathBuf, Order, Streams))| {
                        sandbox::prepare(&attempt, index, (host, order, streams), &setting)
                    };
                orders.iter().enumerate().map(spec).collect::<Result<Vec<_>, _>>()
            })
            .await?
        };
        sandbox::run(&self.site.launcher, specs, control).await
    }

    /// The Python environment that the model's own code runs in.
    async fn environment(
        &self,
        attempt: &Attempt,
        plan: &Plan,
        (model, requirements): (&ModelOptions, Option<String>),
    ) -> Result<Environment, Failed> {
        let images = &self.site.images;
        let image = match (images.find(&plan.container.image), &model.serve) {
            // A command needs no more than Python.
            (Err(_), Some(_)) => images.find(PLAIN_IMAGE),
            (found, _) => found,
        };
        let image = image.map_err(|error| client(error.to_string()))?;
        let (site, streams) = (Arc::clone(&self.site), self.streams(attempt, 0));
        blocking(move || {
            let (say, own) = (|text: &str| streams.say(text), requirements.as_deref());
            Ok(ensure_environment(&site.environments, &image.environment, own, &say)?)
        })
        .await
    }
}

fn client(message: impl std::fmt::Display) -> Failed {
    Failed::invalid(format!("ClientError: {message}"))
}

/// What each of `instances` has of what all have.
fn of_each(all: Resources, instances: usize) -> Resources {
    let count = u32::try_from(instances).unwrap_or(u32::MAX).max(1);
    Resources { cores: (all.cores / count).max(1), memory: all.memory / u64::from(count) }
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
