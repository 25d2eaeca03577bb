//! Why a run, or one of its files, came to nothing.

use std::path::PathBuf;

use bessemer_domain::ExitCode;
use bessemer_objects::ObjectsError;

/// Why a run stopped. Outputs that were already delivered stay.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// Model, settings and the input's columns do not fit each other.
    #[error("{0}")]
    Configuration(String),
    /// The output belongs to something else.
    #[error("{0}")]
    Output(String),
    /// An input or the output could not be reached, read or written.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// A local file could not be read or written.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was being done, as "read", "write".
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The model could not be reached for too long.
    #[error("the model cannot be reached: {0}; what is finished is kept, go on with `--resume`")]
    Unreachable(String),
    /// A signal stopped the run.
    #[error("stopped; what is finished is kept, go on with `--resume`")]
    Stopped,
    /// A fault of ours.
    #[error("{0} (a fault in bessemer, please report it)")]
    Internal(String),
}

impl TransformError {
    /// The exit code of the command.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration(_) => ExitCode::Configuration,
            Self::Output(_) => ExitCode::Usage,
            Self::Objects(error) => error.exit_code(),
            Self::Io { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ExitCode::NotFound,
                std::io::ErrorKind::PermissionDenied => ExitCode::Denied,
                _ => ExitCode::Internal,
            },
            Self::Unreachable(_) => ExitCode::Unreachable,
            Self::Stopped => ExitCode::Stopped,
            Self::Internal(_) => ExitCode::Internal,
        }
    }

    pub(crate) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

/// Why one file came to nothing: it is reported, the others go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The file can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// Another lane of the file has failed and said why.
    #[error("given up")]
    Abandoned,
    /// The run as a whole has to stop.
    #[error(transparent)]
    Run(#[from] TransformError),
}

impl From<parquet::errors::ParquetError> for FileError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Unreadable(error.to_string())
    }
}
