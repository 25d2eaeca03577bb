//! Signing a request, as clients do: for our own command line, which asks the server over its port.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderName, HeaderValue, Request as HttpRequest, header};

use super::{
    canonical::{self, PathRule},
    credential::Credential,
    key::{SigningKey, sha256},
};
use crate::Request;

/// Signs `request` by Signature Version 4 in its headers, for any service but S3.
///
/// The request must have a `Host` header or an authority. Every header that it has is signed;
/// `X-Amz-Date` and `Authorization` are added. Returns false if a header is not text, which can't
/// be signed.
pub fn sign(
    request: &mut HttpRequest<Vec<u8>>,
    access_key: &str,
    secret: &str,
    (region, service): (&str, &str),
    now: SystemTime,
) -> bool {
    let date = DateTime::<Utc>::from(now).format("%Y%m%dT%H%M%SZ").to_string();
    if !request.headers().contains_key(header::HOST) {
        let host = request.uri().authority().map(|host| HeaderValue::from_str(host.as_str()));
        let Some(Ok(host)) = host else { return false };
        request.headers_mut().insert(header::HOST, host);
    }
    let Ok(value) = HeaderValue::from_str(&date) else { return false };
    request.headers_mut().insert("x-amz-date", value);
    let hash = sha256(request.body());
    let signed = names(request.headers());
    let signed: Vec<&str> = signed.iter().map(HeaderName::as_str).collect();
    let whole = Request {
        method: request.method(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        headers: request.headers(),
        authority: None,
    };
    let Ok(canonical) = canonical::request(&whole, &signed, PathRule::Normalized, &hash) else {
        return false;
    };
    let credential = Credential { access_key, date: &date[..8], region, service };
    let scope = credential.scope();
    let key = SigningKey::derive(secret, credential.date, region, service);
    let digest = key.sign(&canonical::string_to_sign(&date, &scope, &canonical));
    let text = format!(
        "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={}, Signature={digest}",
        signed.join(";")
    );
    let Ok(value) = HeaderValue::from_str(&text) else { return false };
    request.headers_mut().insert(header::AUTHORIZATION, value);
    true
}

/// The headers' names in their order.
fn names(headers: &HeaderMap) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = headers.keys().cloned().collect();
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::sigv4::{AccessKey, AuthError, Body, claimed_service, verify};

    #[test]
    fn what_is_signed_is_verified_and_no_other_body_is() {
        let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let mut request = HttpRequest::post("http://127.0.0.1:1856/_bessemer/jobs?a=1&b=%20x")
            .header("content-type", "application/json")
            .body(b"{}".to_vec())
            .unwrap();
        assert!(sign(&mut request, "AKID", "secret", ("us-east-1", "bessemer"), now));
        let (parts, body) = request.into_parts();
        let wire = Request::of(&parts);
        assert_eq!(claimed_service(&wire).as_deref(), Some("bessemer"));
        let keys = |id: &str| (id == "AKID").then(|| AccessKey::lasting("secret"));
        let verified = verify(&wire, Body::Whole(&body), &keys, now).unwrap();
        assert_eq!((verified.access_key.as_str(), verified.service.as_str()), ("AKID", "bessemer"));
        let other = verify(&wire, Body::Whole(b"[]"), &keys, now);
        assert_eq!(other.unwrap_err(), AuthError::Mismatch);
    }
}
