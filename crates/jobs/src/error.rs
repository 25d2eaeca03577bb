//! What can go wrong with a job as such; how its attempts fail is part of the job.

use bessemer_domain::{JobKind, Refused};
use bessemer_store::StoreError;

/// Why something could not be done with a job.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JobsError {
    /// There is a job of that kind and name already.
    #[error("{kind} job `{name}` exists already")]
    AlreadyExists {
        /// The job's kind.
        kind: JobKind,
        /// The job's name.
        name: String,
    },
    /// There is no job of that kind and name.
    #[error("{kind} job `{name}` does not exist")]
    NotFound {
        /// The job's kind.
        kind: JobKind,
        /// The job's name.
        name: String,
    },
    /// The job can't do that in its state.
    #[error(transparent)]
    Refused(Refused),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed,
    /// The database failed; [`StoreError::is_transient`] tells whether to try again.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for JobsError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refused) => Self::Refused(refused),
            StoreError::Closed => Self::Closed,
            error => Self::Store(error),
        }
    }
}
