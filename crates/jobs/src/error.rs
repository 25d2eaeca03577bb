//! What can go wrong with a job as such; how its attempts fail is part of the job.

use bessemer_domain::{JobKind, Refused};
use bessemer_store::{StoreError, Tag};

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
    /// A quota that is set has no room for the job.
    #[error(
        "The account-level service limit '{label}' is {limit} Instances, with current utilization \
         of {current} Instances and a request delta of {delta} Instances. Please raise the quota in \
         the server's bessemer.toml, or wait for other jobs to end."
    )]
    LimitExceeded {
        /// What the quota is called.
        label: String,
        /// How many instances it allows.
        limit: u32,
        /// How many there are.
        current: u32,
        /// How many more the job asks for.
        delta: u32,
    },
    /// The tag that gives a job's priority has no priority in it.
    #[error("the tag `{}` is `{}` and has to be a whole number from -1000 to 1000", .0.key, .0.value)]
    BadPriority(Tag),
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
            StoreError::LimitExceeded { label, limit, current, delta } => {
                Self::LimitExceeded { label, limit, current, delta }
            }
            error => Self::Store(error),
        }
    }
}
