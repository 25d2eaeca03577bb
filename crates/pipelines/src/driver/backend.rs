//! [`Backend`]: what runs steps.

use futures::future::BoxFuture;
use serde_json::Value;

use crate::{
    definition::Step,
    execution::{Facts, Failure, Order, Outcome},
};

/// A step to be run, and of which execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The execution.
    pub facts: Facts,
    /// The step.
    pub step: Step,
    /// What is to be run.
    pub order: Order,
}

/// What becomes of a step that is started.
#[derive(Debug, Clone, PartialEq)]
pub enum StepStart {
    /// It runs, and is known by this.
    Started(Value),
    /// It has ended already.
    Ended(Outcome),
}

/// What runs steps. Conditions and failures never reach it.
pub trait Backend: Send + Sync + 'static {
    /// Starts a step. The same task may come again after a restart, and is then not run twice.
    fn start(&self, task: Task) -> BoxFuture<'_, Result<StepStart, Failure>>;

    /// Returns when a step that was started has ended. Not called for callbacks. After a restart it
    /// calls functions again: they have ended with the server.
    fn wait(&self, task: Task) -> BoxFuture<'_, Outcome>;

    /// Tells a step to end; of a callback, whoever works on it. Not called for functions.
    fn stop(&self, task: Task) -> BoxFuture<'_, ()>;

    /// Reads a file of JSON.
    fn read(&self, uri: String) -> BoxFuture<'_, Result<Value, String>>;
}
