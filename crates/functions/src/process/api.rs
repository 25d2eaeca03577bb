//! The runtime API (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>): what a runtime
//! client asks for its next invocation, and tells how the last one went.
//!
//! One server on a loopback port is there for all processes. Sandboxes share this machine's
//! network, so that a port is no secret: each process knows the server by a name of its own, which only
//! its `/etc/hosts` has, and says it with every request.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rand::RngExt;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

/// Bytes of an answer at most.
pub(crate) const LARGEST_ANSWER: usize = 6_291_556;
const VERSION: &str = "/2018-06-01/runtime/";

/// The server.
#[derive(Debug, Clone)]
pub(crate) struct RuntimeApi {
    port: u16,
    sessions: Sessions,
}

type Sessions = Arc<Mutex<HashMap<String, mpsc::UnboundedSender<Said>>>>;

/// A process's end of it. No process is listened to any more when this is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    /// The name by which the process knows the server.
    pub(crate) name: String,
    /// `name:port`.
    pub(crate) address: String,
    said: mpsc::UnboundedReceiver<Said>,
    sessions: Sessions,
}

/// What a runtime client says.
#[derive(Debug)]
pub(crate) enum Said {
    /// It is ready for an invocation.
    Next(oneshot::Sender<Work>),
    /// An invocation's answer.
    Answer(String, Bytes),
    /// An invocation failed.
    Failure(String, Bytes),
    /// An invocation's answer has this many bytes, which are too many.
    TooLarge(String, u64),
    /// The handler can't be loaded.
    InitFailure(Bytes),
}

/// An invocation for a process.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) request_id: String,
    pub(crate) payload: Bytes,
    /// When it has to be done, in milliseconds since 1970.
    pub(crate) deadline_millis: u64,
    pub(crate) invoked_arn: String,
    /// As JSON.
    pub(crate) client_context: Option<String>,
}

impl RuntimeApi {
    /// Starts the server.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let port = listener.local_addr()?.port();
        let sessions = Sessions::default();
        tokio::spawn(accept(listener, Arc::clone(&sessions)));
        Ok(Self { port, sessions })
    }

    /// Makes a session for a process.
    pub(crate) fn open(&self) -> Session {
        let bits: u128 = rand::rng().random();
        let name = format!("r{bits:032x}");
        let (tell, said) = mpsc::unbounded_channel();
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(name.clone(), tell);
        let address = format!("{name}:{}", self.port);
        Session { name, address, said, sessions: Arc::clone(&self.sessions) }
    }
}

impl Session {
    /// What the process says next.
    pub(crate) async fn said(&mut self) -> Said {
        match self.said.recv().await {
            Some(said) => said,
            // The sender is in the map as long as we are.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&self.name);
    }
}

async fn accept(listener: TcpListener, sessions: Sessions) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&sessions)));
            }
            Err(error) => {
                tracing::warn!(%error, "a function's process can't reach the server");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, sessions: Sessions) {
    let _ = stream.set_nodelay(true); // else it is slower, no more
    let service = service_fn(|request| {
        let sessions = Arc::clone(&sessions);
        async move { Ok::<_, Infallible>(answer(request, &sessions).await) }
    });
    // Who breaks off has ended, which is seen elsewhere.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, sessions: &Sessions) -> Response<Full<Bytes>> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let name = host.and_then(|host| host.split(':').next()).unwrap_or_default();
    let session = {
        let sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get(name).cloned()
    };
    let Some(session) = session else {
        return refusal(StatusCode::FORBIDDEN, "there is no such process");
    };
    let path = request.uri().path().strip_prefix(VERSION).unwrap_or_default().to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["invocation", "next"]) => next(&session).await,
        (&Method::POST, ["invocation", id, "response"]) => {
            respond(&session, (*id).to_owned(), request.into_body(), false).await
        }
        (&Method::POST, ["invocation", id, "error"]) => {
            respond(&session, (*id).to_owned(), request.into_body(), true).await
        }
        (&Method::POST, ["init", "error"]) => match read(request.into_body()).await {
            Ok(body) => accepted(&session, Said::InitFailure(body)),
            Err(_) => refusal(StatusCode::PAYLOAD_TOO_LARGE, "the error is too large"),
        },
        _ => refusal(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

/// Waits for an invocation, however long.
async fn next(session: &mpsc::UnboundedSender<Said>) -> Response<Full<Bytes>> {
    let (give, given) = oneshot::channel();
    if session.send(Said::Next(give)).is_err() {
        return refusal(StatusCode::GONE, "the process is not used any more");
    }
    let Ok(work) = given.await else {
        return refusal(StatusCode::GONE, "the process is not used any more");
    };
    let mut response = Response::builder()
        .header(header::CONTENT_TYPE, "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &work.request_id)
        .header("Lambda-Runtime-Deadline-Ms", work.deadline_millis)
        .header("Lambda-Runtime-Invoked-Function-Arn", &work.invoked_arn);
    if let Some(context) = &work.client_context {
        response = response.header("Lambda-Runtime-Client-Context", context);
    }
    let response = response.body(Full::new(work.payload));
    response.unwrap_or_else(|_| refusal(StatusCode::BAD_REQUEST, "the client context is malformed"))
}

async fn respond(
    session: &mpsc::UnboundedSender<Said>,
    id: String,
    body: Incoming,
    is_failure: bool,
) -> Response<Full<Bytes>> {
    let announced = hyper::body::Body::size_hint(&body).lower();
    match read(body).await {
        Ok(body) if is_failure => accepted(session, Said::Failure(id, body)),
        Ok(body) => accepted(session, Said::Answer(id, body)),
        Err(is_large) => {
            if is_large {
                let _ = session.send(Said::TooLarge(id, announced));
            }
            refusal(StatusCode::PAYLOAD_TOO_LARGE, "the answer is too large")
        }
    }
}

/// All of a body. The error says whether it is too large.
async fn read(body: Incoming) -> Result<Bytes, bool> {
    match Limited::new(body, LARGEST_ANSWER).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(error.is::<LengthLimitError>()),
    }
}

fn accepted(session: &mpsc::UnboundedSender<Said>, said: Said) -> Response<Full<Bytes>> {
    if session.send(said).is_err() {
        return refusal(StatusCode::GONE, "the process is not used any more");
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"{\"status\":\"OK\"}")));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

fn refusal(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "errorType": "InvalidRequest", "errorMessage": why });
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
}
