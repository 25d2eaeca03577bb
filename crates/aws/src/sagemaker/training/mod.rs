//! Training jobs, as far as the API goes: what runs them reads [`JobRequest`](super::JobRequest).

mod checks;
mod create;
mod describe;
mod progress;
mod update;

pub(super) use create::{check, create};
pub(super) use describe::{answer, describe, summary};
pub(super) use update::update;
