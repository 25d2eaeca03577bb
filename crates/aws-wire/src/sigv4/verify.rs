//! [`verify`]: from a request to its sender.

use std::{
    borrow::Cow,
    time::{Duration, SystemTime},
};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    AuthError, ChunkDecoder, Keys,
    canonical::{self, PathRule},
    credential::{Credential, SigningDate},
    header,
    key::{AccessKey, SigningKey, hex, sha256},
    presigned, v2,
};
use crate::Request;

/// What is there of a request's body when its signature is verified.
#[derive(Debug, Clone, Copy)]
pub enum Body<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is still to be read; only S3's requests can be verified so.
    Streamed,
}

/// A request whose head is what its sender signed.
#[derive(Debug)]
pub struct Verified {
    /// The sender's access key id.
    pub access_key: String,
    /// The region that the request is signed for; empty for version 2.
    pub region: String,
    /// The service that the request is signed for, as in `sagemaker` or `s3`.
    pub service: String,
    /// When it was signed; `None` for version 2, which does not say.
    pub signed_at: Option<SystemTime>,
    /// Whether it came by a presigned URL.
    pub presigned: bool,
    /// What has still to be done about the body.
    pub payload: Payload,
}

/// How a request's body is to be read.
#[derive(Debug)]
pub enum Payload {
    /// It was given whole and is what was signed.
    Checked,
    /// It must have this hash: feed it what is read, then ask it.
    Hashed(PayloadHash),
    /// The signature does not cover it.
    Unsigned,
    /// It comes in chunks, to be taken apart by this.
    Chunked(Box<ChunkDecoder>),
}

/// A payload's hash, computed while it is read.
#[derive(Debug, Clone)]
pub struct PayloadHash {
    expected: String,
    hasher: Sha256,
}

impl PayloadHash {
    fn new(expected: &str) -> Self {
        Self { expected: expected.to_owned(), hasher: Sha256::new() }
    }

    /// Takes the next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// Whether the body was what the sender signed.
    pub fn finish(self) -> Result<(), AuthError> {
        if same(&hex(&self.hasher.finalize()), &self.expected) {
            Ok(())
        } else {
            Err(AuthError::Payload)
        }
    }
}

/// A signature of version 4 and what it says of itself, wherever it was.
#[derive(Debug)]
pub(super) struct Signature<'a> {
    pub(super) credential: Credential<'a>,
    pub(super) signed_headers: Vec<&'a str>,
    /// The signature itself, in hex.
    pub(super) digest: &'a str,
    pub(super) date: SigningDate,
    /// How long a presigned URL lasts.
    pub(super) lifetime: Option<Duration>,
    pub(super) token: Option<String>,
}

/// Says who sent `request`, or why that is not proven.
///
/// The service and region of the answer are the ones of the credential's scope: the caller routes
/// by them, or compares them with its own.
pub fn verify(
    request: &Request<'_>,
    body: Body<'_>,
    keys: &(impl Keys + ?Sized),
    now: SystemTime,
) -> Result<Verified, AuthError> {
    if let Some(parameters) = presigned::parameters(request)? {
        if request.headers.contains_key("authorization") {
            return Err(AuthError::Incomplete("Only one auth mechanism allowed".to_owned()));
        }
        return verify_v4(request, body, keys, now, &parameters.signature()?, None);
    }
    if !request.headers.contains_key("authorization") && v2::is_presigned(request) {
        return v2::verify(request, keys, now);
    }
    verify_v4(request, body, keys, now, &header::parse(request)?, None)
}

/// Like [`verify`] for version 4, with a rule for paths that is not the service's own.
pub(super) fn verify_v4(
    request: &Request<'_>,
    body: Body<'_>,
    keys: &(impl Keys + ?Sized),
    now: SystemTime,
    signature: &Signature<'_>,
    rule: Option<PathRule>,
) -> Result<Verified, AuthError> {
    let credential = signature.credential;
    signature.date.check_scope(&credential)?;
    check_time(signature, now)?;
    check_signed_headers(request, signature)?;
    let key = keys.key(credential.access_key);
    let key = key.ok_or_else(|| AuthError::UnknownKey(credential.access_key.to_owned()))?;
    check_session(&key, signature.token.as_deref(), now)?;
    let hash = payload_hash(request, body, signature)?;
    let signing_key =
        SigningKey::derive(&key.secret, credential.date, credential.region, credential.service);
    check_signature(request, signature, &signing_key, &hash, rule)?;
    Ok(Verified {
        access_key: credential.access_key.to_owned(),
        region: credential.region.to_owned(),
        service: credential.service.to_owned(),
        signed_at: Some(signature.date.time.into()),
        presigned: signature.lifetime.is_some(),
        payload: payload(request, body, signature, signing_key, &hash)?,
    })
}

fn check_time(signature: &Signature<'_>, now: SystemTime) -> Result<(), AuthError> {
    signature.date.check_not_ahead(now)?;
    let Some(lifetime) = signature.lifetime else { return signature.date.check_not_behind(now) };
    let age = (DateTime::<Utc>::from(now) - signature.date.time).to_std().unwrap_or_default();
    if age > lifetime { Err(AuthError::Expired) } else { Ok(()) }
}

/// That the signature covers the host and all headers that steer the service.
fn check_signed_headers(request: &Request<'_>, signature: &Signature<'_>) -> Result<(), AuthError> {
    let signed = &signature.signed_headers;
    let in_order = signed.windows(2).all(|pair| pair[0] < pair[1]);
    let lower = signed.iter().all(|name| !name.bytes().any(|byte| byte.is_ascii_uppercase()));
    if !in_order || !lower {
        return Err(AuthError::Incomplete(
            "SignedHeaders must be lower-case, sorted and without repetition.".to_owned(),
        ));
    }
    // The session token of a header is compared with the key's own: clients may add it after
    // signing.
    let exempt = |name: &str| signature.lifetime.is_none() && name == "x-amz-security-token";
    let steering = request.headers.keys().map(http::HeaderName::as_str);
    let steering = steering.filter(|name| name.starts_with("x-amz-") && !exempt(name));
    let mut unsigned = steering.chain(["host"]).filter(|name| !signed.contains(name));
    match unsigned.next() {
        Some(name) => Err(AuthError::UnsignedHeader(name.to_owned())),
        None => Ok(()),
    }
}

/// That the session is the key's own and not over.
pub(super) fn check_session(
    key: &AccessKey,
    token: Option<&str>,
    now: SystemTime,
) -> Result<(), AuthError> {
    let fits = match (&key.token, token) {
        (None, None) => true,
        (Some(own), Some(sent)) => same(own, sent),
        _ => false,
    };
    if !fits {
        return Err(AuthError::Token);
    }
    match key.expires {
        Some(end) if end <= now => Err(AuthError::ExpiredKey),
        _ => Ok(()),
    }
}

const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const CHUNKED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const CHUNKED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const CHUNKED_UNSIGNED: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";

/// What stands for the payload in the canonical request.
fn payload_hash<'a>(
    request: &Request<'a>,
    body: Body<'_>,
    signature: &Signature<'_>,
) -> Result<Cow<'a, str>, AuthError> {
    let sent = request.header("x-amz-content-sha256");
    if !signature.credential.is_s3() {
        let Body::Whole(body) = body else { return Err(AuthError::PayloadHash) };
        let hash = sha256(body);
        return match sent {
            Some(sent) if !same(sent, &hash) => Err(AuthError::Mismatch),
            _ => Ok(Cow::Owned(hash)),
        };
    }
    let known = |sent: &str| {
        let hash = sent.len() == 64 && sent.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        hash || [UNSIGNED, CHUNKED, CHUNKED_TRAILER, CHUNKED_UNSIGNED].contains(&sent)
    };
    match sent {
        Some(sent) if known(sent) => Ok(Cow::Borrowed(sent)),
        None if signature.lifetime.is_some() => Ok(Cow::Borrowed(UNSIGNED)),
        _ => Err(AuthError::PayloadHash),
    }
}

fn check_signature(
    request: &Request<'_>,
    signature: &Signature<'_>,
    key: &SigningKey,
    hash: &str,
    rule: Option<PathRule>,
) -> Result<(), AuthError> {
    let matches = |request: &Request<'_>, rule| {
        let canonical = canonical::request(request, &signature.signed_headers, rule, hash)?;
        let scope = signature.credential.scope();
        let text = canonical::string_to_sign(&signature.date.text, &scope, &canonical);
        Ok(same(&key.sign(&text), signature.digest))
    };
    let s3 = signature.credential.is_s3();
    let rule = rule.unwrap_or(if s3 { PathRule::S3 } else { PathRule::Normalized });
    if matches(request, rule)? || (s3 && matches(request, PathRule::AsSent)?) {
        return Ok(());
    }
    let query = presigned::without_token(request);
    if signature.lifetime.is_some()
        && query != request.query
        && matches(&Request { query: &query, ..*request }, rule)?
    {
        return Ok(());
    }
    Err(AuthError::Mismatch)
}

fn payload(
    request: &Request<'_>,
    body: Body<'_>,
    signature: &Signature<'_>,
    key: SigningKey,
    hash: &str,
) -> Result<Payload, AuthError> {
    let size = || {
        let length = request.header("x-amz-decoded-content-length");
        length.and_then(|length| length.parse::<u64>().ok())
    };
    let decoder = |chain, trailer| {
        let size = size().ok_or_else(|| {
            AuthError::Incomplete(
                "the header x-amz-decoded-content-length is required for chunked payloads".into(),
            )
        })?;
        Ok(Payload::Chunked(Box::new(ChunkDecoder::new(chain, trailer, size))))
    };
    let chain = || {
        let scope = signature.credential.scope();
        super::chunked::Chain::new(key, &signature.date.text, &scope, signature.digest)
    };
    match (hash, body) {
        (UNSIGNED, _) => Ok(Payload::Unsigned),
        (CHUNKED, _) => decoder(Some(chain()), false),
        (CHUNKED_TRAILER, _) => decoder(Some(chain()), true),
        (CHUNKED_UNSIGNED, _) => decoder(None, true),
        (hash, Body::Streamed) => Ok(Payload::Hashed(PayloadHash::new(hash))),
        (hash, Body::Whole(body)) if same(&sha256(body), hash) => Ok(Payload::Checked),
        _ => Err(AuthError::Payload),
    }
}

/// Whether two texts are the same, in a time that does not depend on where they differ.
pub(super) fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}
