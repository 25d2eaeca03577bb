//! The states of executions and of their steps. Instants are milliseconds since 1970.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::event::Failure;
use crate::definition::Definition;

/// An execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// What never changes.
    pub facts: Facts,
    /// Where it stands.
    pub status: Status,
    /// Why it failed, in words.
    pub failure: Option<String>,
    /// Why no more steps begin, if none do.
    pub ending: Option<Ending>,
    /// Steps that may run at once.
    pub parallelism: Option<u32>,
    /// When it will have taken too long.
    pub deadline: Option<u64>,
    /// Its steps by name; kept apart from it.
    #[serde(skip)]
    pub steps: BTreeMap<String, StepRun>,
    /// What was read from property files, or why it could not be.
    #[serde(skip)]
    pub documents: BTreeMap<String, Result<Value, String>>,
    /// The files that are being read.
    #[serde(skip)]
    pub reading: BTreeSet<String>,
}

/// What is known of an execution from its beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Its ARN.
    pub arn: String,
    /// Its id, the end of its ARN.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline's ARN.
    pub pipeline_arn: String,
    /// When it was started.
    pub started_at: u64,
    /// The values of all parameters.
    pub parameters: Map<String, Value>,
    /// The steps that are to be run, if not all are.
    pub selection: Option<Selection>,
    /// How long it may take, in milliseconds.
    pub timeout_millis: Option<u64>,
}

/// Some steps to be run with the results that another execution has for the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The other execution's ARN.
    pub source: Option<String>,
    /// The steps to be run.
    pub steps: Vec<String>,
}

/// Where an execution stands.
///
/// ```text
/// Executing ─┬─────────────► Succeeded
///     ▲      ├─────────────► Failed ──┐
///     │      └─► Stopping ─┬─► Failed │
///     │                    └─► Stopped┤
///     └──────────── retry ────────────┘
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are those of AWS's API")]
pub enum Status {
    Executing,
    Stopping,
    Stopped,
    Failed,
    Succeeded,
}

/// Why an execution comes to its end before all is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// A step failed for good.
    StepFailed,
    /// Somebody asked for it.
    StopRequested,
    /// It took too long.
    TimedOut,
}

/// A step of an execution.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StepRun {
    /// Where it stands.
    pub state: StepState,
    /// How often it was begun.
    pub attempts: u32,
    /// Retries made by each of its policies, and by its own setting.
    pub retries: Vec<u32>,
    /// When it was begun first, since the execution was started or retried.
    pub started_at: Option<u64>,
    /// When it came to its end.
    pub ended_at: Option<u64>,
    /// What it is known by, as AWS's `Metadata` of a step.
    pub metadata: Value,
    /// What its result is found by in later executions.
    pub cache_key: Option<String>,
}

/// Where a step stands.
///
/// ```text
/// Waiting ─► LookingUp ─► Starting ─► Executing ─┬─► Succeeded
///    │  ▲         │           │            │     ├─► Failed
///    │  └ Backoff ◄───────────┴────────────┤     │
///    ▼            ▼                        └► Stopping ─► Stopped
/// Skipped     Succeeded
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum StepState {
    /// Waits for others, or for room.
    #[default]
    Waiting,
    /// An earlier result is looked for. Never kept.
    LookingUp(Order),
    /// Has been handed to what runs it.
    Starting(Order),
    /// Runs.
    Executing(Order),
    /// Was told to end.
    Stopping(Order, StopCause),
    /// Failed, and is tried again.
    Backoff {
        /// When.
        until: u64,
        /// How it failed.
        failure: Failure,
    },
    /// Done.
    Succeeded {
        /// What others may refer to.
        properties: Value,
        /// Whose result it is, if not its own.
        source: Option<Source>,
    },
    /// Failed for good.
    Failed(Failure),
    /// Ended because it was told to.
    Stopped,
    /// Does not belong to this execution: another branch was taken, or others were selected.
    Skipped,
}

/// Why a step was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// The execution is being stopped.
    Requested,
    /// It took too long itself.
    TimedOut,
}

/// Whose result a step has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Of an execution that ran it with the same arguments.
    Cache(String),
    /// Of the execution that a selective one builds on.
    Selected(String),
}

/// A step to be run, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The name of what it makes: `pipelines-<execution>-<step>-<suffix>`.
    pub name: String,
    /// What it does it with.
    pub arguments: Value,
    /// The function or the queue.
    pub target: Option<String>,
    /// By what a callback is answered.
    pub token: Option<String>,
    /// Whether what runs it has taken it.
    pub is_taken: bool,
    /// When it was begun.
    pub since: u64,
    /// When it was last heard of.
    pub heard_at: u64,
    /// How long it may take, in milliseconds.
    pub timeout_millis: Option<u64>,
    /// How long it may be silent, in milliseconds.
    pub heartbeat_millis: Option<u64>,
    /// Retries that it asks for itself, whatever its failure.
    pub retries: Option<u32>,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] =
        [Self::Executing, Self::Stopping, Self::Stopped, Self::Failed, Self::Succeeded];

    /// The status as AWS calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Executing => "Executing",
            Self::Stopping => "Stopping",
            Self::Stopped => "Stopped",
            Self::Failed => "Failed",
            Self::Succeeded => "Succeeded",
        }
    }

    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed | Self::Succeeded)
    }
}

impl StepState {
    /// The step's status as AWS calls it; none if it was never begun.
    pub fn status(&self) -> Option<&'static str> {
        match self {
            Self::Waiting | Self::LookingUp(_) | Self::Skipped => None,
            Self::Starting(_) | Self::Backoff { .. } => Some("Starting"),
            Self::Executing(_) => Some("Executing"),
            Self::Stopping(..) => Some("Stopping"),
            Self::Succeeded { .. } => Some("Succeeded"),
            Self::Failed(_) => Some("Failed"),
            Self::Stopped => Some("Stopped"),
        }
    }

    /// What is being run, if the step is.
    pub fn order(&self) -> Option<&Order> {
        match self {
            Self::LookingUp(order)
            | Self::Starting(order)
            | Self::Executing(order)
            | Self::Stopping(order, _) => Some(order),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn order_mut(&mut self) -> Option<&mut Order> {
        match self {
            Self::LookingUp(order)
            | Self::Starting(order)
            | Self::Executing(order)
            | Self::Stopping(order, _) => Some(order),
            _ => None,
        }
    }
}

impl Order {
    /// When it will have taken too long, or been silent for too long.
    pub(super) fn due_at(&self) -> Option<u64> {
        let end = self.timeout_millis.map(|millis| self.since.saturating_add(millis));
        let silence = self.heartbeat_millis.map(|millis| self.heard_at.saturating_add(millis));
        end.into_iter().chain(silence).min()
    }
}

impl Execution {
    /// An execution that has not begun. `taken` has the results that a selective one builds on.
    pub fn new(
        definition: &Definition,
        facts: Facts,
        parallelism: Option<u32>,
        taken: BTreeMap<String, super::Hit>,
    ) -> Self {
        let deadline = facts.timeout_millis.map(|millis| facts.started_at.saturating_add(millis));
        let mut execution = Self {
            facts,
            status: Status::Executing,
            failure: None,
            ending: None,
            parallelism,
            deadline,
            steps: BTreeMap::new(),
            documents: BTreeMap::new(),
            reading: BTreeSet::new(),
        };
        let mut taken = taken;
        for step in &definition.steps {
            let selection = execution.facts.selection.as_ref();
            let is_selected = selection.is_none_or(|some| some.steps.contains(&step.name));
            let run = match taken.remove(&step.name) {
                _ if is_selected => StepRun::default(),
                Some(hit) => StepRun {
                    state: StepState::Succeeded {
                        properties: hit.properties,
                        source: Some(Source::Selected(hit.execution)),
                    },
                    started_at: Some(execution.facts.started_at),
                    ended_at: Some(execution.facts.started_at),
                    metadata: hit.metadata,
                    ..StepRun::default()
                },
                None => StepRun { state: StepState::Skipped, ..StepRun::default() },
            };
            execution.steps.insert(step.name.clone(), run);
        }
        execution
    }

    /// When something is due though nothing happens.
    pub fn due_at(&self) -> Option<u64> {
        if self.status.is_final() {
            return None;
        }
        let steps = self.steps.values().filter_map(|run| match &run.state {
            StepState::Backoff { until, .. } => Some(*until),
            state => state.order().and_then(Order::due_at),
        });
        let deadline = self.deadline.filter(|_| self.ending != Some(Ending::TimedOut));
        steps.chain(deadline).min()
    }
}
