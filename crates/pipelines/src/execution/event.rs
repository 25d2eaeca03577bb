//! What happens to an execution, and what follows from it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::state::{Execution, Order, Status};
use crate::definition::Exception;

/// Something that happens.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It begins, or is taken up after a restart.
    Resumed,
    /// An earlier result was looked for.
    LookedUp {
        /// For this step.
        step: String,
        /// What was found.
        hit: Option<Hit>,
    },
    /// A property file was read.
    Read {
        /// Its URI.
        uri: String,
        /// What is in it, or why it could not be read.
        content: Result<Value, String>,
    },
    /// What runs a step has taken it.
    Started {
        /// The step.
        step: String,
        /// Its attempt.
        attempt: u32,
        /// What it is known by.
        metadata: Value,
    },
    /// A step came to its end.
    Ended {
        /// The step.
        step: String,
        /// Its attempt.
        attempt: u32,
        /// How it ended.
        outcome: Outcome,
    },
    /// A callback is answered.
    Answered {
        /// The step.
        step: String,
        /// The answer.
        answer: Answer,
    },
    /// Time has gone by.
    Tick,
    /// Somebody asks for its end.
    Stop,
    /// Somebody asks for the steps that failed or were stopped to be run again.
    Retry {
        /// Steps that may run at once from now on, if that changes.
        parallelism: Option<u32>,
    },
    /// Another number of steps may run at once.
    Limit(u32),
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Well.
    Succeeded {
        /// What others may refer to.
        properties: Value,
        /// What it is known by, if more than before.
        metadata: Option<Value>,
    },
    /// It failed.
    Failed(Failure),
    /// It was stopped.
    Stopped,
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What it is for retries.
    pub exception: Exception,
    /// In words.
    pub reason: String,
}

/// How a callback is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Well, with values of output parameters.
    Success(Map<String, Value>),
    /// It failed.
    Failure(String),
    /// It is still worked on.
    Heartbeat,
}

/// An earlier result.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The execution that has it.
    pub execution: String,
    /// What others may refer to.
    pub properties: Value,
    /// What it is known by.
    pub metadata: Value,
}

/// What has to be done. The first two are done before the state is kept; the others after.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Look for an earlier result.
    LookUp {
        /// For this step.
        step: String,
        /// By this key.
        key: String,
        /// Not before this instant.
        since: u64,
    },
    /// Read a file of JSON.
    Read {
        /// Its URI.
        uri: String,
    },
    /// Hand a step to what runs it.
    Start {
        /// The step.
        step: String,
    },
    /// Wait for the end of a step that was started before.
    Watch {
        /// The step.
        step: String,
    },
    /// Tell a step to end.
    Stop {
        /// The step.
        step: String,
        /// What was being run.
        order: Box<Order>,
    },
}

/// What becomes of an execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Advanced {
    /// The execution from now on.
    pub next: Execution,
    /// What has to be done.
    pub effects: Vec<Effect>,
}

/// An event that can't happen to an execution as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It has ended.
    #[error("the execution is in status {}", .0.as_str())]
    Ended(Status),
    /// It has not ended, or ended well.
    #[error("an execution can be retried when it failed or was stopped, it is {}", .0.as_str())]
    NotRetryable(Status),
    /// No callback waits for an answer.
    #[error("the step waits for no answer")]
    NoCallback,
    /// The answer lacks output parameters.
    #[error("{0}")]
    Outputs(String),
}
