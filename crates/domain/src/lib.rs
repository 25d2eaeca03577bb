//! The words that every crate shares: byte sizes, failure and reject classes, backoff, exit codes,
//! the clock, the life of a job, and what is Batch's own about one. Nothing here does IO.

mod backoff;
mod batch;
mod byte_size;
mod clock;
mod exit_code;
mod hex;
mod job;
mod named;
mod nearest;
mod reject_class;

pub use backoff::Backoff;
pub use batch::{
    Asked, BatchCounts, BatchExit, BatchStatus, BatchToDo, BatchWait, ExitRule, RetryAction,
    retry_action,
};
pub use byte_size::{ByteSize, ParseByteSizeError};
pub use clock::{Clock, ManualClock, SystemClock};
pub use exit_code::ExitCode;
pub use hex::hex;
pub use job::{
    CAPACITY_ERROR, Effect, FailureClass, JobEvent, JobId, JobKind, JobState, Lifecycle, Limits,
    Moment, Outcome, ParseFailureClassError, ParseJobKindError, Phase, ProcessId, Refused,
    RetryBackoff, RetryPolicy, StateName, StopReason, Token, Transition, UnknownStateError,
};
pub use nearest::nearest_names;
pub use reject_class::{ParseRejectClassError, RejectClass};
