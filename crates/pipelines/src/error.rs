//! What can go wrong with pipelines as such; how their steps fail is part of their executions.

use bessemer_store::StoreError;

use crate::{definition::DefinitionError, execution::Refused};

/// Why something could not be done with a pipeline's execution.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PipelinesError {
    /// There is no execution of that ARN.
    #[error("execution `{0}` does not exist")]
    NoExecution(String),
    /// No callback waits for this token.
    #[error("no callback waits for token `{0}`")]
    NoToken(String),
    /// The execution can't do that now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A definition that was kept is none that this release can run.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
    /// What is kept of an execution can't be read.
    #[error("what is kept of execution `{0}` can't be read")]
    Damaged(String),
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed,
    /// The database failed; [`StoreError::is_transient`] tells whether to try again.
    #[error(transparent)]
    Store(StoreError),
}

impl From<StoreError> for PipelinesError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Closed => Self::Closed,
            error => Self::Store(error),
        }
    }
}

impl PipelinesError {
    /// Whether the same may succeed later, with nothing changed by the caller.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}
