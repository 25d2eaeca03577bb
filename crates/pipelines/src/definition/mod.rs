//! A pipeline as it was defined: version 2020-12-01 of SageMaker's JSON format, with nested steps
//! made flat.

mod check;
mod condition;
mod duration;
mod expression;
mod parameter;
mod parse;
mod path;
mod retry;
mod step;

pub use condition::Condition;
pub use expression::Expression;
pub(crate) use expression::{Form, Problem as ExpressionProblem, Variable, expressions, form};
pub(crate) use parameter::text_of;
pub use parameter::{Parameter, ParameterType};
pub(crate) use path::{Part, find};
pub use retry::{Exception, RetryRule};
pub use step::{Branch, OutputParameter, PropertyFile, Step, StepKind};

use serde_json::Value;

/// A pipeline's definition that has passed all checks.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What executions can be started with.
    pub parameters: Vec<Parameter>,
    /// The experiment and trial that executions belong to, with references.
    pub experiment: Option<Value>,
    /// All steps, each before those that are nested in it.
    pub steps: Vec<Step>,
}

/// All that is wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct DefinitionError(pub Vec<String>);

impl Definition {
    /// Reads and checks a definition. All that is wrong is told at once, each with its step's name.
    pub fn parse(text: &str) -> Result<Self, DefinitionError> {
        let (definition, mut problems) = parse::parse(text)?;
        problems.extend(check::problems(&definition));
        if problems.is_empty() { Ok(definition) } else { Err(DefinitionError(problems)) }
    }

    /// The step of that name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| parameter.name == name)
    }
}

#[cfg(test)]
mod tests;
