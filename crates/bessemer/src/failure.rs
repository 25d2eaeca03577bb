//! How a command fails: an exit code, a message, and a hint where there is one.

use bessemer_domain::ExitCode;
use bessemer_objects::ObjectsError;
use bessemer_transform::TransformError;

/// A command's failure.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: ExitCode,
    pub(crate) error: anyhow::Error,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(code: ExitCode, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: error.into(), hint: None }
    }

    /// A command line that is wrong.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::new(ExitCode::Usage, anyhow::anyhow!("{message}"))
    }

    /// A model or settings that do not fit.
    pub(crate) fn configuration(error: impl Into<anyhow::Error>) -> Self {
        Self::new(ExitCode::Configuration, error)
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The message with its causes, each said once.
    pub(crate) fn message(&self) -> String {
        let mut message = String::new();
        for cause in self.error.chain() {
            let text = cause.to_string();
            if message.contains(&text) {
                continue;
            }
            if !message.is_empty() {
                message.push_str(": ");
            }
            message.push_str(&text);
        }
        message
    }
}

impl From<TransformError> for Failure {
    fn from(error: TransformError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { code: error.exit_code(), error: error.into(), hint }
    }
}

impl From<ObjectsError> for Failure {
    fn from(error: ObjectsError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { code: error.exit_code(), error: error.into(), hint }
    }
}
