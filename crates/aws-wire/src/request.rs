//! A request as it came over the wire, without its body.

use http::{HeaderMap, Method, header, request::Parts};

/// The head of an HTTP request, still encoded as it was sent: signatures cover those bytes.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path as sent, percent-encoding and all.
    pub path: &'a str,
    /// The query as sent, without its `?`; empty if there is none.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The authority of the request's target, which stands for a `Host` header that is missing
    /// (HTTP/2 sends none).
    pub authority: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// The request of an HTTP server.
    pub fn of(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            authority: parts.uri.authority().map(http::uri::Authority::as_str),
        }
    }

    /// The first value of a header, if it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body is an HTML form.
    pub(crate) fn is_form(&self) -> bool {
        let kind = self.header(header::CONTENT_TYPE.as_str()).unwrap_or_default();
        kind.starts_with("application/x-www-form-urlencoded")
    }
}
