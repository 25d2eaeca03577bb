//! Where work runs: user code as sandboxed processes ([`Launcher`]), the lines that it writes
//! ([`logs`]), and the Python environments that it runs in ([`Environments`]).
//!
//! **A process survives its server.** Between the server and the user's command stand two processes
//! of ours. They are copies of one that the server starts with its first sandbox, which is the same
//! binary run as `bessemer __sandbox` (see [`sandbox_main`]) and ends with the server:
//!
//! ```text
//! server ──► its copies: supervisor ──► init (PID 1 of the sandbox) ──► the command
//!                       outside; holds      inside; reaps orphans,        └── whatever it starts
//!                       the log pipes,      passes SIGTERM on
//!                       limits, notes
//! ```
//!
//! The supervisor writes the log, stops what outlives its time and keeps the limits, whether the
//! server lives or not. It leaves `process.json` and, at the end, `exit.json` in the process's control
//! folder, so a restarted server finds the process again ([`Launcher::reattach`]) or reads how it
//! ended. If the supervisor is killed, the kernel ends the sandbox with it.
//!
//! An order may name a container of Docker instead of a sandbox ([`docker`]); its supervisor then speaks
//! to Docker's daemon, and whoever finds the supervisor gone removes the container.

mod cgroups;
pub mod docker;
pub mod environments;
mod error;
mod exit;
pub mod images;
mod launcher;
mod layers;
pub mod logs;
mod ownership;
mod processes;
mod sandbox;
mod spec;
mod watch;

pub use cgroups::Controller;
pub use environments::{EnvSpec, Environment, EnvironmentError, Environments};
pub use error::{LaunchError, SetupError};
pub use exit::{Cause, Exit, Status};
pub use images::{Image, ImageEntry, ImageRule, Images};
pub use launcher::{Attached, Child, LaunchOptions, Launcher, Prepared, ProcessId};
pub use layers::{Layer, LayerState};
pub use ownership::hand_over;
pub use sandbox::{SANDBOX_VERB, is_sandbox_call, sandbox_main};
pub use spec::{Bind, Limits, LogSink, ProcessSpec, UidRange};
