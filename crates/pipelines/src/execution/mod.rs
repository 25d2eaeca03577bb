//! An execution of a pipeline: what is known of it, and how it goes on.

mod advance;
mod cache;
mod callback;
mod end;
mod event;
mod names;
mod plan;
mod resolve;
mod retry;
mod select;
mod settings;
mod settle;
mod state;

pub use callback::{listed, outputs};
pub use event::{Advanced, Answer, Effect, Event, Failure, Hit, Outcome, Refused};
pub(crate) use plan::Planner;
pub use plan::{Planned, Prospect};
pub use select::needs_of;
pub use state::{
    Ending, Execution, Facts, Order, Selection, Source, Status, StepRun, StepState, StopCause,
};

#[cfg(test)]
mod tests;
