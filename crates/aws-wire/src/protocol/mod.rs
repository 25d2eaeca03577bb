//! AWS's protocols: from a request to an operation and its input, from an output or an error to a
//! response.

mod decode;
mod encode;
mod form;
mod json;
mod respond;
mod rest;
mod xml;

pub use decode::Call;
pub use encode::OutputError;
pub use respond::error_response;

use crate::Request;

/// How a service's messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// JSON to and fro, the operation in `X-Amz-Target`, version 1.0.
    Json10,
    /// The same, version 1.1.
    Json11,
    /// An HTML form to, XML fro.
    Query,
    /// JSON, with members in paths, queries and headers.
    RestJson,
    /// XML, with members in paths, queries and headers: S3. Only its errors are written here.
    RestXml,
}

impl Protocol {
    /// The protocol in which the sender of a request understands an error, told by the request's
    /// looks. For requests of which nothing else is known.
    pub fn guess(request: &Request<'_>) -> Self {
        let content_type = request.header("content-type").unwrap_or_default();
        if request.headers.contains_key("x-amz-target") {
            let old = content_type.starts_with("application/x-amz-json-1.0");
            return if old { Self::Json10 } else { Self::Json11 };
        }
        let action = request.query.split('&').any(|pair| pair.starts_with("Action="));
        if request.is_form() || action {
            return Self::Query;
        }
        if content_type.starts_with("application/json") { Self::RestJson } else { Self::RestXml }
    }
}
