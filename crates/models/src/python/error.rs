//! Why a handler could not be opened.

use std::{io, path::PathBuf, time::Duration};

use super::environment::EnvironmentError;

/// Why a handler could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// The script is not there or cannot be read.
    #[error("read the handler `{}`", script.display())]
    Script {
        /// The script, as given.
        script: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The environment of `--requirements` could not be built.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// The cache folder or the log cannot be written.
    #[error("write `{}`", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The interpreter could not be started.
    #[error("start the interpreter `{}`", python.display())]
    Start {
        /// The interpreter.
        python: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The script or its model raised an error while it was loaded.
    #[error("load the handler `{}`: {message}", script.display())]
    Load {
        /// The script, as given.
        script: PathBuf,
        /// The exception and the script's line.
        message: String,
        /// The whole traceback.
        traceback: String,
    },
    /// The script holds no handler that we can use.
    #[error("use the handler `{}`: {message}", script.display())]
    Refused {
        /// The script, as given.
        script: PathBuf,
        /// What is the matter.
        message: String,
        /// A package that its environment lacks.
        needs: Option<String>,
        /// The interpreter that lacks it.
        python: PathBuf,
    },
    /// The worker ended before it had loaded the script.
    #[error("load the handler `{}`: {message}", script.display())]
    Died {
        /// The script, as given.
        script: PathBuf,
        /// How it ended and its last words.
        message: String,
        /// Its last lines.
        output: String,
    },
    /// The script was not loaded in time.
    #[error("load the handler `{}`: not done after {} s", script.display(), after.as_secs())]
    Slow {
        /// The script, as given.
        script: PathBuf,
        /// The time it was given.
        after: Duration,
    },
}

impl PythonError {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { needs: Some(package), python, .. } => Some(format!(
                "run `{} -m pip install {package}`, or name the handler's packages in a file for \
                 `--requirements`",
                python.display()
            )),
            Self::Load { message, .. } if message.starts_with("ModuleNotFoundError") => Some(
                "name the handler's packages in a file for `--requirements`, or choose an \
                 interpreter that has them by `--python`"
                    .to_owned(),
            ),
            Self::Start { .. } => Some("choose an interpreter by `--python`".to_owned()),
            _ => None,
        }
    }

    /// The traceback or the output, of many lines, for those who look closer.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        let detail = match self {
            Self::Load { traceback, .. } => traceback,
            Self::Died { output, .. } => output,
            Self::Environment(error) => error.output()?,
            _ => return None,
        };
        Some(detail.trim_end()).filter(|detail| !detail.is_empty())
    }
}
