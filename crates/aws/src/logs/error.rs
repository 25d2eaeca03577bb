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
    /// There is such a group.
    #[error("The specified log group already exists")]
    GroupExists,
    /// There is such a stream.
    #[error("The specified log stream already exists")]
    StreamExists,
    /// The group is not to be deleted.
    #[error("The log group {0} has deletion protection; disable it first.")]
    Protected(String),
    /// A member that can't be met.
    #[error("{0}")]
    Parameter(String),
    /// A token that is not ours.
    #[error("The specified nextToken is invalid.")]
    Token,
    /// The disk is full or can't be written to: the call may succeed later.
    #[error("The service cannot complete the request.")]
    Unavailable(#[source] io::Error),
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
            Self::GroupExists | Self::StreamExists => {
                service.error("ResourceAlreadyExistsException", message)
            }
            Self::Protected(_) => service.error("ValidationException", message),
            Self::Unavailable(error) => {
                tracing::warn!(%error, "logs can't be written");
                service.error("ServiceUnavailableException", message).with_status(503)
            }
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
        use io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied => {
                Self::Unavailable(error)
            }
            _ => Self::Internal(error.into()),
        }
    }
}
