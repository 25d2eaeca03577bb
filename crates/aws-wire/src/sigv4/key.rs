//! Access keys, and the signing keys that are derived from them.

use std::{fmt, time::SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// The secret side of an access key. Its secrets are not shown by `Debug`.
#[derive(Clone)]
pub struct AccessKey {
    /// The secret access key.
    pub secret: String,
    /// The session token that goes with a temporary key.
    pub token: Option<String>,
    /// When a temporary key ends.
    pub expires: Option<SystemTime>,
}

impl AccessKey {
    /// A key without end and session.
    pub fn lasting(secret: impl Into<String>) -> Self {
        Self { secret: secret.into(), token: None, expires: None }
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("AccessKey").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Where access keys are looked up. A closure will do.
pub trait Keys {
    /// The key of an id, if there is one.
    fn key(&self, id: &str) -> Option<AccessKey>;
}

impl<F: Fn(&str) -> Option<AccessKey>> Keys for F {
    fn key(&self, id: &str) -> Option<AccessKey> {
        self(id)
    }
}

/// A key that signs for one day, region and service.
#[derive(Clone)]
pub(super) struct SigningKey([u8; 32]);

impl SigningKey {
    /// `date` is `YYYYMMDD`.
    pub(super) fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let start = format!("AWS4{secret}");
        let day = hmac(start.as_bytes(), date.as_bytes());
        let region = hmac(&day, region.as_bytes());
        let service = hmac(&region, service.as_bytes());
        Self(hmac(&service, b"aws4_request"))
    }

    /// The signature of `text`, in hex.
    pub(super) fn sign(&self, text: &str) -> String {
        hex(&hmac(&self.0, text.as_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey(..)")
    }
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// The SHA-256 of `data`, in hex.
pub(super) fn sha256(data: &[u8]) -> String {
    hex(&Sha256::digest(data))
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
