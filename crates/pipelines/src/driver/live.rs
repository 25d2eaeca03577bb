//! [`Live`]: an execution under way, in memory.

use std::sync::Arc;

use bessemer_store::ExecutionRecord;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::backend::Task;
use crate::{
    definition::Definition,
    execution::{Execution, Order},
};

/// An execution under way. What is on disk is never behind it.
pub(super) struct Live {
    pub(super) record: ExecutionRecord,
    pub(super) request: Value,
    pub(super) definition: Arc<Definition>,
    pub(super) execution: Execution,
    /// Whether it has ended here: what goes on is taken up from disk.
    pub(super) is_gone: bool,
    /// Wakes it when something is due, and when.
    pub(super) alarm: Option<(u64, AbortHandle)>,
}

impl Live {
    /// What it is called where people see it, and what it is for.
    pub(super) fn names(&self) -> (Option<&str>, Option<&str>) {
        let text = |member: &str| self.request[member].as_str();
        (text("PipelineExecutionDisplayName"), text("PipelineExecutionDescription"))
    }

    /// The task that a step's order is.
    pub(super) fn task(&self, step: &str) -> Option<Task> {
        self.task_of(step, self.execution.steps.get(step)?.state.order()?)
    }

    /// The task that an order of a step is.
    pub(super) fn task_of(&self, step: &str, order: &Order) -> Option<Task> {
        let (step, order) = (self.definition.step(step)?.clone(), order.clone());
        Some(Task { facts: self.execution.facts.clone(), step, order })
    }
}
