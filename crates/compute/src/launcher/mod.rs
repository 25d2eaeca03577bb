//! Starts sandboxes, and finds them again.

mod child;
mod notes;
mod spawner;
mod start;

pub use child::{Attached, Child, ProcessId};
pub(crate) use notes::{EndNote, ProcessNote};
pub use start::{LaunchOptions, Launcher, Prepared};
