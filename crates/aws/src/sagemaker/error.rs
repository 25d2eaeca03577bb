//! Why SageMaker refuses a call, in its own words where SDKs read them.

use bessemer_aws_wire::{Service, ServiceError};
use bessemer_domain::{JobKind, Refused};
use bessemer_jobs::JobsError;
use bessemer_pipelines::PipelinesError;
use bessemer_store::StoreError;

/// A call that is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The request can't be met as it is.
    #[error("{0}")]
    Validation(String),
    /// A job of that name is there already.
    #[error(
        "Job name must be unique within an AWS account and region, and a job with this name \
         already exists ({0})"
    )]
    JobExists(String),
    /// A training job of that name is there already.
    #[error(
        "Training job names must be unique within an AWS account and region, and a training job \
         with this name already exists ({0})"
    )]
    TrainingJobExists(String),
    /// A tuning job of that name is there already.
    #[error(
        "Hyperparameter tuning job names must be unique within an AWS account and region, and a \
         hyperparameter tuning job with this name already exists ({0})"
    )]
    TuningJobExists(String),
    /// There is no training job of that name.
    #[error("Requested resource not found.")]
    NoResource,
    /// There is no job of that name.
    #[error("Could not find requested job with name: {0}")]
    NoJob(String),
    /// There is nothing of that name, in words.
    #[error("{0}")]
    NotFound(String),
    /// It can't be done to it as it is.
    #[error("{0}")]
    Conflict(String),
    /// A page token that is not of this list.
    #[error("Invalid NextToken; pass on the one of the last answer, with the same sort order")]
    PageToken,
    /// A quota has no room.
    #[error("{0}")]
    LimitExceeded(String),
    /// What is kept can't be read or written now.
    #[error("The service is unavailable for now: {0}")]
    Unavailable(String),
    /// A fault of ours.
    #[error(transparent)]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// The error as clients get it.
    pub(super) fn answer(self, service: &Service) -> ServiceError {
        let message = self.to_string();
        match self {
            Self::Validation(_) | Self::NoJob(_) | Self::NoResource | Self::PageToken => {
                service.validation_error(message)
            }
            Self::JobExists(_) | Self::TrainingJobExists(_) | Self::TuningJobExists(_) => {
                service.error("ResourceInUse", message)
            }
            Self::NotFound(_) => service.error("ResourceNotFound", message),
            Self::Conflict(_) => service.error("ConflictException", message),
            Self::LimitExceeded(_) => service.error("ResourceLimitExceeded", message),
            Self::Unavailable(_) => {
                ServiceError::new("ServiceUnavailable", message).with_status(503)
            }
            Self::Internal(error) => {
                tracing::error!(error = &*error, "a call of SageMaker failed");
                ServiceError::internal()
            }
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::BadPageToken(_) => Self::PageToken,
            error if error.is_transient() => Self::Unavailable(error.to_string()),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<JobsError> for Error {
    fn from(error: JobsError) -> Self {
        match error {
            JobsError::NotFound { kind: JobKind::Training, .. } => Self::NoResource,
            JobsError::NotFound { name, .. } => Self::NoJob(name),
            JobsError::Refused(Refused::Illegal { state, event }) => {
                Self::Validation(format!("The job can't be {event} in state {state}"))
            }
            JobsError::BadPriority(_) => Self::Validation(error.to_string()),
            JobsError::LimitExceeded { .. } => Self::LimitExceeded(error.to_string()),
            JobsError::Closed => Self::Unavailable(error.to_string()),
            JobsError::Store(error) => error.into(),
            error => Self::Internal(error.into()),
        }
    }
}

impl From<PipelinesError> for Error {
    fn from(error: PipelinesError) -> Self {
        let message = error.to_string();
        match error {
            PipelinesError::NoExecution(arn) => {
                Self::NotFound(format!("Pipeline execution with ARN '{arn}' does not exist."))
            }
            PipelinesError::NoToken(token) => {
                Self::NotFound(format!("Callback token '{token}' does not exist."))
            }
            PipelinesError::Refused(refused) => Self::Validation(sentence(&refused.to_string())),
            PipelinesError::Closed => Self::Unavailable(message),
            PipelinesError::Store(error) => error.into(),
            PipelinesError::Definition(_) | PipelinesError::Damaged(_) => {
                Self::Internal(error.into())
            }
        }
    }
}

/// A fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    format!("{}.", first.into_iter().chain(letters).collect::<String>())
}
