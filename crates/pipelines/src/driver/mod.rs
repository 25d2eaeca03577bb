//! The driver: keeps executions, and has their steps run.

mod backend;
mod events;
mod handle;
mod live;
mod perform;
mod plan;
mod records;

pub use backend::{Backend, StepStart, Task};
pub use handle::{NewRun, Pipelines, PipelinesOptions};
