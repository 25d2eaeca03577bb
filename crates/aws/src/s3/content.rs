//! Content on its way in and out: streams on one side, files on the other, and never more than a
//! few blocks in memory.

use std::{fs::File, io, mem, os::unix::fs::FileExt, sync::Arc};

use bessemer_objects::buckets::{BucketDir, BucketError, Incoming};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::StatusCode;
use s3s::{S3Error, S3Result, StdError, dto::StreamingBlob, s3_error};
use tokio::task::JoinHandle;

use super::{
    checksum::{Claims, Digests, Received},
    error::{from_bucket, unnamed},
    front::Front,
};

/// What is written, or read, at once.
const BLOCK: usize = 1 << 20;

type Written = Box<(Incoming, Digests)>;

impl Front {
    /// Takes `body` in, and compares it with what the client claims of it.
    pub(super) async fn receive(
        &self,
        body: Option<StreamingBlob>,
        trailers: Option<s3s::TrailingHeaders>,
        mut claims: Claims,
    ) -> S3Result<(Incoming, Received)> {
        let incoming = self.block(BucketDir::receive).await?;
        let mut writer = Writer::Idle(Box::new((incoming, claims.digests())));
        let mut block = Vec::new();
        let mut size = 0;
        if let Some(mut body) = body {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(from_body)?;
                size += bytes.len();
                block.push(bytes);
                if size >= BLOCK {
                    size = 0;
                    writer = writer.write(mem::take(&mut block)).await?;
                }
            }
        }
        let (incoming, digests) = *writer.write(block).await?.finish().await?;
        if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
            claims.add_trailers(&trailers);
        }
        let received = digests.finish();
        claims.verify(&received)?;
        Ok((incoming, received))
    }
}

/// Writes a block while the next one is received.
enum Writer {
    Idle(Written),
    Busy(JoinHandle<Result<Written, BucketError>>),
}

impl Writer {
    async fn write(self, block: Vec<Bytes>) -> S3Result<Self> {
        let mut written = self.finish().await?;
        Ok(Self::Busy(tokio::task::spawn_blocking(move || {
            let (incoming, digests) = &mut *written;
            for bytes in block {
                digests.update(&bytes);
                incoming.write(&bytes)?;
            }
            Ok(written)
        })))
    }

    async fn finish(self) -> S3Result<Written> {
        match self {
            Self::Idle(written) => Ok(written),
            Self::Busy(task) => match task.await {
                Ok(written) => written.map_err(from_bucket),
                Err(error) => Err(s3_error!(error, InternalError)),
            },
        }
    }
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
