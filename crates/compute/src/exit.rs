//! How a process ended.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The end of a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// What the system says.
    pub status: Status,
    /// Why we ended it, if we did or the kernel did on behalf of a limit.
    pub cause: Option<Cause>,
    /// Milliseconds since 1970 at which the command was started; 0 if unknown.
    pub started_millis: u64,
    /// Milliseconds since 1970 at which it had ended; 0 if unknown.
    pub ended_millis: u64,
    /// Processor time of all its processes that it waited for, in milliseconds.
    pub cpu_millis: u64,
    /// The most bytes of memory that were seen in use; 0 if nobody looked.
    pub peak_memory: u64,
}

/// What the system says of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It ended by itself, with this code; 0 is success.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
    /// It was never told to run: whoever started it ended before.
    NeverRan,
    /// The sandbox was ended from outside, by SIGKILL or with the machine: nobody knows how far it
    /// came.
    Lost,
}

/// Why a process was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It was asked to stop.
    Stopped,
    /// Its time ran out.
    TimedOut,
    /// It took more memory than it may.
    OutOfMemory,
    /// It filled its share of the disk.
    OutOfDisk,
}

impl Exit {
    /// The end of a process that was never told to run.
    pub(crate) fn never_ran() -> Self {
        Self { status: Status::NeverRan, ..Self::lost() }
    }

    /// The end of a process of which nothing is known.
    pub(crate) fn lost() -> Self {
        Self {
            status: Status::Lost,
            cause: None,
            started_millis: 0,
            ended_millis: 0,
            cpu_millis: 0,
            peak_memory: 0,
        }
    }

    /// Whether it did what it was to do.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status == Status::Code(0) && self.cause.is_none()
    }

    /// Whether it ended for want of memory.
    #[must_use]
    pub fn out_of_memory(&self) -> bool {
        self.cause == Some(Cause::OutOfMemory)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Some(Cause::Stopped) => f.write_str("was stopped: ")?,
            Some(Cause::TimedOut) => f.write_str("ran out of time: ")?,
            Some(Cause::OutOfMemory) => f.write_str("ran out of memory: ")?,
            Some(Cause::OutOfDisk) => f.write_str("filled its share of the disk: ")?,
            None => {}
        }
        match self.status {
            Status::Code(code) => write!(f, "exited with status {code}"),
            Status::Signal(number) => write!(f, "was killed by signal {number}"),
            Status::NeverRan => f.write_str("was never told to run"),
            Status::Lost => f.write_str("was ended from outside, with its sandbox"),
        }
    }
}
