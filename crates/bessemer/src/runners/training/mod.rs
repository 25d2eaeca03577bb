//! Training jobs: channels, hyperparameters, a script or a program, and the model that it leaves.

mod conclude;
mod configuration;
mod entry;
mod function;
mod metrics;
mod request;
mod script;

use std::path::{Path, PathBuf};

use bessemer_compute::Image;
use bessemer_jobs::Attempt;
use serde_json::Value;

use super::container::{
    ContainerRunner, Demand, Failed, Finished, Merged, Program, Seen, Site, Stage, Work, of_host,
};
pub(crate) use conclude::seconds;
use request::TrainingRequest;

/// Runs training jobs.
pub(crate) type TrainingRunner = ContainerRunner<Training>;

/// A training job.
#[derive(Debug)]
pub(crate) struct Training {
    request: TrainingRequest,
}

/// Characters of the file `failure` that are told.
const REASON: usize = 1024;

impl Work for Training {
    const RUNNING: &'static str = "Training";

    fn read(attempt: &Attempt) -> Result<Self, Failed> {
        Ok(Self { request: TrainingRequest::of(attempt)? })
    }

    fn demand(&self) -> &Demand {
        &self.request.demand
    }

    fn stage(&self, stage: &mut Stage, image: Option<&Image>) -> Result<Program, Failed> {
        for folder in ["model", "output/data", "code"] {
            stage.folder(&format!("/opt/ml/{folder}"))?;
        }
        for channel in &self.request.channels {
            let inside = format!("/opt/ml/input/data/{}", channel.name);
            stage.input(&channel.source, &inside, false)?;
        }
        if let Some(checkpoints) = &self.request.checkpoints {
            stage.copies(&checkpoints.uri, &checkpoints.path)?;
        }
        configuration::write(&self.request, stage)?;
        entry::stage(&self.request, stage, image)
    }

    fn look(&self, site: &Site, hosts: &[PathBuf], seen: &mut Seen) -> Result<(), Failed> {
        self.put_checkpoints(site, hosts, seen, true)
    }

    fn reason(&self, host: &Path) -> Option<String> {
        let output = of_host(host, "output").ok().flatten()?;
        output.text("failure", REASON).ok().flatten()
    }

    fn conclude(&self, site: &Site, finished: Finished<'_>) -> Result<Value, Failed> {
        self.put_checkpoints(site, finished.hosts, finished.seen, false)?;
        conclude::conclude(&self.request, site, &finished)
    }
}

impl Training {
    fn put_checkpoints(
        &self,
        site: &Site,
        hosts: &[PathBuf],
        seen: &mut Seen,
        settled: bool,
    ) -> Result<(), Failed> {
        let Some(checkpoints) = &self.request.checkpoints else { return Ok(()) };
        let inside = checkpoints.path.trim_start_matches("/opt/ml/");
        let merged = Merged::of(hosts, inside)?;
        merged.put_changed(&site.storage, &checkpoints.uri, seen, settled)
    }
}
