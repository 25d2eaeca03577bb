//! Connections: how many, how slow, and how they end.

use std::{convert::Infallible, io, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

use super::{ServerOptions, front::Front};

/// Bytes of a request's head at most, as servers of AWS take them.
const HEAD_LIMIT: usize = 64 * 1024;
/// Bytes that are read from a connection at once, at most. It begins with few, and takes more of those
/// that send much.
const READ_LIMIT: usize = 512 * 1024;
/// How long to wait when the system has no file left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until `shutdown` is true, then waits for those under way.
pub(super) async fn accept(
    listener: TcpListener,
    front: Arc<Front>,
    options: &ServerOptions,
    mut shutdown: watch::Receiver<bool>,
) {
    let room = Arc::new(Semaphore::new(options.connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = is_down(&mut shutdown) => break,
            Some(_) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                refused(&error).await;
                continue;
            }
        };
        let serve = serve(stream, Arc::clone(&front), options.header_timeout, shutdown.clone());
        connections.spawn(async move {
            serve.await;
            drop(permit);
        });
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.shutdown_grace, ended).await.is_err() {
        tracing::warn!(left = connections.len(), "requests under way are cut off");
    }
    connections.shutdown().await;
}

/// Returns when the server is to end.
async fn is_down(shutdown: &mut watch::Receiver<bool>) {
    // An error means that nobody can say so any more: then it is to end, too.
    let _ = shutdown.wait_for(|down| *down).await.is_ok();
}

/// A connection that could not be accepted: one that its client gave up is nothing, want of files is
/// waited out.
async fn refused(error: &io::Error) {
    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        tracing::warn!(%error, "a connection can't be accepted");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Answers the requests of a connection. They are one after the other: this is HTTP/1.1.
async fn serve(
    stream: TcpStream,
    front: Arc<Front>,
    header_timeout: Duration,
    mut shutdown: watch::Receiver<bool>,
) {
    // Answers are small and at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        async move { Ok::<_, Infallible>(front.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_header_size(HEAD_LIMIT)
        .max_buf_size(READ_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = is_down(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
