//! [`Content`]: an object that is being made.

use std::{
    fs::File,
    io::{self, Write},
    sync::Arc,
};

use super::{ExternalS3, StorageError};
use crate::buckets::{BucketDir, BucketName, Condition, Incoming, ObjectKey, Record};

/// The content of an object on its way to where the object is to be. Without [`Content::put`] nothing
/// comes of it.
#[derive(Debug)]
pub enum Content {
    /// To the server's own buckets.
    Incoming(Arc<BucketDir>, Incoming),
    /// To an S3 elsewhere: a file without a name, which is sent when it is whole.
    File(Arc<ExternalS3>, File),
}

impl Content {
    /// Makes it an object, which appears whole.
    pub fn put(self, bucket: &str, key: &str) -> Result<(), StorageError> {
        match self {
            Self::Incoming(buckets, incoming) => {
                let (bucket, key) = (BucketName::parse(bucket)?, ObjectKey::parse(key)?);
                // Not an MD5, which a dash says; reading everything once more for it would be no use.
                let etag = format!("{:032x}-1", rand::random::<u128>());
                let record = Record { etag, ..Record::default() };
                Ok(buckets.put(&bucket, &key, incoming, record, &Condition::None).map(drop)?)
            }
            Self::File(external, file) => Ok(external.upload(bucket, key, &file)?),
        }
    }
}

impl Write for Content {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Incoming(_, incoming) => {
                incoming.write(bytes).map_err(io::Error::other)?;
                Ok(bytes.len())
            }
            Self::File(_, file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
