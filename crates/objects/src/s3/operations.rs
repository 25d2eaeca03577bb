//! What is small or happens on the server: listing, looking, reading and writing small objects,
//! deleting, copying.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    Error, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload,
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path,
};

use super::remote::{Bucket, Remote, RemoteFile};
use crate::{durable, error::ObjectsError, inputs::folder_key};

/// Requests for single objects that are under way at once.
const LOOKED_AT_ONCE: usize = 32;
/// The largest object that S3 copies in one request.
const COPIED_BY_SERVER: u64 = 5 << 30;

impl Remote {
    /// The object at `key`; `None` if it is not there.
    pub(crate) fn head(&self, bucket: &str, key: &str) -> Result<Option<RemoteFile>, ObjectsError> {
        let store = self.bucket(bucket)?;
        self.block_on(self.look(&store, key))
    }

    /// The object at `key`, which has to be there.
    pub(crate) fn head_existing(
        &self,
        bucket: &str,
        key: &str,
    ) -> Result<RemoteFile, ObjectsError> {
        self.head(bucket, key)?.ok_or_else(|| {
            ObjectsError::not_found(format!("read `s3://{bucket}/{key}`: it is not there"))
        })
    }

    /// The objects at `keys`, in their order.
    pub(crate) fn head_many(
        &self,
        bucket: &str,
        keys: &[String],
    ) -> Result<Vec<Option<RemoteFile>>, ObjectsError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let store = &self.bucket(bucket)?;
        let looks = stream::iter(keys.iter().map(|key| self.look(store, key)));
        self.block_on(looks.buffered(LOOKED_AT_ONCE).try_collect())
    }

    async fn look(&self, store: &Bucket, key: &str) -> Result<Option<RemoteFile>, ObjectsError> {
        let path = path_of(&store.name, key)?;
        let error = match store.control.head(&path).await {
            Ok(meta) => return Ok(Some(RemoteFile::new(meta))),
            Err(Error::NotFound { .. }) => return Ok(None),
            // The answer to a HEAD has no body that says why.
            Err(refused @ Error::PermissionDenied { .. }) => {
                store.control.get_range(&path, 0..1).await.err().unwrap_or(refused)
            }
            Err(error) => error,
        };
        Err(self.failure("look for", &store.name, key, &error))
    }

    /// The objects whose keys begin with `prefix`, which is empty or ends with `/`, and of whose
    /// names below it `takes` says yes; in no particular order.
    pub(crate) fn list(
        &self,
        bucket: &str,
        prefix: &str,
        takes: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<RemoteFile>, ObjectsError> {
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, prefix)?;
        let (mut files, mut empty) = (Vec::new(), Vec::new());
        self.block_on(async {
            let mut objects = store.control.list(Some(&path));
            while let Some(found) = objects.next().await {
                let file = RemoteFile::new(
                    found.map_err(|error| self.list_failure(bucket, prefix, &error))?,
                );
                // The prefix itself may be an object, too.
                if file.key.strip_prefix(prefix).is_some_and(|name| !name.is_empty() && takes(name))
                {
                    if file.size == 0 { empty.push(file) } else { files.push(file) }
                }
            }
            Ok(())
        })?;
        // The console marks a folder by an empty object `folder/`. Its slash does not survive
        // listing, but asked for without it, it is not there.
        let keys: Vec<String> = empty.iter().map(|file| file.key.clone()).collect();
        files.extend(self.head_many(bucket, &keys)?.into_iter().flatten());
        Ok(files)
    }

    /// The keys that begin with `prefix`, whatever that is, but for those that stand for folders; in
    /// the order of their bytes.
    pub(crate) fn keys(&self, bucket: &str, prefix: &str) -> Result<Vec<String>, ObjectsError> {
        let store = self.bucket(bucket)?;
        let (mut keys, mut empty) = (Vec::new(), Vec::new());
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let listed = self.block_on(store.control.list_paginated(Some(prefix), options));
            let page = listed.map_err(|error| self.list_failure(bucket, prefix, &error))?;
            for meta in page.result.objects {
                let file = RemoteFile::new(meta);
                if file.key.starts_with(prefix) {
                    if file.size == 0 { empty.push(file.key) } else { keys.push(file.key) }
                }
            }
            page_token = page.page_token;
            if page_token.is_none() {
                break;
            }
        }
        // As in `list`: those that mark folders have lost their slash, and are not there without it.
        let found = self.head_many(bucket, &empty)?.into_iter().flatten();
        keys.extend(found.map(|file| file.key));
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The names directly in a folder, sorted.
    pub(crate) fn names_in(&self, bucket: &str, folder: &str) -> Result<Vec<String>, ObjectsError> {
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, folder)?;
        let found = self
            .block_on(store.control.list_with_delimiter(Some(&path)))
            .map_err(|error| self.list_failure(bucket, folder, &error))?;
        let objects = found.objects.into_iter().map(|meta| meta.location);
        let paths = found.common_prefixes.into_iter().chain(objects);
        let mut names: Vec<String> =
            paths.filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort();
        Ok(names)
    }

    /// Whether there is an object at `key` or below it.
    pub(crate) fn exists(&self, bucket: &str, key: &str) -> Result<bool, ObjectsError> {
        if !key.is_empty() && !key.ends_with('/') && self.head(bucket, key)?.is_some() {
            return Ok(true);
        }
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, &folder_key(key))?;
        let first = self.block_on(store.control.list(Some(&path)).next()).transpose();
        Ok(first.map_err(|error| self.list_failure(bucket, key, &error))?.is_some())
    }

    /// The whole of a small object; `None` if it is not there.
    pub(crate) fn read(&self, bucket: &str, key: &str) -> Result<Option<Vec<u8>>, ObjectsError> {
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, key)?;
        // Looking first tells within seconds that the store is down. Only a GET's answer tells a
        // missing bucket from a missing object.
        let client = if self.head(bucket, key)?.is_some() { &store.data } else { &store.control };
        let content = self.block_on(async { client.get(&path).await?.bytes().await });
        match content {
            Ok(content) => Ok(Some(content.into())),
            Err(error) => {
                let missing = matches!(error, Error::NotFound { .. });
                if missing && !error.to_string().contains("NoSuchBucket") {
                    return Ok(None);
                }
                Err(self.failure("read", bucket, key, &error))
            }
        }
    }

    /// Some bytes of an object that has them.
    pub(crate) fn read_range(
        &self,
        bucket: &str,
        key: &str,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ObjectsError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, key)?;
        let content = self.block_on(store.control.get_range(&path, range));
        content.map(Into::into).map_err(|error| self.failure("read", bucket, key, &error))
    }

    /// Writes a small object.
    pub(crate) fn write(
        &self,
        bucket: &str,
        key: &str,
        content: &[u8],
    ) -> Result<(), ObjectsError> {
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, key)?;
        let payload = PutPayload::from(content.to_vec());
        let written = self.block_on(store.data.put(&path, payload));
        written.map(drop).map_err(|error| self.failure("write", bucket, key, &error))
    }

    /// Removes objects; those that are not there are removed already.
    pub(crate) fn delete_many(&self, bucket: &str, keys: &[String]) -> Result<(), ObjectsError> {
        let store = self.bucket(bucket)?;
        let mut paths = Vec::with_capacity(keys.len());
        for key in keys {
            paths.push(Ok(path_of(bucket, key)?));
        }
        let removed = store.data.delete_stream(stream::iter(paths).boxed());
        let removed = self.block_on(removed.try_for_each(|_| std::future::ready(Ok(()))));
        match removed {
            Err(Error::NotFound { .. }) if keys.len() == 1 => Ok(()),
            Err(error) => {
                let key = keys.first().map_or("", String::as_str);
                Err(self.failure("remove", bucket, key, &error))
            }
            Ok(()) => Ok(()),
        }
    }

    /// Copies an object: on the server where it can, else by way of this machine.
    pub(crate) fn copy(
        &self,
        (bucket, key): (&str, &str),
        (to_bucket, to_key): (&str, &str),
    ) -> Result<(), ObjectsError> {
        let object = self.head_existing(bucket, key)?;
        if bucket == to_bucket && object.size <= COPIED_BY_SERVER {
            let store = self.bucket(bucket)?;
            let (from, to) = (path_of(bucket, key)?, path_of(bucket, to_key)?);
            let copied = self.block_on(store.data.copy(&from, &to));
            return copied.map_err(|error| self.failure("copy", bucket, key, &error));
        }
        let temp = durable::temp_in(&std::env::temp_dir())?;
        self.download(bucket, key, &object.version, object.size, temp.as_file())?;
        self.upload(temp.path(), to_bucket, to_key)
    }

    fn list_failure(&self, bucket: &str, prefix: &str, error: &Error) -> ObjectsError {
        if let Error::InvalidPath { source } = error {
            let message = format!(
                "list `s3://{bucket}/{prefix}`: a key in it can't be a file's name: {source}"
            );
            return ObjectsError::invalid(message);
        }
        self.failure("list", bucket, prefix, error)
    }
}

impl RemoteFile {
    fn new(meta: ObjectMeta) -> Self {
        let changed = meta.last_modified.timestamp_millis();
        let version = meta.e_tag.unwrap_or_else(|| format!("{}-{changed}", meta.size));
        Self { key: meta.location.into(), size: meta.size, version }
    }
}

/// The key as the store's client wants it.
pub(super) fn path_of(bucket: &str, key: &str) -> Result<Path, ObjectsError> {
    Path::parse(key).map_err(|_| {
        ObjectsError::invalid(format!(
            "use the key of `s3://{bucket}/{}`: it has an empty component, `.`, `..` or a control \
             character",
            key.escape_debug()
        ))
    })
}
