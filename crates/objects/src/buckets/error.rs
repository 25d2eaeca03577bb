//! What can go wrong with buckets and objects.

use std::io;

use super::MIN_PART_SIZE;

/// A failure of an operation on buckets. Its text is a fragment that follows "failed to".
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    /// The name breaks S3's rules for buckets.
    #[error("use the bucket name `{0}`: 3 to 63 of a-z, 0-9, `-` and `.` are allowed")]
    InvalidBucketName(String),
    /// The key can't be a file.
    #[error("use the key `{key}`: {why}")]
    UnusableKey {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The key, or a part of it, is longer than a path or a name can be.
    #[error("use the key `{key:.64}`: {why}")]
    KeyTooLong {
        /// The key.
        key: String,
        /// What is too long.
        why: &'static str,
    },
    /// There is no such bucket.
    #[error("find the bucket `{0}`")]
    NoSuchBucket(String),
    /// A bucket of this name exists.
    #[error("make the bucket `{0}`: it exists")]
    BucketExists(String),
    /// The bucket holds objects.
    #[error("delete the bucket `{0}`: it is not empty")]
    BucketNotEmpty(String),
    /// There is no such object.
    #[error("find the object `{0}`")]
    NoSuchKey(String),
    /// There is no such multipart upload of this key.
    #[error("find the upload `{0}`: it was completed, aborted or never begun")]
    NoSuchUpload(String),
    /// A part is missing, or not the one that was named.
    #[error("complete the upload: part {0} is missing or has another ETag")]
    InvalidPart(u32),
    /// Parts are not named in ascending order.
    #[error("complete the upload: part {0} is not in ascending order")]
    InvalidPartOrder(u32),
    /// A part that is not the last is too small.
    #[error("complete the upload: part {number} has {size} bytes, {MIN_PART_SIZE} are the least")]
    PartTooSmall {
        /// Its number.
        number: u32,
        /// Its size in bytes.
        size: u64,
    },
    /// The object is not what the caller made a condition.
    #[error("write the object `{0}`: it is not what the condition says")]
    ConditionFailed(String),
    /// The disk is full, or a quota is reached.
    #[error("{action}: no room is left")]
    NoRoom {
        /// What was being done.
        action: &'static str,
        /// The system's word for it.
        #[source]
        source: io::Error,
    },
    /// The system refused.
    #[error("{action}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl BucketError {
    /// The error for a system call that failed while doing `action`.
    pub(super) fn io(action: &'static str, source: impl Into<io::Error>) -> Self {
        let source = source.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoRoom { action, source }
            }
            _ => Self::Io { action, source },
        }
    }
}
