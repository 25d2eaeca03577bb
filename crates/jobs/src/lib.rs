//! Jobs that are kept and run: the queue, the machine's room, attempts with leases, retries, stops
//! and time limits. What a job does is up to the [`Runner`] of its kind.
//!
//! [`Jobs::start`] takes up what the last server left and returns the handle that everything else
//! goes through. Nothing polls: the dispatcher wakes when something changes, and at the next instant
//! at which something is due.

mod attempt;
mod batch;
mod board;
mod control;
mod dispatcher;
mod error;
mod explain;
mod handle;
mod policies;
mod process;
mod queue;
mod resources;
mod runner;
mod shared;
mod stats;
mod timer;

pub use bessemer_store::{
    AttemptRecord, Documents, HistoryEntry, Job, JobPage, JobQuery, JobSort, NewJob, Tag,
};
pub use control::{AttemptLost, Control, Stop};
pub use error::JobsError;
pub use explain::Room;
pub use handle::{Jobs, JobsOptions};
pub use policies::Policies;
pub use process::{end_process, identify_process, is_running, wait_for_exit};
pub use resources::Resources;
pub use runner::{Attempt, Runner, Runners};
pub use stats::{Figures, GroupBy, Spread, StatsQuery, Trend};
pub use timer::{SystemTimer, Timer};
