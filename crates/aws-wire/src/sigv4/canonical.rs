//! The canonical form of a request, which is what a signature covers.

use super::{AuthError, key::sha256};
use crate::{Request, percent};

/// How a path becomes canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PathRule {
    /// S3: encoded once, left as it is otherwise.
    S3,
    /// S3, where a client signed the very bytes that it sent.
    AsSent,
    /// Every other service: dots and empty segments are resolved, then the path, encoded as it
    /// is, is encoded once more.
    Normalized,
    /// The same without resolving, which AWS's vectors have.
    #[cfg(test)]
    Encoded,
}

/// The canonical request. `signed` are lower-case header names in their order, `hash` stands for
/// the payload.
pub(super) fn request(
    request: &Request<'_>,
    signed: &[&str],
    rule: PathRule,
    hash: &str,
) -> Result<String, AuthError> {
    let mut text =
        format!("{}\n{}\n{}\n", request.method, path(request.path, rule), query(request.query));
    for name in signed {
        let value = header(request, name)?;
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(&format!("\n{}\n{hash}", signed.join(";")));
    Ok(text)
}

/// What is signed in the end.
pub(super) fn string_to_sign(date: &str, scope: &str, canonical: &str) -> String {
    format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()))
}

pub(super) fn path(sent: &str, rule: PathRule) -> String {
    let sent = if sent.is_empty() { "/" } else { sent };
    match rule {
        PathRule::S3 => percent::encode_path(&percent::decode(sent)),
        PathRule::AsSent => sent.to_owned(),
        PathRule::Normalized => percent::encode_path(normalized(sent).as_bytes()),
        #[cfg(test)]
        PathRule::Encoded => percent::encode_path(sent.as_bytes()),
    }
}

fn normalized(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let end = if path.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}

/// Parameters sorted by their encoded names and values, without the signature itself.
fn query(sent: &str) -> String {
    let parameters = percent::parameters(sent).filter(|(name, _)| name != b"X-Amz-Signature");
    let mut encoded: Vec<(String, String)> =
        parameters.map(|(name, value)| (percent::encode(&name), percent::encode(&value))).collect();
    encoded.sort();
    let pairs: Vec<String> =
        encoded.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

/// The values of a header, each without outer and doubled spaces, joined by commas.
fn header(request: &Request<'_>, name: &str) -> Result<String, AuthError> {
    let values = request.headers.get_all(name);
    let mut trimmed = Vec::new();
    for value in &values {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| AuthError::Mismatch)?;
        trimmed.push(value.split_ascii_whitespace().collect::<Vec<_>>().join(" "));
    }
    if trimmed.is_empty() {
        // A signed header that is not there was taken away, or left to the request's target.
        let authority = request.authority.filter(|_| name == "host").ok_or(AuthError::Mismatch)?;
        trimmed.push(authority.to_owned());
    }
    Ok(trimmed.join(","))
}
