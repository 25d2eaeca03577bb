//! Why a run, or one of its files, came to nothing.

use std::path::PathBuf;

use bessemer_domain::ExitCode;
use bessemer_objects::ObjectsError;

/// Why a run stopped. Outputs that were already delivered stay.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// Model, settings and the input's columns do not fit each other.
    #[error("{message}")]
    Configuration {
        /// What does not fit.
        message: String,
        /// The option that mends it.
        hint: Option<String>,
    },
    /// The output belongs to something else, or can't be written.
    #[error("{message}")]
    Output {
        /// What is wrong with it.
        message: String,
        /// The option that mends it.
        hint: Option<String>,
    },
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
    #[error("the model cannot be reached: {0}")]
    Unreachable(String),
    /// A signal stopped the run.
    #[error("stopped")]
    Stopped,
    /// A fault of ours.
    #[error("{0} (a fault in bessemer, please report it)")]
    Internal(String),
}

impl TransformError {
    /// The exit code of the command.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Configuration { .. } | Self::Output { .. } => ExitCode::Configuration,
            Self::Objects(error) => error.exit_code(),
            Self::Io { source, .. } => ExitCode::of_io(source, ExitCode::Internal),
            Self::Unreachable(_) => ExitCode::Unreachable,
            Self::Stopped => ExitCode::Stopped,
            Self::Internal(_) => ExitCode::Internal,
        }
    }

    /// The option or command that mends it, where there is one.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Configuration { hint, .. } | Self::Output { hint, .. } => hint.as_deref(),
            Self::Objects(error) => error.hint(),
            Self::Unreachable(_) | Self::Stopped => {
                Some("what is finished is kept; go on with the same command and `--resume`")
            }
            Self::Io { .. } | Self::Internal(_) => None,
        }
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration { message: message.into(), hint: None }
    }

    pub(crate) fn output(message: impl Into<String>) -> Self {
        Self::Output { message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, text: impl Into<String>) -> Self {
        if let Self::Configuration { hint, .. } | Self::Output { hint, .. } = &mut self {
            *hint = Some(text.into());
        }
        self
    }

    pub(crate) fn io(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
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
