//! What the process tells the script that started it.

use std::io;

/// The exit codes of every `bessemer` command. They are a contract: scripts branch on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// All was done.
    Ok = 0,
    /// A fault of ours.
    Internal = 1,
    /// The command line was wrong.
    Usage = 2,
    /// The model, the settings or the input's columns do not fit each other.
    Configuration = 3,
    /// A named file, bucket or run is not there.
    NotFound = 4,
    /// Permission was refused.
    Denied = 5,
    /// A server that the command needs cannot be reached.
    Unreachable = 7,
    /// A limit of time ran out.
    Timeout = 9,
    /// A job failed.
    JobFailed = 10,
    /// All good records were delivered; more were rejected than allowed, or a file could not be read.
    Rejected = 11,
    /// The work was stopped by a signal and can be resumed.
    Stopped = 12,
}

impl ExitCode {
    /// The code for a file that the system would not give: it is not there, it may not be read, or
    /// `otherwise`.
    #[must_use]
    pub fn of_io(error: &io::Error, otherwise: Self) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => otherwise,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_code() {
        let code = |kind| ExitCode::of_io(&io::Error::from(kind), ExitCode::Configuration);
        assert_eq!(code(io::ErrorKind::NotFound), ExitCode::NotFound);
        assert_eq!(code(io::ErrorKind::PermissionDenied), ExitCode::Denied);
        assert_eq!(code(io::ErrorKind::InvalidData), ExitCode::Configuration);
    }
}
