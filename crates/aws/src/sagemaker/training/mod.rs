//! Training jobs, as far as the API goes: what runs them reads [`JobRequest`](super::JobRequest).

mod create;
mod describe;
mod progress;

pub(super) use create::create;
pub(super) use describe::{describe, summary};
