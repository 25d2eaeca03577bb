//! Jobs of AWS Batch: a container's command, and nothing but its end.

mod exit;

use std::path::{Path, PathBuf};

use bessemer_aws::BatchRequest;
use bessemer_compute::{Image, images::ImageEntry, logs::LogFolder};
use bessemer_domain::{RetryAction, retry_action};
use bessemer_jobs::Attempt;
use serde_json::Value;

use super::container::{
    ContainerRunner, Demand, Ended, Failed, Finished, HostLogs, Program, Seen, Site, Stage, Work,
};

/// Runs Batch's jobs.
pub(crate) type BatchRunner = ContainerRunner<BatchWork>;

/// A job of Batch.
#[derive(Debug)]
pub(crate) struct BatchWork {
    request: BatchRequest,
    demand: Demand,
    id: String,
    attempt: u32,
}

fn request(attempt: &Attempt) -> Result<BatchRequest, Failed> {
    serde_json::from_str(&attempt.request)
        .map_err(|error| Failed::internal(format!("read the job's request: {error}")))
}

impl Work for BatchWork {
    const RUNNING: &'static str = "Running";
    const HAS_STAGES: bool = false;

    fn read(attempt: &Attempt) -> Result<Self, Failed> {
        let request = request(attempt)?;
        let demand = Demand {
            image: request.image().to_owned(),
            instances: 1,
            volume: request.storage(),
            environment: request.variables(),
            has_network: true,
            is_watched: false,
        };
        Ok(Self { request, demand, id: attempt.job.name.clone(), attempt: attempt.number })
    }

    fn logs(logs: &LogFolder, attempt: &Attempt, instances: usize) -> HostLogs {
        match request(attempt) {
            Ok(request) => {
                let stream = request.log_stream(&attempt.job.name, attempt.number);
                HostLogs::in_file(logs.file(request.log_group(), &stream))
            }
            Err(_) => HostLogs::of(logs, &attempt.job, instances),
        }
    }

    fn demand(&self) -> &Demand {
        &self.demand
    }

    fn stage(&self, stage: &mut Stage, image: Option<&Image>) -> Result<Program, Failed> {
        stage.folder("/opt/ml")?;
        // As with Docker: a command is the arguments of the image's own program, if it has one.
        let (command, arguments) = match image.map(|image| &image.entry) {
            None => (Vec::new(), self.request.command()),
            Some(ImageEntry::Program(program)) => (program.clone(), self.request.command()),
            Some(ImageEntry::Nothing | ImageEntry::Train(_) | ImageEntry::XgBoost) => {
                (self.request.command(), Vec::new())
            }
        };
        Ok(Program {
            command,
            arguments,
            environment: self.request.own_variables(&self.id, self.attempt),
            folder: "/tmp".to_owned(),
            requirements: None,
        })
    }

    fn look(&self, _site: &Site, _hosts: &[PathBuf], _seen: &mut Seen) -> Result<(), Failed> {
        Ok(())
    }

    fn reason(&self, _host: &Path) -> Option<String> {
        None
    }

    fn verdict(&self, ended: &Ended, _hosts: &[PathBuf], _logs: &HostLogs) -> Option<Failed> {
        exit::failure(ended.exits.first()?)
    }

    fn is_final(&self, result: &Value) -> bool {
        let exit = serde_json::from_value(result.clone()).unwrap_or_default();
        retry_action(self.request.rules(), &exit) == RetryAction::Exit
    }

    fn conclude(&self, _site: &Site, finished: Finished<'_>) -> Result<Value, Failed> {
        let exit = finished.ended.exits.first().map(exit::told).unwrap_or_default();
        serde_json::to_value(exit).map_err(Failed::internal)
    }
}
