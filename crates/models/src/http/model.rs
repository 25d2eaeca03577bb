//! The model behind a server: opened once, called from many threads.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow::datatypes::Field;
use bessemer_domain::{ByteSize, RejectClass};
use bessemer_transform::{
    model::{Answer, CallError, CallErrorKind, Copies, Limits, Model, Wants},
    payload::OpenPayload,
    records::Records,
};
use bytes::Bytes;
use reqwest::header::HeaderMap;
use url::Url;

use super::{
    BatchStrategy, ContentType, HttpOptions, OpenError, Target,
    answer::AnswerReader,
    body,
    client::{Client, Reply, SendError, shown},
    failure,
    open::{call_headers, invocations, payload_headers, reach, serve},
    parameters::Settings,
    serve::{Aftermath, Lease, NoCopy, Pool},
};

/// Bytes of an answer, at most, and at least where memory is scarce.
const ANSWER: (u64, u64) = (256 << 20, 16 << 20);
/// Calls at once to begin with, unless copies are fixed or only one fits.
const START: usize = 2;
/// How often a call that never got through to a dying copy is handed to another one.
const HANDOVERS: usize = 20;

/// A model behind a server that speaks the SageMaker container contract.
#[derive(Debug)]
pub struct HttpModel {
    server: Server,
    client: Arc<Client>,
    content_type: ContentType,
    headers: HeaderMap,
    gzip_bodies: bool,
    timeout: Duration,
    settings: Settings,
    limits: Limits,
    reader: AnswerReader,
    /// Whether any call was answered so far.
    answered: AtomicBool,
}

#[derive(Debug)]
enum Server {
    Endpoint { invocations: Url },
    Copies(Pool),
}

/// Makes a request.
type Post<'r> = dyn FnMut(&Url) -> Result<Reply, SendError> + 'r;

impl HttpModel {
    /// Reaches or starts the server, and returns once it is ready for calls. Of a command, the first
    /// copy is ready then; the others join while calls are made.
    pub fn open(options: &HttpOptions) -> Result<Self, OpenError> {
        let headers = call_headers(options)?;
        let endpoint = match &options.target {
            Target::Endpoint(url) => Some(url),
            Target::Serve { .. } => None,
        };
        let limit = options.memory.map_or(ANSWER.0, |all| (all / 4).clamp(ANSWER.1, ANSWER.0));
        let client = Arc::new(Client::new(endpoint, limit as usize)?);
        let (server, asked, copies) = match &options.target {
            Target::Endpoint(url) => {
                let asked = reach(&client, url, options.ping_timeout)?;
                (Server::Endpoint { invocations: invocations(url) }, asked, None)
            }
            Target::Serve { command } => {
                let (pool, asked, copies) = serve(&client, command, options)?;
                (Server::Copies(pool), asked, Some(copies))
            }
        };
        let settings = Settings::resolve(options, asked, copies.unwrap_or(1));
        let start = match copies {
            Some(copies) if options.copies.is_some() => copies,
            Some(most) => most.min(START),
            None => START,
        };
        let accepts = options.accept.as_deref().and_then(ContentType::of_media_type);
        let default_accept = ContentType::of_media_type(options.content_type.default_accept());
        let accepts = accepts.or(default_accept).unwrap_or(ContentType::JsonLines);
        Ok(Self {
            server,
            client,
            content_type: options.content_type,
            headers,
            gzip_bodies: options.gzip_bodies,
            timeout: options.timeout,
            settings,
            limits: settings.limits(start),
            reader: AnswerReader::new(accepts, settings.batch_strategy),
            answered: AtomicBool::new(false),
        })
    }

    /// The same for payloads of any kind.
    pub(super) fn of_payloads(
        options: &HttpOptions,
        content_type: Option<&str>,
    ) -> Result<Self, OpenError> {
        let mut model = Self::open(options)?;
        model.headers = payload_headers(content_type, options.accept.as_deref())?;
        Ok(model)
    }

    /// What holds for the run.
    pub(super) fn settings(&self) -> Settings {
        self.settings
    }

    /// Whether a request holds one record or several.
    #[must_use]
    pub fn batch_strategy(&self) -> BatchStrategy {
        self.settings.batch_strategy
    }

    fn body(&self, records: &Records) -> Result<Bytes, CallError> {
        let body = body::encode(records, self.content_type, self.settings.batch_strategy)?;
        match self.settings.max_payload {
            Some(most) if body.len() as u64 > most => Err(CallError {
                kind: CallErrorKind::TooLarge,
                class: RejectClass::TooLarge,
                message: format!(
                    "the payload of {} bytes is over the limit of {} ({most} bytes)",
                    body.len(),
                    ByteSize(most),
                ),
            }),
            _ if self.gzip_bodies => Ok(body::gzip(&body)),
            _ => Ok(body),
        }
    }

    /// What the server answers to `body`. `answered`: whether it has answered before.
    pub(super) fn send(&self, body: &Bytes, answered: bool) -> Result<Reply, CallError> {
        let mut post =
            |url: &Url| self.client.post(url, self.headers.clone(), body.clone(), self.timeout);
        self.exchange(&mut post, answered)
    }

    /// Sends `payload` as it is read, and writes what the server answers as it comes.
    pub(super) fn stream(
        &self,
        payload: &OpenPayload<'_>,
        answer: &mut dyn Write,
    ) -> Result<(), CallError> {
        let mut post = |url: &Url| {
            let input = payload().map_err(|error| SendError::Unreadable(error.to_string()))?;
            self.client.stream(url, self.headers.clone(), (input, &mut *answer), self.timeout)
        };
        self.exchange(&mut post, true).map(drop)
    }

    fn exchange(&self, post: &mut Post<'_>, answered: bool) -> Result<Reply, CallError> {
        let reply = match &self.server {
            Server::Endpoint { invocations } => post(invocations)
                .map_err(|error| failure::of_send_error(&error, &shown(invocations)))?,
            Server::Copies(pool) => Self::post_to_copy(pool, post)?,
        };
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(failure::of_status(&reply, answered))
    }

    /// Sends a request to the least busy copy. If that one is gone before anything was sent, the
    /// records are not to blame, so another copy gets them.
    fn post_to_copy(pool: &Pool, post: &mut Post<'_>) -> Result<Reply, CallError> {
        let mut handovers = 0;
        loop {
            let lease = pool.lease().map_err(|error| no_copy(&error))?;
            let error = match post(lease.url()) {
                Ok(reply) => {
                    lease.answered();
                    return Ok(reply);
                }
                Err(error) => error,
            };
            let aftermath = lease.aftermath(&error);
            let unsent = matches!(error, SendError::Connect(_));
            let ended = matches!(aftermath, Aftermath::Ended { .. });
            if !unsent || !ended || handovers == HANDOVERS {
                return Err(copy_failure(&error, aftermath, &lease));
            }
            handovers += 1;
        }
    }
}

impl Model for HttpModel {
    fn copies(&self) -> Option<Copies> {
        match &self.server {
            Server::Endpoint { .. } => None,
            Server::Copies(pool) => Some(pool.copies()),
        }
    }

    fn wants(&self) -> Wants {
        self.content_type.wants()
    }

    fn outputs(&self) -> Option<Vec<Field>> {
        None
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn call(&self, records: &Records) -> Result<Answer, CallError> {
        let body = self.body(records)?;
        let reply = self.send(&body, self.answered.load(Ordering::Relaxed))?;
        self.answered.store(true, Ordering::Relaxed);
        self.reader.read(&reply, records.len())
    }
}

fn no_copy(error: &NoCopy) -> CallError {
    CallError {
        kind: CallErrorKind::Unreachable,
        class: RejectClass::WorkerDied,
        message: error.to_string().replace("\n  ", " | "),
    }
}

/// The failure of a call to a copy, with what became of the copy.
fn copy_failure(error: &SendError, aftermath: Aftermath, lease: &Lease<'_>) -> CallError {
    let mut failure = failure::of_send_error(error, &shown(lease.url()));
    if failure.kind == CallErrorKind::Unreachable {
        failure.kind = CallErrorKind::Transient; // the copy is ours: it comes back
    }
    match aftermath {
        Aftermath::Ended { exit, last_line } => {
            failure.class = RejectClass::WorkerDied;
            failure.message = with_last_line(format!("the server {exit}"), last_line);
        }
        Aftermath::Hung => {
            failure.message = format!("{error}; the server hung and was restarted");
        }
        Aftermath::Runs { last_line } => {
            failure.message = with_last_line(failure.message, last_line);
        }
    }
    failure
}

fn with_last_line(message: String, last_line: Option<String>) -> String {
    match last_line {
        Some(line) => format!("{message}; its output ends `{}`", failure::excerpt(&line)),
        None => message,
    }
}
