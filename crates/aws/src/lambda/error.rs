//! Why Lambda refuses a call.

use bessemer_aws_wire::{Service, ServiceError};
use bessemer_functions::FunctionsError;
use bessemer_store::StoreError;
use serde_json::{Value, json};

/// A call that is refused.
#[derive(Debug)]
pub(super) struct Error(FunctionsError);

impl Error {
    /// A value can't be.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self(FunctionsError::InvalidParameter(message.into()))
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self(FunctionsError::NotFound(message.into()))
    }

    /// The error as clients get it.
    pub(super) fn answer(self, service: &Service) -> ServiceError {
        let message = self.0.to_string();
        let code = match &self.0 {
            FunctionsError::NotFound(_) => "ResourceNotFoundException",
            FunctionsError::Conflict(_) => "ResourceConflictException",
            FunctionsError::InvalidParameter(_) | FunctionsError::InvalidZip(_) => {
                "InvalidParameterValueException"
            }
            FunctionsError::OldRevision => "PreconditionFailedException",
            FunctionsError::Throttled(_) => "TooManyRequestsException",
            FunctionsError::TooLarge(_) => "RequestTooLargeException",
            FunctionsError::InvalidContent(_) => "InvalidRequestContentException",
            FunctionsError::CodeStorage(_) => "CodeStorageExceededException",
            FunctionsError::InvalidRuntime(_) => "InvalidRuntimeException",
            FunctionsError::Store(error) if error.is_transient() => {
                let message = format!("The service is unavailable for now: {error}");
                return typed(service.error("ServiceException", message), "Service")
                    .with_status(503);
            }
            FunctionsError::Store(_) | FunctionsError::Internal(_) => {
                let error: &dyn std::error::Error = &self.0;
                tracing::error!(error, "a call of Lambda failed");
                let message = "The AWS Lambda service encountered an internal error.";
                return typed(service.error("ServiceException", message), "Service");
            }
        };
        let error = typed(service.error(code, message), "User");
        match self.0 {
            FunctionsError::Throttled(limit) => error.with_member("Reason", json!(limit.reason())),
            _ => error,
        }
    }
}

/// With the member that says whose fault it is.
fn typed(error: ServiceError, whose: &str) -> ServiceError {
    error.with_member("Type", Value::from(whose))
}

impl From<FunctionsError> for Error {
    fn from(error: FunctionsError) -> Self {
        Self(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}
