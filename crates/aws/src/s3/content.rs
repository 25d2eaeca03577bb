//! Content on its way in and out: streams on one side, files on the other, and never more than a
//! few blocks in memory.

use std::{fs::File, io, mem, os::unix::fs::FileExt, sync::Arc};

use bessemer_objects::buckets::{BucketError, Incoming};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::StatusCode;
use s3s::{S3Error, S3Result, StdError, dto::StreamingBlob, s3_error};
use tokio::task::JoinHandle;

use super::{
    checksum::{Claims, Digests, Received},
    error::{from_bucket, unnamed},
    front::{Front, blocking},
};

/// What is written, or read, at once.
const BLOCK: usize = 1 << 20;

/// What is on its way to the disk, at most, when the system is asked to write it there: so that the
/// end of a large object does not wait for all of it.
const UNWRITTEN: usize = 32 << 20;

impl Front {
    /// Takes `body` in, and compares it with what the client claims of it. A block is received, the
    /// one before it digested, written, and earlier ones put on disk, all at once.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        trailers: Option<s3s::TrailingHeaders>,
        mut claims: Claims,
    ) -> S3Result<(Incoming, Received)> {
        let begun = self.block(|buckets| {
            let incoming = buckets.receive()?;
            let file = incoming.content().try_clone();
            let file = file.map_err(|source| BucketError::Io { action: "begin an object", source });
            Ok((incoming, file?))
        });
        let (incoming, file) = begun.await?;
        let mut digesting = Lane::Idle(Box::new(claims.digests()));
        let mut writing = Lane::Idle(Box::new(incoming));
        let mut syncing = Lane::Idle(Box::new(file));
        let mut block = Vec::new();
        let (mut size, mut unwritten) = (0, 0);
        if let Some(mut body) = body {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(from_body)?;
                size += bytes.len();
                block.push(bytes);
                if size < BLOCK {
                    continue;
                }
                let full = Arc::new(mem::take(&mut block));
                let same = Arc::clone(&full);
                let digest = move |digests: &mut Digests| {
                    digest_all(digests, &same);
                    Ok(())
                };
                digesting = digesting.run(digest).await?;
                writing = writing.run(move |incoming| write_all(incoming, &full)).await?;
                unwritten += mem::take(&mut size);
                if unwritten >= UNWRITTEN && !syncing.is_busy() {
                    unwritten = 0;
                    syncing = syncing.run(|file| sync(file)).await?;
                }
            }
        }
        let (mut digests, mut incoming) = (digesting.finish().await?, writing.finish().await?);
        syncing.finish().await?;
        let (digests, incoming) = blocking(move || {
            digest_all(&mut digests, &block);
            write_all(&mut incoming, &block)?;
            Ok((digests, incoming))
        })
        .await?;
        if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
            claims.add_trailers(&trailers);
        }
        let received = digests.finish();
        claims.verify(&received)?;
        Ok((*incoming, received))
    }
}

/// Something that is worked on, one step at a time, away from the threads that serve connections.
enum Lane<T> {
    Idle(Box<T>),
    Busy(JoinHandle<Result<Box<T>, BucketError>>),
}

impl<T: Send + 'static> Lane<T> {
    /// Begins a step when the last one is done.
    async fn run(
        self,
        step: impl FnOnce(&mut T) -> Result<(), BucketError> + Send + 'static,
    ) -> S3Result<Self> {
        let mut what = self.finish().await?;
        Ok(Self::Busy(tokio::task::spawn_blocking(move || step(&mut what).map(|()| what))))
    }

    fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(step) if !step.is_finished())
    }

    async fn finish(self) -> S3Result<Box<T>> {
        match self {
            Self::Idle(what) => Ok(what),
            Self::Busy(step) => match step.await {
                Ok(what) => what.map_err(from_bucket),
                Err(error) => Err(s3_error!(error, InternalError)),
            },
        }
    }
}

fn digest_all(digests: &mut Digests, block: &[Bytes]) {
    for bytes in block {
        digests.update(bytes);
    }
}

fn write_all(incoming: &mut Incoming, block: &[Bytes]) -> Result<(), BucketError> {
    block.iter().try_for_each(|bytes| incoming.write(bytes))
}

/// Puts what is written so far on disk.
fn sync(file: &File) -> Result<(), BucketError> {
    file.sync_data().map_err(|source| BucketError::Io { action: "sync the object", source })
}

/// `length` bytes of `file` from `start` on.
pub(super) fn send(file: File, start: u64, length: u64) -> StreamingBlob {
    let file = Arc::new(file);
    let blocks = stream::unfold((start, length), move |(start, length)| {
        let file = Arc::clone(&file);
        async move {
            let size = usize::try_from(length).unwrap_or(BLOCK).min(BLOCK);
            if size == 0 {
                return None;
            }
            let read = tokio::task::spawn_blocking(move || {
                let mut block = vec![0; size];
                file.read_exact_at(&mut block, start).map(|()| Bytes::from(block))
            });
            let block = read.await.map_err(io::Error::other).flatten();
            let left = if block.is_ok() { length - size as u64 } else { 0 };
            Some((block, (start + size as u64, left)))
        }
    });
    StreamingBlob::wrap(blocks)
}

/// Reads `length` bytes of `file` from `start` on through `digests`.
pub(super) fn digest(
    file: &File,
    start: u64,
    length: u64,
    mut digests: Digests,
) -> io::Result<Received> {
    let mut block = vec![0; BLOCK];
    let mut offset = start;
    let end = start + length;
    while offset < end {
        let size = usize::try_from(end - offset).unwrap_or(BLOCK).min(BLOCK);
        file.read_exact_at(&mut block[..size], offset)?;
        digests.update(&block[..size]);
        offset += size as u64;
    }
    Ok(digests.finish())
}

/// The error for a body that ended early, or is not what was signed.
fn from_body(error: StdError) -> S3Error {
    // s3s keeps the types of these errors to itself.
    let text = error.to_string();
    let mut answer = if text.contains("Sha256Mismatch") {
        unnamed(
            "XAmzContentSHA256Mismatch",
            StatusCode::BAD_REQUEST,
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )
    } else if text.contains("SignatureMismatch") {
        s3_error!(SignatureDoesNotMatch)
    } else {
        s3_error!(
            IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        )
    };
    answer.set_source(error);
    answer
}
