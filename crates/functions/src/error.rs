//! Why a call is refused, in Lambda's words.

use bessemer_store::StoreError;

/// Why a call is refused. Messages are what AWS answers.
#[derive(Debug, thiserror::Error)]
pub enum FunctionsError {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It is there already, or can't be changed now.
    #[error("{0}")]
    Conflict(String),
    /// A value can't be.
    #[error("{0}")]
    InvalidParameter(String),
    /// The caller has seen an older state.
    #[error(
        "The RevisionId provided does not match the latest RevisionId. Call the GetFunction/GetAlias \
         API to retrieve the latest RevisionId"
    )]
    OldRevision,
    /// No process may be started for an invocation now.
    #[error("Rate Exceeded.")]
    Throttled(Throttle),
    /// A payload is too large.
    #[error("Request must be smaller than {0} bytes for the InvokeFunction operation")]
    TooLarge(usize),
    /// A payload is no JSON.
    #[error("Could not parse request body into json: {0}")]
    InvalidContent(String),
    /// The code takes too much room.
    #[error("{0}")]
    CodeStorage(String),
    /// The archive can't be used.
    #[error("{0}")]
    InvalidZip(String),
    /// Python or its packages can't be had.
    #[error("{0}")]
    InvalidRuntime(String),
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error(transparent)]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

/// Which limit has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttle {
    /// What the function has reserved.
    Reserved,
    /// What all functions share.
    Shared,
}

impl Throttle {
    /// As AWS names it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Reserved => "ReservedFunctionConcurrentInvocationLimitExceeded",
            Self::Shared => "ConcurrentInvocationLimitExceeded",
        }
    }
}

impl FunctionsError {
    pub(crate) fn internal(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidParameter(message.into())
    }
}
