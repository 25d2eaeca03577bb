//! Failures of the store, in our words. The server's answer is never passed on whole: on a wrong
//! signature it repeats the request, with the session token.

use std::error::Error as _;

use object_store::{
    Error,
    client::{HttpError, HttpErrorKind},
};

use crate::error::{ObjectsError, ObjectsErrorKind};

/// The error for `action` on an object; on the whole bucket if `key` is empty.
pub(super) fn translate(
    action: &str,
    bucket: &str,
    key: &str,
    endpoint: Option<&str>,
    error: &Error,
) -> ObjectsError {
    let answer = error.to_string();
    let code = between(&answer, "<Code>", "</Code>").unwrap_or_default();
    let store = endpoint.unwrap_or("AWS");
    let what = format!("{action} `s3://{bucket}/{key}`");
    let fail = |kind, why: String| ObjectsError::new(kind, format!("{what}: {why}"));
    if code == "NoSuchBucket" {
        return fail(
            ObjectsErrorKind::NotFound,
            format!("there is no bucket `{bucket}` at {store}"),
        )
        .with_hint("check the bucket's name, the account and AWS_ENDPOINT_URL_S3");
    }
    if is_wrong_region(&answer, code) {
        return fail(ObjectsErrorKind::Invalid, "the bucket is in another region".to_owned())
            .with_hint("set AWS_REGION to the bucket's region");
    }
    // A failed listing comes without a kind of its own.
    let status = between(&answer, "status code: ", " ").unwrap_or_default();
    if matches!(error, Error::NotFound { .. }) {
        return fail(ObjectsErrorKind::NotFound, "it is not there".to_owned());
    }
    if matches!(error, Error::Precondition { .. }) {
        return ObjectsError::changed(format!("{what}: it changed after the inputs were listed"))
            .with_hint("run again when nothing writes to it");
    }
    if is_denied(error, status, code) {
        return fail(ObjectsErrorKind::Denied, format!("{store} refused it: {}", reason(error)))
            .with_hint(denied_hint(code));
    }
    match http_kind(error) {
        Some(HttpErrorKind::Connect) => fail(
            ObjectsErrorKind::Unreachable,
            format!("{store} can't be reached: {}", reason(error)),
        )
        .with_hint("check the network and AWS_ENDPOINT_URL_S3"),
        Some(HttpErrorKind::Timeout) => {
            fail(ObjectsErrorKind::Unreachable, format!("{store} did not answer in time"))
                .with_hint("check the network and AWS_ENDPOINT_URL_S3")
        }
        _ => fail(ObjectsErrorKind::Unreachable, format!("{store} failed: {}", reason(error))),
    }
}

/// What the store, or the network, says, in one line and without secrets.
pub(super) fn reason(error: &Error) -> String {
    let answer = error.to_string();
    if let Some(code) = between(&answer, "<Code>", "</Code>") {
        let message = between(&answer, "<Message>", "</Message>").unwrap_or_default();
        return if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
    }
    if let Some(status) = between(&answer, "status code: ", ":") {
        return format!("status {status}");
    }
    // The innermost cause: "Connection refused", "certificate expired", "failed to look up".
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string().lines().next().unwrap_or_default().to_owned()
}

fn is_denied(error: &Error, status: &str, code: &str) -> bool {
    let by_status = matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. });
    by_status
        || matches!(status, "401" | "403")
        || matches!(code, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired")
}

fn denied_hint(code: &str) -> &'static str {
    match code {
        "InvalidAccessKeyId" | "SignatureDoesNotMatch" => {
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile of AWS_PROFILE"
        }
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => {
            "get new temporary credentials and set AWS_SESSION_TOKEN with its two keys"
        }
        "RequestTimeTooSkewed" => "set this machine's clock right",
        _ => "ask for s3:ListBucket, s3:GetObject and (for outputs) s3:PutObject on the bucket",
    }
}

fn is_wrong_region(answer: &str, code: &str) -> bool {
    matches!(
        code,
        "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException"
    ) || answer.contains("redirect without LOCATION")
}

fn http_kind(error: &Error) -> Option<HttpErrorKind> {
    let mut next = error.source();
    while let Some(source) = next {
        if let Some(http) = source.downcast_ref::<HttpError>() {
            return Some(http.kind());
        }
        next = source.source();
    }
    None
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let rest = &text[text.find(from)? + from.len()..];
    Some(rest[..rest.find(to)?].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(body: &str) -> Error {
        Error::PermissionDenied { path: "k".into(), source: body.into() }
    }

    #[test]
    fn the_servers_answer_is_told_without_its_secrets() {
        let error = denied(
            "status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code><Message>wrong \
             signature</Message><CanonicalRequest>x-amz-security-token:hunter2</CanonicalRequest></Error>",
        );
        let told = translate("read", "b", "k", None, &error);
        assert_eq!(
            told.to_string(),
            "read `s3://b/k`: AWS refused it: SignatureDoesNotMatch: wrong signature"
        );
        assert!(!format!("{told:?}").contains("hunter2"));
        assert!(told.hint().unwrap().contains("AWS_SECRET_ACCESS_KEY"));
    }

    #[test]
    fn a_missing_bucket_is_no_missing_object() {
        let body = "status code: 404: <Error><Code>NoSuchBucket</Code></Error>";
        let error = Error::NotFound { path: "k".into(), source: body.into() };
        let told = translate("read", "b", "k", Some("http://h:1"), &error);
        assert_eq!(told.to_string(), "read `s3://b/k`: there is no bucket `b` at http://h:1");
    }
}
