//! Processing jobs: a program over inputs, whose output folders become objects.

mod conclude;
mod configuration;
mod request;

use std::path::{Path, PathBuf};

use bessemer_compute::Image;
use bessemer_jobs::Attempt;
use serde_json::Value;

use super::container::{
    ContainerRunner, Demand, Failed, Finished, Merged, Program, Seen, Site, Stage, Work,
};
use request::{Output, ProcessingRequest};

/// Runs processing jobs.
pub(crate) type ProcessingRunner = ContainerRunner<Processing>;

/// A processing job.
#[derive(Debug)]
pub(crate) struct Processing {
    request: ProcessingRequest,
}

impl Work for Processing {
    const RUNNING: &'static str = "Processing";

    fn read(attempt: &Attempt) -> Result<Self, Failed> {
        Ok(Self { request: ProcessingRequest::of(attempt)? })
    }

    fn demand(&self) -> &Demand {
        &self.request.demand
    }

    fn stage(&self, stage: &mut Stage, image: Option<&Image>) -> Result<Program, Failed> {
        if image.is_some() && self.request.command.is_empty() {
            return Err(Failed::client(format!(
                "the image `{}` has no program of its own to process with: name one by \
                 ContainerEntrypoint",
                self.request.demand.image
            )));
        }
        for folder in ["processing", "output"] {
            stage.folder(&format!("/opt/ml/{folder}"))?;
        }
        for input in &self.request.inputs {
            // What is taken from there again must not be somebody else's file.
            let is_output = |output: &Output| {
                input.path.starts_with(&output.path) || output.path.starts_with(&input.path)
            };
            let may_change = self.request.outputs.iter().any(is_output);
            stage.input(&input.source, &input.path, may_change)?;
        }
        for output in &self.request.outputs {
            stage.folder(&output.path)?;
        }
        configuration::write(&self.request, stage)?;
        Ok(Program {
            command: self.request.command.clone(),
            arguments: self.request.arguments.clone(),
            folder: "/opt/ml/processing".to_owned(),
            environment: configuration::variables(&self.request),
            requirements: None,
        })
    }

    fn look(&self, site: &Site, hosts: &[PathBuf], seen: &mut Seen) -> Result<(), Failed> {
        self.put_continuous(site, hosts, seen, true)
    }

    fn reason(&self, host: &Path) -> Option<String> {
        conclude::message(host)
    }

    fn conclude(&self, site: &Site, finished: Finished<'_>) -> Result<Value, Failed> {
        self.put_continuous(site, finished.hosts, finished.seen, false)?;
        conclude::conclude(&self.request, site, &finished)
    }
}

impl Processing {
    fn put_continuous(
        &self,
        site: &Site,
        hosts: &[PathBuf],
        seen: &mut Seen,
        settled: bool,
    ) -> Result<(), Failed> {
        for output in self.request.outputs.iter().filter(|output| output.is_continuous) {
            let merged = Merged::of(hosts, output.inside())?;
            merged.put_changed(&site.storage, &output.uri, seen, settled)?;
        }
        Ok(())
    }
}
