//! Objects to files and back, in parts, with memory that does not grow with the object.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt, path::Path, sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload,
    path::Path as Key,
};
use tokio::task::JoinSet;

use super::{
    operations::path_of,
    remote::{Bucket, Remote},
};
use crate::error::{ObjectsError, ObjectsErrorKind};

/// Bytes of a part.
const PART: u64 = 8 << 20;
/// Parts of one object that are under way at once.
const PARTS_AT_ONCE: usize = 4;
/// Parts that an upload may have.
const MOST_PARTS: u64 = 10_000;
/// How often a part is asked for again without a single byte having come.
const FRUITLESS_TRIES: u32 = 3;

/// An object to download, as it was listed.
struct Download<'a> {
    bucket: &'a Bucket,
    key: &'a str,
    path: Key,
    etag: Option<&'a str>,
    size: u64,
    file: &'a File,
}

/// Why a part did not arrive.
enum PartFailure {
    Store(Error),
    Disk(io::Error),
    Changed,
}

impl Remote {
    /// Writes the object `key`, whose version and size were listed, to `file`.
    pub(crate) fn download(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
        size: u64,
        file: &File,
    ) -> Result<(), ObjectsError> {
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, key)?;
        // A weak etag (`W/"…"`) matches nothing.
        let etag = version.starts_with('"').then_some(version);
        let download = Download { bucket: &store, key, path, etag, size, file };
        let parts = stream::iter(parts_of(size, PART)).map(|range| download.part(range));
        let done = self.block_on(parts.buffer_unordered(PARTS_AT_ONCE).try_collect::<()>());
        done.map_err(|failure| self.part_failure(&download, failure))
    }

    fn part_failure(&self, download: &Download<'_>, failure: PartFailure) -> ObjectsError {
        let (bucket, key) = (&download.bucket.name, download.key);
        match failure {
            PartFailure::Store(error) => self.failure("download", bucket, key, &error),
            PartFailure::Disk(error) => {
                let what = format!("s3://{bucket}/{key}");
                ObjectsError::io("write the download of", Path::new(&what), error)
            }
            PartFailure::Changed => {
                let message = format!(
                    "download `s3://{bucket}/{key}`: it changed after the inputs were listed"
                );
                ObjectsError::changed(message).with_hint("run again when nothing writes to it")
            }
        }
    }

    /// Makes the object `key` of the content of `local`. It appears whole or not at all.
    pub(crate) fn upload(&self, local: &Path, bucket: &str, key: &str) -> Result<(), ObjectsError> {
        let file = File::open(local).map_err(|source| ObjectsError::io("read", local, source))?;
        self.upload_file((&file, local), bucket, key)
    }

    /// Likewise, of a file that is open; `local` is what errors call it.
    pub(crate) fn upload_file(
        &self,
        (file, local): (&File, &Path),
        bucket: &str,
        key: &str,
    ) -> Result<(), ObjectsError> {
        let store = self.bucket(bucket)?;
        let path = path_of(bucket, key)?;
        let about = file.metadata().map_err(|source| ObjectsError::io("read", local, source))?;
        let size = about.len();
        let failed = |failure| match failure {
            PartFailure::Store(error) => self.failure("upload to", bucket, key, &error),
            PartFailure::Disk(error) => ObjectsError::io("read", local, error),
            PartFailure::Changed => {
                let message = format!("upload `{}`: it is still being written", local.display());
                ObjectsError::new(ObjectsErrorKind::Io, message)
            }
        };
        self.block_on(async {
            if size <= PART {
                return self.upload_at_once(&store, &path, file, size).await;
            }
            let mut upload = store.data.put_multipart(&path).await.map_err(PartFailure::Store)?;
            let done = self.upload_parts(&mut *upload, file, size).await;
            if done.is_err() {
                // The failure that matters is the upload's; parts that stay behind are invisible
                // and go by the bucket's lifecycle rule.
                let _ = tokio::time::timeout(Duration::from_secs(10), upload.abort()).await;
            }
            done
        })
        .map_err(failed)
    }

    async fn upload_at_once(
        &self,
        store: &Bucket,
        path: &Key,
        file: &File,
        size: u64,
    ) -> Result<(), PartFailure> {
        let _buffer = self.buffers.acquire().await.expect("the semaphore is never closed");
        let payload = read_part(file, 0..size)?;
        store.data.put(path, payload).await.map(drop).map_err(PartFailure::Store)
    }

    async fn upload_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        file: &File,
        size: u64,
    ) -> Result<(), PartFailure> {
        // Parts are tasks of their own, so that they go on while this waits for a buffer.
        let mut under_way: JoinSet<Result<(), Error>> = JoinSet::new();
        for range in parts_of(size, part_size(size)) {
            while under_way.len() >= PARTS_AT_ONCE {
                join_part(&mut under_way).await?;
            }
            let buffer = Arc::clone(&self.buffers).acquire_owned().await;
            let buffer = buffer.expect("the semaphore is never closed");
            let part = upload.put_part(read_part(file, range)?);
            under_way.spawn(async move {
                let _held = buffer;
                part.await
            });
        }
        while !under_way.is_empty() {
            join_part(&mut under_way).await?;
        }
        upload.complete().await.map(drop).map_err(PartFailure::Store)
    }
}

async fn join_part(under_way: &mut JoinSet<Result<(), Error>>) -> Result<(), PartFailure> {
    match under_way.join_next().await {
        Some(Ok(done)) => done.map_err(PartFailure::Store),
        Some(Err(error)) => Err(PartFailure::Disk(io::Error::other(error))),
        None => Ok(()),
    }
}

impl Download<'_> {
    /// Fetches one part. The client below tries failed requests again; this goes on where a body
    /// broke off, as long as bytes keep coming.
    async fn part(&self, range: Range<u64>) -> Result<(), PartFailure> {
        let mut at = range.start;
        let mut fruitless = 0;
        while at < range.end {
            let before = at;
            match self.stream(&mut at, range.end).await {
                Ok(()) => {}
                Err(PartFailure::Store(error))
                    if is_passing(&error) && fruitless < FRUITLESS_TRIES =>
                {
                    fruitless = if at > before { 0 } else { fruitless + 1 };
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Writes the bytes from `at` to `end`; `at` follows what was written.
    async fn stream(&self, at: &mut u64, end: u64) -> Result<(), PartFailure> {
        let mut options =
            GetOptions { if_match: self.etag.map(str::to_owned), ..GetOptions::default() };
        if *at > 0 || end < self.size {
            options.range = Some(GetRange::Bounded(*at..end));
        }
        let answer =
            self.bucket.data.get_opts(&self.path, options).await.map_err(PartFailure::Store)?;
        let same = self.etag.is_none() || answer.meta.e_tag.as_deref() == self.etag;
        if !same || answer.meta.size != self.size {
            return Err(PartFailure::Changed);
        }
        let mut body = answer.into_stream();
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(PartFailure::Store)?;
            self.file.write_all_at(&bytes, *at).map_err(PartFailure::Disk)?;
            *at += bytes.len() as u64;
        }
        if *at == end {
            return Ok(());
        }
        let source = "the body ended too early".into();
        Err(PartFailure::Store(Error::Generic { store: "S3", source }))
    }
}

/// Whether the same request may yet succeed.
fn is_passing(error: &Error) -> bool {
    matches!(error, Error::Generic { .. })
}

fn read_part(file: &File, range: Range<u64>) -> Result<PutPayload, PartFailure> {
    let mut part = vec![0; (range.end - range.start) as usize];
    match file.read_exact_at(&mut part, range.start) {
        Ok(()) => Ok(part.into()),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(PartFailure::Changed),
        Err(error) => Err(PartFailure::Disk(error)),
    }
}

/// Bytes of a part of an upload: such that there are not too many.
fn part_size(size: u64) -> u64 {
    PART.max(size.div_ceil(MOST_PARTS).next_multiple_of(1 << 20))
}

/// Consecutive ranges of `part` bytes that cover `size`.
fn parts_of(size: u64, part: u64) -> impl Iterator<Item = Range<u64>> {
    (0..size.div_ceil(part)).map(move |index| index * part..size.min((index + 1) * part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_cover_the_whole() {
        assert_eq!(parts_of(0, 8).count(), 0);
        assert_eq!(parts_of(17, 8).collect::<Vec<_>>(), [0..8, 8..16, 16..17]);
        assert_eq!(parts_of(16, 8).collect::<Vec<_>>(), [0..8, 8..16]);
    }

    #[test]
    fn an_upload_never_has_too_many_parts() {
        for size in [PART + 1, 80 << 30, 5 << 40] {
            assert!(size.div_ceil(part_size(size)) <= MOST_PARTS);
        }
        assert_eq!(part_size(1 << 30), PART);
    }
}
