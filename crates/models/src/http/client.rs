//! Requests over HTTP with a hard limit on their time and on the answer's size.

use std::{
    error::Error,
    future::Future,
    io::{Read, Write},
    net::IpAddr,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use reqwest::{
    Response, StatusCode,
    header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use tokio::runtime::{Builder, Runtime};
use url::{Host, Url};

use super::chunks;

/// Bytes of an error's body that are read; the rest helps nobody.
const ERROR_BODY: usize = 64 << 10;
/// A connection idle for longer is not used again. It is shorter than the keep-alive of the usual
/// servers (gunicorn 2 s, uvicorn and Node 5 s), so that they seldom close one as we send.
const IDLE: Duration = Duration::from_millis(1500);

/// An HTTP client with the runtime that drives it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// `None` only while the client is dropped.
    runtime: Option<Runtime>,
    /// Bytes of an answer, at most.
    answer_limit: usize,
}

/// What a server answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// A header's text, if it is there and is text.
    pub(super) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendError {
    /// No connection was made, so nothing was sent.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke before the answer was whole.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// What came is no HTTP, or is not encoded as it says.
    #[error("the answer is malformed: {0}")]
    Malformed(String),
    /// The time was up.
    #[error("no whole answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The bytes to be sent can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// The answer can't be kept.
    #[error("write the answer: {0}")]
    Unwritten(String),
    /// The answer is larger than the limit.
    #[error("the answer is larger than {limit} bytes")]
    TooLong { limit: usize },
}

/// A client that could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Runtime(#[from] std::io::Error),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

impl Client {
    /// A client for the server at `url`, `None` for copies of a command. A loopback server is
    /// reached without a proxy and not asked to compress; the system's certificates are only read
    /// for `https`.
    pub(super) fn new(url: Option<&Url>, answer_limit: usize) -> Result<Self, ClientError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(std::thread::available_parallelism().map_or(1, |n| n.get().min(2)))
            .thread_name("http-model")
            .enable_all()
            .build()?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("bessemer/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .tls_built_in_root_certs(url.is_some_and(|url| url.scheme() == "https"))
            .pool_idle_timeout(IDLE);
        if url.is_none_or(is_loopback) {
            let identity = HeaderValue::from_static("identity");
            builder = builder
                .no_proxy()
                .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, identity)]));
        }
        Ok(Self { http: builder.build()?, runtime: Some(runtime), answer_limit })
    }

    /// `POST url`. Blocks until the answer is whole or `timeout` is over.
    pub(super) fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Reply, SendError> {
        let request = self.http.post(url.clone()).headers(headers).body(body);
        self.run(request, timeout)
    }

    /// `POST url` with the bytes of `input` in chunks, as they are read. A successful answer goes to
    /// `output` as it comes, whatever its size. Blocks until it is whole or `timeout` is over.
    pub(super) fn stream(
        &self,
        url: &Url,
        headers: HeaderMap,
        (input, output): (Box<dyn Read + Send>, &mut dyn Write),
        timeout: Duration,
    ) -> Result<Reply, SendError> {
        let (body, unread) = chunks::body(self.runtime(), input);
        let request = self.http.post(url.clone()).headers(headers).body(body);
        let exchange = async {
            let mut response = request.send().await.map_err(|error| send_error(&error))?;
            if !response.status().is_success() {
                return read(response, ERROR_BODY).await;
            }
            let (status, headers) = (response.status(), response.headers().clone());
            while let Some(chunk) = response.chunk().await.map_err(|error| send_error(&error))? {
                let written = output.write_all(&chunk);
                written.map_err(|error| SendError::Unwritten(error.to_string()))?;
            }
            Ok(Reply { status, headers, body: Bytes::new() })
        };
        let done = self.timed(exchange, timeout);
        // What the server makes of half a request is of no use.
        match unread.get() {
            Some(cause) => Err(SendError::Unreadable(cause.clone())),
            None => done,
        }
    }

    /// `GET url`. Blocks until the answer is whole or `timeout` is over.
    pub(super) fn get(&self, url: &Url, timeout: Duration) -> Result<Reply, SendError> {
        self.run(self.http.get(url.clone()), timeout)
    }

    fn run(&self, request: reqwest::RequestBuilder, timeout: Duration) -> Result<Reply, SendError> {
        let exchange = async {
            let response = request.send().await.map_err(|error| send_error(&error))?;
            read(response, self.answer_limit).await
        };
        self.timed(exchange, timeout)
    }

    fn timed(
        &self,
        exchange: impl Future<Output = Result<Reply, SendError>>,
        timeout: Duration,
    ) -> Result<Reply, SendError> {
        self.runtime().block_on(async {
            let limited = tokio::time::timeout(timeout, exchange).await;
            limited.unwrap_or(Err(SendError::Timeout(timeout)))
        })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("the runtime is there until drop")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Whether `url` names this machine itself.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

/// `url` for messages: without a password.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for addresses that can't have one.
    let _ = url.set_password(None);
    url.into()
}

/// Reads the body, `limit` bytes at most; of an error no more than [`ERROR_BODY`].
async fn read(mut response: Response, limit: usize) -> Result<Reply, SendError> {
    let status = response.status();
    let headers = response.headers().clone();
    let success = status.is_success();
    let limit = if success { limit } else { limit.min(ERROR_BODY) };
    if success && response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(SendError::TooLong { limit });
    }
    let mut whole = BytesMut::new();
    let mut first = Bytes::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| send_error(&error))? {
        if whole.is_empty() && first.is_empty() {
            first = chunk;
        } else {
            if whole.is_empty() {
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
        if whole.len().max(first.len()) > limit {
            if success {
                return Err(SendError::TooLong { limit });
            }
            break;
        }
    }
    let body = if whole.is_empty() { first } else { whole.freeze() };
    Ok(Reply { status, headers, body })
}

fn send_error(error: &reqwest::Error) -> SendError {
    let cause = deepest_cause(error);
    if error.is_connect() {
        return SendError::Connect(cause);
    }
    let hyper = sources(error).find_map(|source| source.downcast_ref::<hyper::Error>());
    if error.is_decode() && hyper.is_none() || hyper.is_some_and(hyper::Error::is_parse) {
        return SendError::Malformed(cause);
    }
    SendError::Broken(cause)
}

fn sources(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let mut next = error.source();
    std::iter::from_fn(move || {
        let source = next?;
        next = source.source();
        Some(source)
    })
}

/// The innermost cause's text: the only part that says what happened.
fn deepest_cause(error: &reqwest::Error) -> String {
    sources(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_by_name_and_address() {
        for url in
            ["http://localhost:1", "http://127.8.9.1/x", "http://[::1]:80", "https://a.localhost"]
        {
            assert!(is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
        for url in ["http://example.com", "http://10.0.0.1", "http://localhost.example.com"] {
            assert!(!is_loopback(&Url::parse(url).unwrap()), "{url}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = Url::parse("https://me:secret@example.com/x").unwrap();
        assert_eq!(shown(&url), "https://me@example.com/x");
    }
}
