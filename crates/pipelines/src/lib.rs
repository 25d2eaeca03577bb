//! Pipelines: definitions with their checks, executions as a pure function of what happens, and the
//! driver that keeps them and has their steps run.
//!
//! A [`Definition`] is read from SageMaker's format. An [`Execution`] changes by
//! [`Execution::advance`] alone, which says what has to be done. [`Pipelines`] does it, by a
//! [`Backend`], and keeps every state on disk before anything follows from it.

mod definition;
mod driver;
mod error;
mod execution;

pub use definition::{
    Branch, Condition, Definition, DefinitionError, Exception, Expression, OutputParameter,
    Parameter, ParameterType, PropertyFile, RetryRule, Step, StepKind,
};
pub use driver::{Backend, NewRun, Pipelines, PipelinesOptions, StepStart, Task};
pub use error::PipelinesError;
pub use execution::{
    Advanced, Answer, Effect, Ending, Event, Execution, Facts, Failure, Hit, Order, Outcome,
    Planned, Prospect, Refused, Selection, Source, Status, StepRun, StepState, StopCause, listed,
    needs_of, outputs,
};
