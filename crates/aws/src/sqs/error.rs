//! Why SQS refuses a call, with the codes of both of its protocols.

use bessemer_aws_wire::{Call, Protocol, ServiceError};
use bessemer_queues::QueueError;
use serde_json::{Value, json};

/// A call that is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The queue refuses it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A batch of nothing.
    #[error("There should be at least one {0} in the request.")]
    EmptyBatch(&'static str),
    /// A batch of too much.
    #[error("Maximum number of entries per request are 10. You have sent {0}.")]
    TooManyEntries(usize),
    /// The id of an entry is none.
    #[error(
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It \
         can be at most 80 letters long."
    )]
    EntryId,
    /// Two entries have the same id.
    #[error("Id {0} repeated.")]
    RepeatedId(String),
    /// A text is no queue's URL.
    #[error("The address {0} is not valid for this endpoint.")]
    Address(String),
    /// A token that is not ours.
    #[error("Invalid or expired next token.")]
    Token,
}

/// An error's code in JSON, its code in the query protocol, and its status.
type Codes = (&'static str, &'static str, u16);

const PARAMETER: Codes = ("InvalidParameterValueException", "InvalidParameterValue", 400);
const NOT_FOUND: Codes = ("ResourceNotFoundException", "ResourceNotFoundException", 404);
const UNAVAILABLE: Codes = ("ServiceUnavailable", "ServiceUnavailable", 503);
const INTERNAL: Codes = ("InternalFailure", "InternalFailure", 500);

/// A code that the query protocol has with a prefix.
macro_rules! prefixed {
    ($code:literal, $status:literal) => {
        ($code, concat!("AWS.SimpleQueueService.", $code), $status)
    };
}

impl Error {
    /// The error as clients get it.
    pub(super) fn answer(self, call: &Call<'_>) -> ServiceError {
        self.log();
        let message = match &self {
            Self::Queue(QueueError::NoQueue) if call.protocol == Protocol::Query => {
                "The specified queue does not exist for this wsdl version.".to_owned()
            }
            other => other.told(),
        };
        let (code, query_code, status) = self.codes();
        ServiceError::new(code, message).with_status(status).with_query_code(query_code)
    }

    /// The error of an entry of a batch.
    pub(super) fn entry(&self, id: &str) -> Value {
        self.log();
        let (_, code, status) = self.codes();
        json!({"Id": id, "SenderFault": status < 500, "Code": code, "Message": self.told()})
    }

    fn log(&self) {
        if let Self::Queue(QueueError::Store(error)) = self {
            tracing::error!(error = error as &dyn std::error::Error, "a call of SQS failed");
        }
    }

    /// The text for clients. What the database says of itself is for the operator.
    fn told(&self) -> String {
        match self {
            Self::Queue(QueueError::Store(error)) if !error.is_transient() => {
                ServiceError::internal().message.unwrap_or_default()
            }
            other => other.to_string(),
        }
    }

    fn codes(&self) -> Codes {
        match self {
            Self::Queue(error) => queue_codes(error),
            Self::EmptyBatch(_) => prefixed!("EmptyBatchRequest", 400),
            Self::TooManyEntries(_) => prefixed!("TooManyEntriesInBatchRequest", 400),
            Self::EntryId => prefixed!("InvalidBatchEntryId", 400),
            Self::RepeatedId(_) => prefixed!("BatchEntryIdsNotDistinct", 400),
            Self::Address(_) => ("InvalidAddress", "InvalidAddress", 404),
            Self::Token => PARAMETER,
        }
    }
}

fn queue_codes(error: &QueueError) -> Codes {
    match error {
        QueueError::NoQueue => {
            ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400)
        }
        QueueError::NameTaken(_) => ("QueueNameExists", "QueueAlreadyExists", 400),
        QueueError::UnknownAttribute(_) | QueueError::AttributeName(_) => {
            ("InvalidAttributeName", "InvalidAttributeName", 400)
        }
        QueueError::AttributeValue(_) => ("InvalidAttributeValue", "InvalidAttributeValue", 400),
        QueueError::Parameter(_) => PARAMETER,
        QueueError::Missing(_) => ("MissingRequiredParameterException", "MissingParameter", 400),
        QueueError::Contents => ("InvalidMessageContents", "InvalidMessageContents", 400),
        QueueError::ReceiptHandle(_) => ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 404),
        QueueError::NotInFlight => prefixed!("MessageNotInflight", 400),
        QueueError::BatchTooLong { .. } => prefixed!("BatchRequestTooLong", 400),
        QueueError::Purging(_) => prefixed!("PurgeQueueInProgress", 403),
        QueueError::NoResource(_) | QueueError::NoTask => NOT_FOUND,
        QueueError::Unsupported(_) => prefixed!("UnsupportedOperation", 400),
        QueueError::Store(error) if error.is_transient() => UNAVAILABLE,
        QueueError::Store(_) => INTERNAL,
    }
}
