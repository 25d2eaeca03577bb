//! Why Batch refuses a call.

use bessemer_aws_wire::{Service, ServiceError};
use bessemer_jobs::JobsError;
use bessemer_store::StoreError;

/// A call that is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The request can't be met as it is.
    #[error("{0}")]
    Client(String),
    /// What is kept can't be read or written now.
    #[error("The service is unavailable for now: {0}")]
    Unavailable(String),
    /// A fault of ours.
    #[error(transparent)]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// What the request says wrong.
    pub(super) fn client(message: impl Into<String>) -> Self {
        Self::Client(message.into())
    }

    /// What AWS has and we don't.
    pub(super) fn unsupported(what: &str) -> Self {
        Self::Client(format!("{what} is not supported by Bessemer"))
    }

    /// The error as clients get it.
    pub(super) fn answer(self, service: &Service) -> ServiceError {
        let message = self.to_string();
        match self {
            Self::Client(_) => service.error("ClientException", message),
            Self::Unavailable(_) => service.error("ServerException", message).with_status(503),
            Self::Internal(error) => {
                tracing::error!(error = &*error, "a call of Batch failed");
                service.error("ServerException", "An internal error has occurred")
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::AlreadyExists { .. } => Self::client("Object already exists"),
            StoreError::BadPageToken(_) => Self::client("The nextToken is not one of this list"),
            error if error.is_transient() => Self::Unavailable(error.to_string()),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<JobsError> for Error {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::BadPriority(_) | JobsError::LimitExceeded { .. } => {
                Self::Client(error.to_string())
            }
            JobsError::Closed => Self::Unavailable(error.to_string()),
            JobsError::Store(error) => error.into(),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Internal(error.into())
    }
}
