//! From failures of buckets to the errors of S3.

use std::error::Error;

use bessemer_objects::buckets::BucketError;
use http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// The error that a client gets. System errors are named by what was being done, with no path.
pub(super) fn from_bucket(error: BucketError) -> S3Error {
    let (code, message) = match &error {
        BucketError::InvalidBucketName(_) => {
            (S3ErrorCode::InvalidBucketName, "The specified bucket is not valid.".to_owned())
        }
        BucketError::KeyTooLong { .. } => (S3ErrorCode::KeyTooLongError, sentence(&error)),
        BucketError::UnusableKey { .. } => (S3ErrorCode::InvalidArgument, sentence(&error)),
        BucketError::NoSuchBucket(_) => {
            (S3ErrorCode::NoSuchBucket, "The specified bucket does not exist".to_owned())
        }
        BucketError::BucketExists(_) => (
            S3ErrorCode::BucketAlreadyOwnedByYou,
            "Your previous request to create the named bucket succeeded and you already own it."
                .to_owned(),
        ),
        BucketError::BucketNotEmpty(_) => {
            (S3ErrorCode::BucketNotEmpty, "The bucket you tried to delete is not empty".to_owned())
        }
        BucketError::NoSuchKey(_) => {
            (S3ErrorCode::NoSuchKey, "The specified key does not exist.".to_owned())
        }
        BucketError::NoSuchUpload(_) => (
            S3ErrorCode::NoSuchUpload,
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed."
                .to_owned(),
        ),
        BucketError::InvalidPart(_) => (
            S3ErrorCode::InvalidPart,
            "One or more of the specified parts could not be found.  The part may not have been \
             uploaded, or the specified entity tag may not match the part's entity tag."
                .to_owned(),
        ),
        BucketError::InvalidPartOrder(_) => (
            S3ErrorCode::InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
                .to_owned(),
        ),
        BucketError::PartTooSmall { .. } => (
            S3ErrorCode::EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size".to_owned(),
        ),
        BucketError::ConditionFailed(_) => (
            S3ErrorCode::PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold".to_owned(),
        ),
        BucketError::NoRoom { .. } => (S3ErrorCode::ServiceUnavailable, sentence(&error)),
        BucketError::Io { .. } => (S3ErrorCode::InternalError, sentence(&error)),
    };
    let mut answer = S3Error::with_message(code, message);
    answer.set_source(Box::new(error));
    answer
}

/// An error whose code s3s has no name for.
pub(super) fn unnamed(code: &'static str, status: StatusCode, message: &'static str) -> S3Error {
    let mut error = S3Error::with_message(S3ErrorCode::Custom(code.into()), message);
    error.set_status_code(status);
    error
}

/// Says what failed, and why the system says so.
fn sentence(error: &BucketError) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("Failed to {error}{cause}")
}
