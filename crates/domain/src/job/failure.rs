//! Why an attempt failed, as far as it matters for trying again.

use serde::{Deserialize, Serialize};

use crate::named::named;

/// Why an attempt failed. The class decides whether another one follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// There was no room, or a limit was reached. The job waits and is tried again; such an attempt
    /// does not count.
    Capacity,
    /// What ran the attempt failed: it was killed, its lease was lost, its node is gone.
    Infrastructure,
    /// The attempt was killed because it took more memory than it had asked for.
    OutOfMemory,
    /// The attempt took longer than it was allowed.
    Timeout,
    /// The user's code ended with a failure.
    Algorithm,
    /// The request can't be carried out as it is, however often it is tried.
    Invalid,
}

/// A text that names no failure class.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a failure class")]
pub struct ParseFailureClassError(String);

impl FailureClass {
    /// Every class, in the order of the enum.
    pub const ALL: [FailureClass; 6] = [
        Self::Capacity,
        Self::Infrastructure,
        Self::OutOfMemory,
        Self::Timeout,
        Self::Algorithm,
        Self::Invalid,
    ];

    /// The class's name in the database and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Infrastructure => "infrastructure",
            Self::OutOfMemory => "out_of_memory",
            Self::Timeout => "timeout",
            Self::Algorithm => "algorithm",
            Self::Invalid => "invalid",
        }
    }

    /// What whoever owns the job can do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Capacity => "wait for other jobs to end, or ask for less",
            Self::Infrastructure => "nothing was wrong with the job; try it again",
            Self::OutOfMemory => "ask for more memory, or let it grow by the retry policy",
            Self::Timeout => "allow it more time, or give it less to do",
            Self::Algorithm => "look at the job's log for what its code says",
            Self::Invalid => "mend the request and submit it under another name",
        }
    }
}

named!(ParseFailureClassError: FailureClass);
