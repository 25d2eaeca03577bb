//! What can go wrong when a process is started or looked for.

use std::{io, path::PathBuf};

/// Why a process could not be started or looked after.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The order is wrong.
    #[error("{0}")]
    Spec(String),
    /// A file of the launcher's own cannot be read or written.
    #[error("{task} `{}`", path.display())]
    File {
        /// What was tried, as a fragment that follows "failed to".
        task: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sandbox's own process could not be started.
    #[error("start `{}`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The sandbox's own process ended without a word.
    #[error("hear from the sandbox: it ended before the command ran")]
    Silent,
    /// The sandbox could not be set up, or the command could not be run in it.
    #[error("{0}")]
    Sandbox(SetupError),
}

/// Why a sandbox could not be set up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, thiserror::Error)]
#[error("{task}: {reason}")]
pub struct SetupError {
    /// What was tried, as a fragment that follows "failed to".
    pub task: String,
    /// The system's answer, with a hint where we have one.
    pub reason: String,
    /// Whether it was the user's command that could not be run, rather than the sandbox.
    pub command: bool,
}

impl SetupError {
    pub(crate) fn new(task: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { task: task.into(), reason: reason.into(), command: false }
    }
}

/// Says what was tried, for any error.
pub(crate) trait Trying<T> {
    fn trying(self, task: impl FnOnce() -> String) -> Result<T, SetupError>;
}

impl<T, E: std::fmt::Display> Trying<T> for Result<T, E> {
    fn trying(self, task: impl FnOnce() -> String) -> Result<T, SetupError> {
        self.map_err(|error| SetupError::new(task(), error.to_string()))
    }
}
