//! [`StorageError`]: what can go wrong with objects, wherever they are.

use crate::{ObjectsError, ObjectsErrorKind, buckets::BucketError};

/// A failure to read or write an object. Its text is a fragment that follows "failed to".
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// There is no such object.
    #[error("find the object `s3://{bucket}/{key}`")]
    Missing {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A failure of the server's own buckets.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// A failure of the S3 elsewhere, or on the way to it.
    #[error(transparent)]
    External(#[from] ObjectsError),
}

impl StorageError {
    pub(super) fn missing(bucket: &str, key: &str) -> Self {
        Self::Missing { bucket: bucket.to_owned(), key: key.to_owned() }
    }

    /// Whether it may pass, and is no fault of who asked.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Missing { .. } => false,
            Self::Bucket(error) => {
                matches!(error, BucketError::Io { .. } | BucketError::NoRoom { .. })
            }
            Self::External(error) => matches!(
                error.kind(),
                ObjectsErrorKind::Unreachable | ObjectsErrorKind::Changed | ObjectsErrorKind::Io
            ),
        }
    }
}
