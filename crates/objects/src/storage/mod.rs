//! [`Storage`]: where a server's objects are, its own buckets or an S3 elsewhere.

mod content;
mod error;
mod external;

use std::{fs::File, path::Path, sync::Arc, thread};

pub use content::Content;
pub use error::StorageError;
pub use external::{ExternalOptions, ExternalS3};

use crate::{
    ObjectsError,
    buckets::{BucketDir, BucketError, BucketName, Condition, Entry, ListRequest, ObjectKey},
};

/// Keys that the server's own buckets list at once.
const PAGE: usize = 1000;

/// Where a server's objects are. Everything blocks; clones share what is behind them.
#[derive(Debug, Clone)]
pub enum Storage {
    /// The server's own buckets.
    Folder(Arc<BucketDir>),
    /// An S3 elsewhere.
    External(Arc<ExternalS3>),
}

/// An object's content.
#[derive(Debug)]
pub struct Stored {
    /// The object's own file, which must not be written to, or a copy of it.
    pub file: File,
    /// Bytes.
    pub size: u64,
    /// The file is a copy that nobody else has. It has no name yet.
    pub is_copy: bool,
}

impl Storage {
    /// The S3 elsewhere, if the objects are there.
    #[must_use]
    pub fn external(&self) -> Option<&ExternalS3> {
        match self {
            Self::Folder(_) => None,
            Self::External(external) => Some(external),
        }
    }

    /// The keys of `bucket` that begin with `prefix`, in the order of their bytes, but for those that
    /// stand for folders.
    pub fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, StorageError> {
        match self {
            Self::Folder(buckets) => Ok(keys(buckets, bucket, prefix)?),
            Self::External(external) => Ok(external.keys(bucket, prefix)?),
        }
    }

    /// The content of an object.
    pub fn open(&self, bucket: &str, key: &str) -> Result<Stored, StorageError> {
        let missing = || StorageError::missing(bucket, key);
        match self {
            Self::Folder(buckets) => {
                match buckets.open_object(&BucketName::parse(bucket)?, &ObjectKey::parse(key)?) {
                    Ok(object) => {
                        Ok(Stored { file: object.file, size: object.info.size, is_copy: false })
                    }
                    Err(BucketError::NoSuchKey(_)) => Err(missing()),
                    Err(error) => Err(error.into()),
                }
            }
            Self::External(external) => external.copy(bucket, key)?.ok_or_else(missing),
        }
    }

    /// The contents of objects, each a bucket and a key, in their order. Those of an S3 elsewhere are
    /// fetched all at once: a few at a time are to be asked for.
    pub fn open_all(&self, objects: &[(&str, &str)]) -> Result<Vec<Stored>, StorageError> {
        let open = |(bucket, key): &(&str, &str)| self.open(bucket, key);
        match self {
            Self::Folder(_) => objects.iter().map(open).collect(),
            Self::External(_) => thread::scope(|scope| {
                let fetch = |object| scope.spawn(move || open(object));
                let fetches: Vec<_> = objects.iter().map(fetch).collect();
                let fetched = fetches.into_iter().map(|fetch| {
                    fetch.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                });
                fetched.collect()
            }),
        }
    }

    /// Begins an object's content.
    pub fn begin(&self) -> Result<Content, StorageError> {
        match self {
            Self::Folder(buckets) => Ok(Content::Incoming(Arc::clone(buckets), buckets.receive()?)),
            Self::External(external) => {
                Ok(Content::File(Arc::clone(external), external.scratch_file()?))
            }
        }
    }

    /// Makes the content of `file` an object, which appears whole.
    pub fn put_file(&self, bucket: &str, key: &str, file: &File) -> Result<(), StorageError> {
        match self {
            Self::Folder(buckets) => {
                let about = file.metadata();
                let about = about.map_err(|error| ObjectsError::io("read", Path::new(key), error));
                let mut incoming = buckets.receive()?;
                incoming.copy(file, 0, about?.len())?;
                Content::Incoming(Arc::clone(buckets), incoming).put(bucket, key)
            }
            Self::External(external) => Ok(external.upload(bucket, key, file)?),
        }
    }

    /// Deletes an object; one that is not there is no failure.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<(), StorageError> {
        match self {
            Self::Folder(buckets) => Ok(delete(buckets, bucket, key)?),
            Self::External(external) => Ok(external.delete(bucket, key)?),
        }
    }
}

fn delete(buckets: &BucketDir, bucket: &str, key: &str) -> Result<(), BucketError> {
    let (bucket, key) = (BucketName::parse(bucket)?, ObjectKey::parse(key)?);
    buckets.delete_object(&bucket, &key, &Condition::None).map(drop)
}

fn keys(buckets: &BucketDir, bucket: &str, prefix: &str) -> Result<Vec<String>, BucketError> {
    let bucket = BucketName::parse(bucket)?;
    let (mut keys, mut after) = (Vec::new(), String::new());
    loop {
        let prefix = prefix.to_owned();
        let request = ListRequest { prefix, after, limit: PAGE, ..ListRequest::default() };
        let page = buckets.list(&bucket, &request)?;
        after = page.entries.last().map(|entry| entry.name().to_owned()).unwrap_or_default();
        for entry in page.entries {
            if let Entry::Object { key, .. } = entry
                && !key.ends_with('/')
            {
                keys.push(key);
            }
        }
        if !page.is_truncated {
            return Ok(keys);
        }
    }
}
