//! A body that is sent as it is read: nobody knows its length, so HTTP sends it in chunks.

use std::{
    io::{self, Read},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::{
    runtime::Runtime,
    sync::mpsc::{Receiver, Sender, channel},
};

/// Bytes of a chunk.
const CHUNK: usize = 128 << 10;
/// Chunks that are read and not sent yet.
const AHEAD: usize = 2;

/// Why a body could not be read to its end; empty if it could.
pub(super) type Unread = Arc<OnceLock<String>>;

/// The bytes of `input`, which are read while they are sent.
pub(super) fn body(runtime: &Runtime, input: Box<dyn Read + Send>) -> (reqwest::Body, Unread) {
    let (sender, receiver) = channel(AHEAD);
    let unread = Unread::default();
    let noted = Arc::clone(&unread);
    runtime.spawn_blocking(move || {
        if let Err(error) = read(input, &sender) {
            // Set before the connection breaks for it.
            let _ = noted.set(error.to_string());
            let _ = sender.blocking_send(Err(error));
        }
    });
    (reqwest::Body::wrap(Chunks(receiver)), unread)
}

/// Reads to the end, or until nobody sends any more.
fn read(mut input: Box<dyn Read + Send>, sender: &Sender<io::Result<Bytes>>) -> io::Result<()> {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut input).take(CHUNK as u64).read_to_end(&mut chunk)?;
        if chunk.is_empty() || sender.blocking_send(Ok(chunk.into())).is_err() {
            return Ok(());
        }
    }
}

struct Chunks(Receiver<io::Result<Bytes>>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.0.poll_recv(context).map(|next| next.map(|chunk| chunk.map(Frame::data)))
    }
}
