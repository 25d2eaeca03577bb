//! [`ExternalS3`]: an S3 elsewhere that has a server's objects.

use std::{
    collections::HashMap,
    fmt,
    fs::{File, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::Stored;
use crate::{ObjectsError, s3::Remote};

/// How an S3 elsewhere is reached.
#[derive(Clone)]
pub struct ExternalOptions {
    /// `http://…` or `https://…`; buckets are the first part of the path.
    pub endpoint: String,
    /// The region that requests are signed for.
    pub region: String,
    /// The id of the access key.
    pub key: String,
    /// Its secret.
    pub secret: String,
    /// A folder for copies of objects, on the file system where they are used.
    pub scratch: PathBuf,
}

/// An S3 elsewhere, with the key that a server has there.
pub struct ExternalS3 {
    remote: Remote,
    endpoint: String,
    region: String,
    scratch: PathBuf,
}

impl ExternalS3 {
    /// Gets ready for it, and connects to nothing yet.
    pub fn new(options: ExternalOptions) -> Result<Self, ObjectsError> {
        let ExternalOptions { endpoint, region, key, secret, scratch } = options;
        let variables = [
            ("AWS_ENDPOINT_URL_S3", endpoint.clone()),
            ("AWS_REGION", region.clone()),
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ];
        let variables: HashMap<String, String> =
            variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Self { remote: Remote::start(variables)?, endpoint, region, scratch })
    }

    /// Its address.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The region that requests are signed for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    pub(super) fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, ObjectsError> {
        self.remote.keys(bucket, prefix)
    }

    /// A copy of an object; none if there is no such object.
    pub(super) fn copy(&self, bucket: &str, key: &str) -> Result<Option<Stored>, ObjectsError> {
        let Some(found) = self.remote.head(bucket, key)? else { return Ok(None) };
        let file = self.scratch_file()?;
        self.remote.download(bucket, key, &found.version, found.size, &file)?;
        Ok(Some(Stored { file, size: found.size, is_copy: true }))
    }

    pub(super) fn upload(&self, bucket: &str, key: &str, file: &File) -> Result<(), ObjectsError> {
        self.remote.upload_file((file, Path::new(key)), bucket, key)
    }

    pub(super) fn delete(&self, bucket: &str, key: &str) -> Result<(), ObjectsError> {
        self.remote.delete_many(bucket, &[key.to_owned()])
    }

    /// A file that goes away unless it is given a name. Others may read it, as they may objects.
    pub(super) fn scratch_file(&self) -> Result<File, ObjectsError> {
        let make = || {
            let file = tempfile::tempfile_in(&self.scratch)?;
            file.set_permissions(Permissions::from_mode(0o644))?;
            Ok(file)
        };
        make().map_err(|error| ObjectsError::io("make a file in", &self.scratch, error))
    }
}

impl fmt::Debug for ExternalS3 {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalS3").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl fmt::Debug for ExternalOptions {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalOptions").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}
