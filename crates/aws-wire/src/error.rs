//! An error as an AWS service answers it, before it takes the form of a protocol.

use serde_json::Value;

/// Whose fault an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request has to change.
    Sender,
    /// The service failed.
    Receiver,
}

/// What a service answers instead of an output.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceError {
    /// The code that clients act on, such as `ValidationException`.
    pub code: String,
    /// The text for people. AWS answers some errors without one.
    pub message: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// The code of the query protocol that a JSON service had before (`x-amzn-query-error`).
    pub query_code: Option<String>,
    /// Other members of the error's shape.
    pub members: Vec<(String, Value)>,
}

impl ServiceError {
    /// An error with status 400.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..Self::bare(code) }
    }

    /// An error with status 400 and no text.
    pub fn bare(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: None,
            status: 400,
            query_code: None,
            members: Vec::new(),
        }
    }

    /// The error of a service that failed without the sender's doing.
    pub fn internal() -> Self {
        let message = "The request processing has failed because of an unknown error, exception \
            or failure.";
        Self::new("InternalFailure", message).with_status(500)
    }

    /// With another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// With the code that the service's clients know from the query protocol.
    #[must_use]
    pub fn with_query_code(mut self, code: impl Into<String>) -> Self {
        self.query_code = Some(code.into());
        self
    }

    /// With another member of the error's shape.
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>, value: Value) -> Self {
        self.members.push((name.into(), value));
        self
    }

    /// Whose fault it is, by the status.
    pub fn fault(&self) -> Fault {
        if self.status < 500 { Fault::Sender } else { Fault::Receiver }
    }
}
