//! A training job's secondary status: where it is, and where it was when.

use bessemer_domain::{CAPACITY_ERROR, FailureClass, StateName};
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
    step(state.name(), stage, state.failure(), job.lifecycle.number).0
}

/// What a job went through, in order.
pub(crate) fn transitions(history: &[HistoryEntry]) -> Vec<Transition> {
    let mut transitions: Vec<Transition> = Vec::new();
    for entry in history {
        let stage = entry.stage.as_deref();
        let failure =
            entry.class.map(|class| (class, entry.message.as_deref().unwrap_or_default()));
        let (status, message) = step(entry.state, stage, failure, entry.number);
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
    failure: Option<(FailureClass, &str)>,
    attempt: u32,
) -> (&'static str, &'static str) {
    let class = failure.map(|(class, _)| class);
    match state {
        StateName::Held => ("Starting", "Waiting for other jobs"),
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
            Some(FailureClass::Capacity)
                if failure.is_none_or(|(_, why)| !why.starts_with(CAPACITY_ERROR)) =>
            {
                (
                    "MaxWaitTimeExceeded",
                    "Training job wait time exceeded MaxWaitTimeInSeconds provided",
                )
            }
            _ => ("Failed", "Training job failed"),
        },
    }
}

const TRAINING: (&str, &str) =
    ("Training", "Training image download completed. Training in progress.");

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of (instant, state, stage, attempt).
    fn history(steps: &[(u64, StateName, Option<&str>, u32)]) -> Vec<HistoryEntry> {
        let entry =
            |(at, state, stage, number): &(u64, StateName, Option<&str>, u32)| HistoryEntry {
                at: *at,
                event: String::new(),
                state: *state,
                stage: stage.map(str::to_owned),
                number: *number,
                class: None,
                message: None,
            };
        steps.iter().map(entry).collect()
    }

    fn shown(history: &[HistoryEntry]) -> Vec<(&'static str, u64, Option<u64>)> {
        let transitions = transitions(history).into_iter();
        transitions.map(|step| (step.status, step.start, step.end)).collect()
    }

    #[test]
    fn a_job_goes_from_starting_to_completed() {
        let history = history(&[
            (1, StateName::Queued, None, 0),
            (2, StateName::Starting, None, 1),
            (3, StateName::Starting, Some("Downloading"), 1),
            (4, StateName::Running, Some("Downloading"), 1),
            (5, StateName::Running, Some("Training"), 1),
            (9, StateName::Running, Some("Uploading"), 1),
            (10, StateName::Succeeded, Some("Uploading"), 1),
        ]);
        let expected = [
            ("Starting", 1, Some(3)),
            ("Downloading", 3, Some(5)),
            ("Training", 5, Some(9)),
            ("Uploading", 9, Some(10)),
            ("Completed", 10, Some(10)),
        ];
        assert_eq!(shown(&history), expected);
        assert_eq!(transitions(&history)[0].message, "Preparing the instances for training");
        let last = shown(&history[..5]).pop();
        assert_eq!(last, Some(("Training", 5, None)));
    }

    #[test]
    fn an_attempt_that_is_repeated_starts_again() {
        let steps = history(&[
            (1, StateName::Running, Some("Training"), 1),
            (2, StateName::Backoff, Some("Training"), 1),
            (3, StateName::Queued, Some("Training"), 1),
            (4, StateName::Starting, None, 2),
        ]);
        assert_eq!(shown(&steps), [("Training", 1, Some(2)), ("Starting", 2, None)]);
    }

    #[test]
    fn a_stopped_job_uploads_what_it_has() {
        let steps = history(&[
            (1, StateName::Stopping, Some("Training"), 1),
            (2, StateName::Stopping, Some("Uploading"), 1),
            (3, StateName::Stopped, Some("Uploading"), 1),
        ]);
        let expected =
            [("Stopping", 1, Some(2)), ("Uploading", 2, Some(3)), ("Stopped", 3, Some(3))];
        assert_eq!(shown(&steps), expected);
    }
}
