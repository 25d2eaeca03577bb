//! Who may do what: secrets for the signatures, and keys that may only read.

use std::sync::Arc;

use s3s::{
    S3Result,
    access::{S3Access, S3AccessContext},
    auth::{S3Auth, SecretKey},
    s3_error,
};

use crate::Keys;

/// The access keys as s3s asks for them.
pub(super) struct Access {
    keys: Arc<dyn Keys>,
}

impl Access {
    pub(super) fn new(keys: Arc<dyn Keys>) -> Self {
        Self { keys }
    }
}

#[async_trait::async_trait]
impl S3Auth for Access {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.keys.find(access_key) {
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
        let key = context.credentials().and_then(|caller| self.keys.find(&caller.access_key));
        match key {
            Some(key) if !key.is_read_only || only_reads(context.s3_op().name()) => Ok(()),
            Some(_) => Err(s3_error!(AccessDenied, "This access key may only read.")),
            None => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }
}

/// Whether an operation of this name changes nothing.
fn only_reads(operation: &str) -> bool {
    ["Get", "Head", "List"].iter().any(|start| operation.starts_with(start))
}
