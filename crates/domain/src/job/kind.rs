//! What names jobs, attempts and the processes that they run.

use std::fmt;

use crate::named::named;

/// What a job does. Names are unique within a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// A batch transform: files of records, scored by a model.
    Transform,
    /// The training of a model.
    Training,
    /// A program over data.
    Processing,
    /// A container job of AWS Batch. Its name is the id that Batch gave it.
    Batch,
}

/// A text that names no kind of job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a kind of job; kinds are `transform`, `training`, `processing` and `batch`")]
pub struct ParseJobKindError(String);

impl JobKind {
    /// Every kind.
    pub const ALL: [JobKind; 4] = [Self::Transform, Self::Training, Self::Processing, Self::Batch];

    /// The kind's name in the database, on the command line and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transform => "transform",
            Self::Training => "training",
            Self::Processing => "processing",
            Self::Batch => "batch",
        }
    }
}

named!(ParseJobKindError: JobKind);

/// A job's number in the database: unique over all kinds, growing with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub i64);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A fencing token: grows whenever a job's work passes into other hands. Writes on behalf of an
/// attempt carry it, and one that is not the job's latest is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Token(pub u64);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names a process beyond its life: its number alone is given to another one later.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// The process's number.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine started (field 22 of
    /// `/proc/<pid>/stat`).
    pub started_ticks: u64,
    /// Which start of the machine that was (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
}
