//! Processing jobs, as far as the API goes: what runs them reads [`JobRequest`](super::JobRequest).

mod checks;
mod create;
mod describe;

pub(super) use create::create;
pub(super) use describe::{answer, describe, summary};
