//! Calling the model: cutting payloads, finding good settings, retrying, isolating bad records.

mod caller;
mod cut;
mod isolate;
mod pool;
mod row_bytes;
mod tune;

pub(crate) use caller::{Caller, Halt, Outcome, RowFailure};
pub(crate) use cut::cut;
pub(crate) use pool::Pool;
pub(crate) use row_bytes::row_bytes;
pub(crate) use tune::{Bounds, Setting, Tuner};
