//! What a supervisor does while its sandbox runs: take the output, keep the limits, hear signals.

mod disk;
mod memory;
mod signals;
mod sandbox;

pub(crate) use sandbox::Sandbox;
pub(crate) use signals::Signals;
