//! Signatures in the query: presigned URLs of version 4.

use std::{borrow::Cow, time::Duration};

use super::{
    AuthError,
    credential::{Credential, SigningDate},
    verify::Signature,
};
use crate::{Request, percent};

/// The longest that a presigned URL may last.
const WEEK: u64 = 7 * 24 * 60 * 60;

/// The parameters of a presigned URL, decoded.
#[derive(Debug)]
pub(super) struct Parameters {
    algorithm: String,
    credential: String,
    date: String,
    expires: String,
    signed_headers: String,
    signature: String,
    token: Option<String>,
}

/// The parameters of `request`, if it is presigned by version 4.
pub(super) fn parameters(request: &Request<'_>) -> Result<Option<Parameters>, AuthError> {
    if !percent::parameters(request.query).any(|(name, _)| name == b"X-Amz-Signature") {
        return Ok(None);
    }
    let optional = |name: &str| {
        let mut found =
            percent::parameters(request.query).filter(|(key, _)| key == name.as_bytes());
        let first = found.next().map(|(_, value)| String::from_utf8_lossy(&value).into_owned());
        if found.next().is_some() {
            return Err(AuthError::Incomplete(format!("'{name}' is given more than once.")));
        }
        Ok(first)
    };
    let required = |name: &str| {
        optional(name)?.ok_or_else(|| {
            AuthError::Incomplete(format!("AWS query-string parameters must include '{name}'."))
        })
    };
    Ok(Some(Parameters {
        algorithm: required("X-Amz-Algorithm")?,
        credential: required("X-Amz-Credential")?,
        date: required("X-Amz-Date")?,
        expires: required("X-Amz-Expires")?,
        signed_headers: required("X-Amz-SignedHeaders")?,
        signature: required("X-Amz-Signature")?,
        token: optional("X-Amz-Security-Token")?,
    }))
}

impl Parameters {
    pub(super) fn signature(&self) -> Result<Signature<'_>, AuthError> {
        if self.algorithm != "AWS4-HMAC-SHA256" {
            return Err(AuthError::Mechanism(self.algorithm.chars().take(32).collect()));
        }
        let date = SigningDate::parse(&self.date);
        let date = date.ok_or_else(|| {
            AuthError::Incomplete("X-Amz-Date must be in the ISO8601 Long Format".to_owned())
        })?;
        let seconds: Option<u64> = self.expires.parse().ok();
        let seconds = seconds.filter(|seconds| (1..=WEEK).contains(seconds));
        let lifetime = seconds.ok_or_else(|| AuthError::Lifetime(self.expires.clone()))?;
        Ok(Signature {
            credential: Credential::parse(&self.credential)?,
            signed_headers: self.signed_headers.split(';').collect(),
            digest: &self.signature,
            date,
            lifetime: Some(Duration::from_secs(lifetime)),
            token: self.token.clone(),
        })
    }
}

/// The query of `request` without its session token, which some clients add after signing.
pub(super) fn without_token<'a>(request: &Request<'a>) -> Cow<'a, str> {
    let token = |pair: &&str| pair.starts_with("X-Amz-Security-Token=");
    if !request.query.split('&').any(|pair| token(&pair)) {
        return Cow::Borrowed(request.query);
    }
    let others: Vec<&str> = request.query.split('&').filter(|pair| !token(pair)).collect();
    Cow::Owned(others.join("&"))
}
