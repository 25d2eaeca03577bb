//! Why a request was refused before anything looked at what it asks for.

use std::time::Duration;

use crate::{Protocol, ServiceError};

/// A request whose sender is not known or not proven.
///
/// The text is ours; [`AuthError::to_error`] has AWS's codes and texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There is no signature at all.
    #[error("the request is not signed")]
    Missing,
    /// The signature is of a kind that is not taken, such as version 2 in a header.
    #[error("signatures of the kind `{0}` are not taken")]
    Mechanism(String),
    /// A part of the signature is missing, doubled or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// The credential's scope is malformed or does not fit the request's date.
    #[error("{0}")]
    Scope(String),
    /// No such access key.
    #[error("the access key `{0}` is not known")]
    UnknownKey(String),
    /// The session token is missing or not the key's.
    #[error("the session token does not belong to the access key")]
    Token,
    /// The access key's session is over.
    #[error("the access key's session is over")]
    ExpiredKey,
    /// The request was signed too long ago, or in the future.
    #[error("the request was signed at {signed}, the time here is {now}")]
    Skewed {
        /// When it says that it was signed, as in `X-Amz-Date`.
        signed: String,
        /// The time here, in the same form.
        now: String,
        /// Whether it was signed too long ago.
        late: bool,
    },
    /// A presigned URL is used after its time.
    #[error("the presigned URL has expired")]
    Expired,
    /// A presigned URL is to last longer than a week, or not at all.
    #[error("a presigned URL lasts `{0}` seconds, 1 to 604800 are allowed")]
    Lifetime(String),
    /// A header that must be signed is not.
    #[error("the header `{0}` is not signed")]
    UnsignedHeader(String),
    /// A query parameter that version 2 does not sign.
    #[error("the parameter `{0}` is not covered by the signature")]
    UnsignedParameter(String),
    /// S3 wants `x-amz-content-sha256`, and it is missing or not one of its forms.
    #[error("the header `x-amz-content-sha256` is missing or malformed")]
    PayloadHash,
    /// The payload is not the one that was signed.
    #[error("the payload is not the one that was signed")]
    Payload,
    /// The signature is not the one that the key makes of this request.
    #[error("the signature does not match")]
    Mismatch,
}

/// How far a request's time may be from ours.
pub(super) const SKEW: Duration = Duration::from_mins(15);

const MISMATCH: &str = "The request signature we calculated does not match the signature you \
    provided. Check your AWS Secret Access Key and signing method. Consult the service \
    documentation for details.";
const MISMATCH_S3: &str = "The request signature we calculated does not match the signature you \
    provided. Check your key and signing method.";
const TOKEN: &str = "The security token included in the request is invalid.";
const TOKEN_EXPIRED: &str = "The security token included in the request is expired";

impl AuthError {
    /// The error as services of `protocol` answer it, with AWS's code, text and status.
    pub fn to_error(&self, protocol: Protocol) -> ServiceError {
        let (code, status, message) = match protocol {
            Protocol::RestXml => self.for_s3(),
            Protocol::Query => self.for_query(),
            Protocol::Json10 | Protocol::Json11 | Protocol::RestJson => self.for_json(),
        };
        ServiceError::new(code, message).with_status(status)
    }

    fn for_s3(&self) -> (&'static str, u16, String) {
        match self {
            Self::Missing => ("AccessDenied", 403, "Access Denied".into()),
            Self::Mechanism(_) => (
                "InvalidRequest",
                400,
                "The authorization mechanism you have provided is not supported. Please use \
                 AWS4-HMAC-SHA256."
                    .into(),
            ),
            Self::Incomplete(what) | Self::Scope(what) => (
                "AuthorizationHeaderMalformed",
                400,
                format!("The authorization header is malformed; {what}"),
            ),
            Self::UnknownKey(_) => (
                "InvalidAccessKeyId",
                403,
                "The AWS Access Key Id you provided does not exist in our records.".into(),
            ),
            Self::Token => (
                "InvalidToken",
                400,
                "The provided token is malformed or otherwise invalid.".into(),
            ),
            Self::ExpiredKey => ("ExpiredToken", 400, "The provided token has expired.".into()),
            Self::Skewed { .. } => (
                "RequestTimeTooSkewed",
                403,
                "The difference between the request time and the current time is too large.".into(),
            ),
            Self::Expired => ("AccessDenied", 403, "Request has expired".into()),
            Self::Lifetime(_) => (
                "AuthorizationQueryParametersError",
                400,
                "X-Amz-Expires must be less than a week (in seconds); that is, the given \
                 X-Amz-Expires must be less than 604800 seconds"
                    .into(),
            ),
            Self::UnsignedHeader(name) => (
                "AccessDenied",
                403,
                format!("There were headers present in the request which were not signed: {name}"),
            ),
            Self::UnsignedParameter(name) => (
                "AccessDenied",
                403,
                format!(
                    "The parameter {name} is not covered by the signature. Presign the URL with \
                     Signature Version 4 (signature_version s3v4)."
                ),
            ),
            Self::PayloadHash => (
                "InvalidRequest",
                400,
                "Missing required header for this request: x-amz-content-sha256".into(),
            ),
            Self::Payload => (
                "XAmzContentSHA256Mismatch",
                400,
                "The provided 'x-amz-content-sha256' header does not match what was computed."
                    .into(),
            ),
            Self::Mismatch => ("SignatureDoesNotMatch", 403, MISMATCH_S3.into()),
        }
    }

    fn for_query(&self) -> (&'static str, u16, String) {
        let code = match self {
            Self::Missing => {
                return (
                    "MissingAuthenticationToken",
                    403,
                    "Request is missing Authentication Token".into(),
                );
            }
            Self::Mechanism(_) | Self::Incomplete(_) => "IncompleteSignature",
            Self::UnknownKey(_) | Self::Token => "InvalidClientTokenId",
            Self::ExpiredKey => "ExpiredToken",
            _ => "SignatureDoesNotMatch",
        };
        let status = if code == "IncompleteSignature" { 400 } else { 403 };
        (code, status, self.message())
    }

    fn for_json(&self) -> (&'static str, u16, String) {
        let code = match self {
            Self::Missing => {
                return (
                    "MissingAuthenticationTokenException",
                    400,
                    "Missing Authentication Token".into(),
                );
            }
            Self::Mechanism(_) | Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey(_) | Self::Token => "UnrecognizedClientException",
            Self::ExpiredKey => "ExpiredTokenException",
            _ => "InvalidSignatureException",
        };
        (code, 400, self.message())
    }

    /// The text that services other than S3 share.
    fn message(&self) -> String {
        match self {
            Self::UnknownKey(_) | Self::Token => TOKEN.into(),
            Self::ExpiredKey => TOKEN_EXPIRED.into(),
            Self::Skewed { signed, now, late: true } => {
                format!("Signature expired: {signed} is now earlier than {now} - 15 min.")
            }
            Self::Skewed { signed, now, late: false } => {
                format!("Signature not yet current: {signed} is still later than {now} + 15 min.")
            }
            Self::Expired => "Signature expired".into(),
            Self::Mechanism(_) => {
                "Authorization header requires the algorithm AWS4-HMAC-SHA256.".into()
            }
            Self::Lifetime(_) => "X-Amz-Expires must be between 1 and 604800 seconds".into(),
            Self::UnsignedHeader(name) => {
                format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")
            }
            Self::Incomplete(what) | Self::Scope(what) => what.clone(),
            _ => MISMATCH.into(),
        }
    }
}
