//! [`Front`]: what the operations share.

use std::sync::Arc;

use bessemer_objects::buckets::{BucketDir, BucketError, BucketName, ObjectKey};
use s3s::{S3Result, s3_error};

use super::error::from_bucket;

/// The operations of S3 on a folder of buckets. Clones are cheap.
#[derive(Debug, Clone)]
pub(super) struct Front {
    pub(super) buckets: Arc<BucketDir>,
}

impl Front {
    pub(super) fn new(buckets: Arc<BucketDir>) -> Self {
        Self { buckets }
    }

    /// Runs what blocks, away from the threads that serve connections.
    pub(super) async fn block<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<BucketDir>) -> Result<T, BucketError> + Send + 'static,
    ) -> S3Result<T> {
        let buckets = Arc::clone(&self.buckets);
        blocking(move || work(&buckets)).await
    }
}

/// Runs what blocks, away from the threads that serve connections.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BucketError> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(from_bucket),
        Err(error) => Err(s3_error!(error, InternalError)),
    }
}

pub(super) fn bucket_name(name: &str) -> S3Result<BucketName> {
    BucketName::parse(name).map_err(from_bucket)
}

pub(super) fn object_key(key: &str) -> S3Result<ObjectKey> {
    ObjectKey::parse(key).map_err(from_bucket)
}

/// Refuses versions: buckets have none.
pub(super) fn only_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
    }
}

/// Refuses encryption with keys that the caller brings.
pub(super) fn no_customer_key(algorithm: Option<&String>) -> S3Result<()> {
    match algorithm {
        None => Ok(()),
        Some(_) => Err(s3_error!(
            NotImplemented,
            "Server-side encryption with customer-provided keys is not supported."
        )),
    }
}
