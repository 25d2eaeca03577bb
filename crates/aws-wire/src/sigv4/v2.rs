//! Presigned URLs of Signature Version 2, which boto3 makes for S3 unless told otherwise.
//!
//! The format is in "Signing and authenticating REST requests" of S3's user guide. A URL says no
//! more than when it ends, and covers only the parameters that name what it is about.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::{
    AuthError, Keys,
    verify::{Payload, Verified, check_session, same},
};
use crate::{Request, percent};

/// Parameters that are part of the signed resource.
const SIGNED_PARAMETERS: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];

const OWN_PARAMETERS: &[&str] = &["AWSAccessKeyId", "Expires", "Signature"];

/// Whether the query is that of a URL presigned by version 2.
pub(super) fn is_presigned(request: &Request<'_>) -> bool {
    percent::parameters(request.query).any(|(name, _)| name == b"AWSAccessKeyId")
}

/// Headers that a presigned URL carries in its query: `x-amz-*`, `content-type` and `content-md5`.
/// They are signed and mean what the headers of those names mean.
pub fn hoisted_headers(request: &Request<'_>) -> Vec<(String, String)> {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let parameters = percent::parameters(request.query)
        .filter_map(|(name, value)| Some((text(name)?, text(value)?)));
    parameters.filter(|(name, _)| is_header(name)).collect()
}

fn is_header(name: &str) -> bool {
    name.starts_with("x-amz-") || ["content-type", "content-md5"].contains(&name)
}

pub(super) fn verify(
    request: &Request<'_>,
    keys: &(impl Keys + ?Sized),
    now: SystemTime,
) -> Result<Verified, AuthError> {
    let parameters = Parameters::read(request)?;
    let end: u64 = parameters.own("Expires")?.parse().map_err(|_| {
        AuthError::Incomplete("Expires must be a number of seconds since 1970".to_owned())
    })?;
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(end)).ok_or(AuthError::Expired)?;
    if end <= now {
        return Err(AuthError::Expired);
    }
    let id = parameters.own("AWSAccessKeyId")?;
    let key = keys.key(id).ok_or_else(|| AuthError::UnknownKey(id.to_owned()))?;
    let headers = amz_headers(request, &parameters)?;
    let token = headers.iter().find(|(name, _)| name == "x-amz-security-token");
    check_session(&key, token.map(|(_, value)| value.as_str()), now)?;
    let text = string_to_sign(request, &parameters, &headers)?;
    let mut mac =
        Hmac::<Sha1>::new_from_slice(key.secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    if !same(&signature, parameters.own("Signature")?) {
        return Err(AuthError::Mismatch);
    }
    Ok(Verified {
        access_key: id.to_owned(),
        region: String::new(),
        service: "s3".to_owned(),
        signed_at: None,
        presigned: true,
        payload: Payload::Unsigned,
    })
}

/// The decoded parameters of the query: nothing but what a signature covers, nothing twice.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn read(request: &Request<'_>) -> Result<Self, AuthError> {
        let mut all: Vec<(String, String)> = Vec::new();
        for (name, value) in percent::parameters(request.query) {
            let (Ok(name), Ok(value)) = (String::from_utf8(name), String::from_utf8(value)) else {
                return Err(AuthError::Mismatch);
            };
            let known = [SIGNED_PARAMETERS, OWN_PARAMETERS].concat().contains(&name.as_str());
            if !known && !is_header(&name) {
                return Err(AuthError::UnsignedParameter(name));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(AuthError::Incomplete(format!("'{name}' is given more than once.")));
            }
            if ambiguous(&value) {
                return Err(AuthError::Mismatch);
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    fn own(&self, name: &str) -> Result<&str, AuthError> {
        self.get(name).ok_or_else(|| {
            AuthError::Incomplete(format!(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId \
                 parameters: '{name}' is missing"
            ))
        })
    }
}

/// Whether a value could be read as something else in the text that is signed, which separates its
/// parts by line ends and decoded parameters by `&`.
fn ambiguous(value: &str) -> bool {
    let mut following = value.split('&').skip(1);
    let name = |part: &str| part.split('=').next().unwrap_or_default().to_owned();
    value.contains(char::is_control)
        || following.any(|part| SIGNED_PARAMETERS.contains(&name(part).as_str()))
}

/// The `x-amz-*` headers, sent as such or in the query, sorted by name.
fn amz_headers(
    request: &Request<'_>,
    parameters: &Parameters,
) -> Result<Vec<(String, String)>, AuthError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for name in request.headers.keys().filter(|name| name.as_str().starts_with("x-amz-")) {
        let values: Result<Vec<&str>, _> =
            request.headers.get_all(name).iter().map(http::HeaderValue::to_str).collect();
        let values = values.map_err(|_| AuthError::Mismatch)?;
        let trimmed: Vec<&str> = values.into_iter().map(str::trim).collect();
        headers.push((name.as_str().to_owned(), trimmed.join(",")));
    }
    for (name, value) in parameters.0.iter().filter(|(name, _)| name.starts_with("x-amz-")) {
        match headers.iter().find(|(other, _)| other == name) {
            Some((_, sent)) if sent == value => {}
            Some(_) => return Err(AuthError::Mismatch),
            None => headers.push((name.clone(), value.trim().to_owned())),
        }
    }
    headers.sort();
    Ok(headers)
}

fn string_to_sign(
    request: &Request<'_>,
    parameters: &Parameters,
    headers: &[(String, String)],
) -> Result<String, AuthError> {
    let standard = |name: &str| match (request.header(name), parameters.get(name)) {
        (Some(sent), Some(signed)) if sent.trim() != signed => Err(AuthError::Mismatch),
        (sent, signed) => Ok(sent.or(signed).unwrap_or_default().trim().to_owned()),
    };
    let mut text = format!(
        "{}\n{}\n{}\n{}\n",
        request.method,
        standard("content-md5")?,
        standard("content-type")?,
        parameters.own("Expires")?
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}:{value}\n"));
    }
    text.push_str(request.path);
    // Clients sign a bucket with a slash at its end, also where they leave it out of the URL.
    if request.path.len() > 1 && !request.path[1..].contains('/') {
        text.push('/');
    }
    let mut resource: Vec<(&str, &str)> = Vec::new();
    for (name, value) in &parameters.0 {
        if SIGNED_PARAMETERS.contains(&name.as_str()) {
            resource.push((name, value));
        }
    }
    resource.sort_unstable();
    for (index, (name, value)) in resource.iter().enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        text.push_str(name);
        if !value.is_empty() {
            text.push_str(&format!("={value}"));
        }
    }
    Ok(text)
}
