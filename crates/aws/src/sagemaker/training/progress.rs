//! A training job's secondary status: where it is, and where it was when.

use bessemer_domain::{FailureClass, StateName};
use bessemer_store::{HistoryEntry, Job};

/// A secondary status that a job had or has. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) status: &'static str,
    pub(crate) message: &'static str,
    pub(crate) start: u64,
    pub(crate) end: Option<u64>,
}

/// What a job is at now.
pub(crate) fn now(job: &Job) -> &'static str {
    let state = &job.lifecycle.state;
    let stage = job.stage.as_deref();
    let class = state.failure().map(|(class, _)| class);
    step(state.name(), stage, class, job.lifecycle.number).0
}

/// What a job went through, in order.
pub(crate) fn transitions(history: &[HistoryEntry]) -> Vec<Transition> {
    let mut transitions: Vec<Transition> = Vec::new();
    for entry in history {
        let stage = entry.stage.as_deref();
        let (status, message) = step(entry.state, stage, entry.class, entry.number);
        let last = transitions.last_mut();
        match last {
            Some(last) if last.status == status => last.message = message,
            last => {
                if let Some(last) = last {
                    last.end = Some(entry.at);
                }
                transitions.push(Transition { status, message, start: entry.at, end: None });
            }
        }
        if entry.state.is_final()
            && let Some(last) = transitions.last_mut()
        {
            last.end = Some(entry.at);
        }
    }
    transitions
}

/// What the runner says while it puts the model in place, also after a stop.
const UPLOADING: &str = "Uploading";

/// The secondary status and its message.
fn step(
    state: StateName,
    stage: Option<&str>,
    class: Option<FailureClass>,
    attempt: u32,
) -> (&'static str, &'static str) {
    match state {
        StateName::Queued if attempt == 0 => ("Starting", "Starting the training job"),
        StateName::Backoff if class == Some(FailureClass::Capacity) => {
            ("Pending", "Training job waiting for capacity")
        }
        StateName::Queued | StateName::Backoff => ("Starting", "Launching requested ML instances"),
        StateName::Starting | StateName::Running => match stage {
            Some("Downloading") => ("Downloading", "Downloading input data"),
            Some(UPLOADING) => ("Uploading", "Uploading generated training model"),
            Some(_) => TRAINING,
            None if state == StateName::Running => TRAINING,
            None => ("Starting", "Preparing the instances for training"),
        },
        StateName::Stopping if stage == Some(UPLOADING) => {
            ("Uploading", "Uploading generated training model")
        }
        StateName::Stopping => ("Stopping", "Stopping the training job"),
        StateName::Succeeded => ("Completed", "Training job completed"),
        StateName::Stopped => ("Stopped", "Training job stopped"),
        StateName::Failed => match class {
            Some(FailureClass::Timeout) => {
                ("MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds provided")
            }
            Some(FailureClass::Capacity) => (
                "MaxWaitTimeExceeded",
                "Training job wait time exceeded MaxWaitTimeInSeconds provided",
            ),
            _ => ("Failed", "Training job failed"),
        },
    }
}

const TRAINING: (&str, &str) =
    ("Training", "Training image download completed. Training in progress.");
