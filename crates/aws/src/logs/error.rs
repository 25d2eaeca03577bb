//! Why CloudWatch Logs refuses a call.

use std::io;

use bessemer_aws_wire::{Service, ServiceError};

/// A call that is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// There is no such group.
    #[error("The specified log group does not exist.")]
    NoGroup,
    /// There is no such stream.
    #[error("The specified log stream does not exist.")]
    NoStream,
    /// A member that can't be met.
    #[error("{0}")]
    Parameter(String),
    /// A token that is not ours.
    #[error("The specified nextToken is invalid.")]
    Token,
    /// A fault of ours.
    #[error(transparent)]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The error as clients get it.
    pub(super) fn answer(self, service: &Service) -> ServiceError {
        let message = self.to_string();
        match self {
            Self::NoGroup | Self::NoStream => service.error("ResourceNotFoundException", message),
            Self::Parameter(_) | Self::Token => service.error("InvalidParameterException", message),
            Self::Internal(error) => {
                tracing::error!(error = &*error, "a call of CloudWatch Logs failed");
                ServiceError::internal()
            }
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Internal(error.into())
    }
}
