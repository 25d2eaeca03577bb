//! [`Step`]: one step of a pipeline.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Condition, Expression, RetryRule, expressions};

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name, unique in the pipeline.
    pub name: String,
    /// What it is called where people see it.
    pub display_name: Option<String>,
    /// What it is for, in words.
    pub description: Option<String>,
    /// What it does.
    pub kind: StepKind,
    /// What it does it with, with references.
    pub arguments: Value,
    /// Steps that have to end well before it, though it refers to none of them.
    pub depends_on: Vec<String>,
    /// The branch of a condition that it belongs to.
    pub branch: Option<Branch>,
    /// For how long an earlier result is as good, in milliseconds; none of them if it isn't cached.
    pub cache: Option<u64>,
    /// When it is tried again.
    pub retries: Vec<RetryRule>,
    /// Files among its outputs that others read values from.
    pub property_files: Vec<PropertyFile>,
    /// What a function or a callback gives back.
    pub outputs: Vec<OutputParameter>,
    /// The steps that have to end well before it: those that it depends on, refers to, or is
    /// nested in.
    pub waits_for: BTreeSet<String>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Runs a processing job.
    Processing,
    /// Runs a training job.
    Training,
    /// Runs a search over training jobs.
    Tuning,
    /// Runs a transform job.
    Transform,
    /// Creates a model.
    Model,
    /// Creates a model package.
    RegisterModel,
    /// Invokes the function of this ARN.
    Lambda(Value),
    /// Sends a message to the queue of this URL and waits for an answer.
    Callback(Value),
    /// Decides which steps follow: all conditions must hold.
    Condition(Vec<Condition>),
    /// Ends the execution as failed.
    Fail,
}

/// A branch of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The condition's name.
    pub condition: String,
    /// Whether the branch is that of a condition that holds.
    pub if_true: bool,
}

/// A file of JSON that a processing step writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyFile {
    /// What references call it.
    pub name: String,
    /// The output that it is in.
    pub output: String,
    /// Its path there.
    pub path: String,
}

/// A value that a function or a callback gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputParameter {
    /// Its name.
    pub name: String,
    /// `String`, `Integer`, `Float` or `Boolean`.
    pub kind: super::ParameterType,
}

impl StepKind {
    /// The kind's name in definitions.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Processing => "Processing",
            Self::Training => "Training",
            Self::Tuning => "Tuning",
            Self::Transform => "Transform",
            Self::Model => "Model",
            Self::RegisterModel => "RegisterModel",
            Self::Lambda(_) => "Lambda",
            Self::Callback(_) => "Callback",
            Self::Condition(_) => "Condition",
            Self::Fail => "Fail",
        }
    }
}

impl Step {
    /// All that the step refers to, with what is wrong about references.
    pub(crate) fn expressions(&self) -> Vec<Result<Expression, super::ExpressionProblem>> {
        let mut found = Vec::new();
        expressions(&self.arguments, &mut found);
        match &self.kind {
            StepKind::Lambda(target) | StepKind::Callback(target) => {
                expressions(target, &mut found);
            }
            StepKind::Condition(conditions) => {
                for value in conditions.iter().flat_map(Condition::values) {
                    expressions(value, &mut found);
                }
            }
            _ => {}
        }
        found
    }

    /// What [`Step::waits_for`] is.
    pub(super) fn dependencies(&self) -> BTreeSet<String> {
        let referred = self.expressions().into_iter().flatten().filter_map(Expression::into_step);
        let named = self.depends_on.iter().cloned();
        let condition = self.branch.iter().map(|branch| branch.condition.clone());
        referred.chain(named).chain(condition).collect()
    }
}
