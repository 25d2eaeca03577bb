//! What a supervisor does while its sandbox runs: take the output, keep the limits, hear signals.

mod disk;
mod memory;
mod sandbox;
mod signals;

pub(crate) use sandbox::Sandbox;
pub(crate) use signals::Signals;
