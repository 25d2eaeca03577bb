//! Why a call to a queue is refused, in SQS's words.

use bessemer_store::StoreError;

/// A call that is refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum QueueError {
    /// There is no such queue.
    #[error("The specified queue does not exist.")]
    NoQueue,
    /// There is a queue of that name, and this attribute of it is another.
    #[error("A queue already exists with the same name and a different value for attribute {0}")]
    NameTaken(String),
    /// There is no attribute of that name.
    #[error("Unknown Attribute {0}.")]
    UnknownAttribute(String),
    /// An attribute that the queue can't have.
    #[error("{0}")]
    AttributeName(String),
    /// An attribute can't have that value.
    #[error("{0}")]
    AttributeValue(String),
    /// A parameter that can't be met.
    #[error("{0}")]
    Parameter(String),
    /// A parameter is missing.
    #[error("The request must contain the parameter {0}.")]
    Missing(&'static str),
    /// A message holds characters that messages can't hold.
    #[error(
        "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | \
         #xE000 to #xFFFD | #x10000 to #x10FFFF"
    )]
    Contents,
    /// What was shown is no receipt handle of this queue.
    #[error("The input receipt handle \"{0}\" is not a valid receipt handle.")]
    ReceiptHandle(String),
    /// The message is visible already.
    #[error("The message referred to isn't in flight.")]
    NotInFlight,
    /// The messages of a batch are too long together.
    #[error("Batch requests cannot be longer than {most} bytes. You have sent {sent} bytes.")]
    BatchTooLong {
        /// Bytes of a batch, at most.
        most: usize,
        /// Bytes of this one.
        sent: usize,
    },
    /// The queue is being purged.
    #[error("Only one PurgeQueue operation on {0} is allowed every 60 seconds.")]
    Purging(String),
    /// There is nothing of the ARN in this parameter.
    #[error("The resource that you specified for the {0} parameter doesn't exist.")]
    NoResource(&'static str),
    /// There is no such message move task.
    #[error("Task does not exist.")]
    NoTask,
    /// What queues don't do.
    #[error("{0}")]
    Unsupported(String),
    /// What is kept can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueueError {
    /// A parameter's value that can't be met.
    pub(crate) fn value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Self {
        Self::Parameter(format!(
            "Value {value} for parameter {parameter} is invalid. Reason: {reason}"
        ))
    }
}
