//! Who may do what: secrets for the signatures, and keys that may only read.

use std::sync::Arc;

use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    s3_error,
};

use crate::key_ring::KeyRing;

/// The access keys as s3s asks for them.
pub(super) struct Access {
    keys: Arc<KeyRing>,
}

impl Access {
    pub(super) fn new(keys: Arc<KeyRing>) -> Self {
        Self { keys }
    }
}

#[async_trait::async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.keys.known(access_key) {
            Some(key) => Ok(SecretKey::from(key.secret)),
            None => Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let key = context.credentials().and_then(|caller| self.keys.known(&caller.access_key));
        match key {
            Some(key) if !key.read_only || only_reads(context.s3_op().name()) => Ok(()),
            Some(_) => Err(s3_error!(AccessDenied, "This access key may only read.")),
            None => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }
}

/// Whether an operation of this name changes nothing.
fn only_reads(operation: &str) -> bool {
    ["Get", "Head", "List"].iter().any(|start| operation.starts_with(start))
}
