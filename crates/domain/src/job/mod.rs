//! The life of a job, whatever it runs: states, events, attempts, failures and when to try again.
//! Pure: [`Lifecycle::advance`] decides, its callers do.

mod advance;
mod event;
mod failure;
mod kind;
mod policy;
mod state;

pub use event::{Effect, JobEvent, Moment, Outcome, Refused, Transition};
pub use failure::{FailureClass, ParseFailureClassError};
pub use kind::{JobId, JobKind, ParseJobKindError, ProcessId, Token};
pub use policy::{CAPACITY_ERROR, Limits, RetryBackoff, RetryPolicy};
pub use state::{JobState, Lifecycle, Phase, StateName, StopReason, UnknownStateError};
