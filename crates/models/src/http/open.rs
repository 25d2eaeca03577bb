//! Reaches a server, or starts it, before the first call.

use std::{
    fs::{File, OpenOptions},
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bessemer_domain::ExitCode;
use reqwest::{
    StatusCode,
    header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use url::Url;

use super::{
    BatchStrategy, HttpOptions, ServerLog,
    client::{Client, ClientError, SendError, shown},
    failure,
    parameters::ExecutionParameters,
    serve::{Command, PING, Pool, StartError, at, copies_that_fit},
};

/// How long a server that refuses connections is asked again before the run gives up on it.
const REFUSED: Duration = Duration::from_secs(5);
/// The pause between two such questions.
const PAUSE: Duration = Duration::from_millis(100);

/// A model server that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A content type that can't stand in a header.
    #[error("send the content type `{0}` in a header")]
    Header(String),
    /// The log file can't be written.
    #[error("open the log file `{}`", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No connection to the endpoint.
    #[error("reach the model server at `{url}`: {cause}")]
    Unreachable {
        /// Its `/ping`.
        url: String,
        /// Why not.
        cause: String,
    },
    /// The endpoint is there but says that it is not ready.
    #[error("find the model server at `{url}` ready within {} s: it says {last}", .waited.as_secs_f64())]
    NotReady {
        /// Its `/ping`.
        url: String,
        /// How long it was asked.
        waited: Duration,
        /// Its last answer.
        last: String,
    },
    /// The command does not become a server.
    #[error("start `{command}`: {cause}")]
    Start {
        /// The command.
        command: String,
        /// Why not, with the end of its output (in lines of their own).
        cause: String,
    },
    /// The HTTP client could not be made.
    #[error("make an HTTP client: {0}")]
    Client(String),
}

impl OpenError {
    /// What the process tells the script that started it.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Header(_) => ExitCode::Usage,
            Self::Log { .. } | Self::Start { .. } => ExitCode::Configuration,
            Self::Unreachable { .. } | Self::NotReady { .. } => ExitCode::Unreachable,
            Self::Client(_) => ExitCode::Internal,
        }
    }
}

impl From<ClientError> for OpenError {
    fn from(error: ClientError) -> Self {
        Self::Client(error.to_string())
    }
}

/// What every call's header says.
pub(super) fn call_headers(options: &HttpOptions) -> Result<HeaderMap, OpenError> {
    let accept = options.accept.as_deref().unwrap_or(options.content_type.default_accept());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(options.content_type.header()));
    headers.insert(ACCEPT, value(accept)?);
    if options.gzip_bodies {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(headers)
}

/// What the header says of a call with a payload of any kind.
pub(super) fn payload_headers(
    content_type: Option<&str>,
    accept: Option<&str>,
) -> Result<HeaderMap, OpenError> {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, value(content_type)?);
    }
    headers.insert(ACCEPT, value(accept.unwrap_or("*/*"))?);
    Ok(headers)
}

fn value(text: &str) -> Result<HeaderValue, OpenError> {
    HeaderValue::from_str(text).map_err(|_| OpenError::Header(text.to_owned()))
}

/// Where calls to an endpoint go: a path is taken as it is, `/` and folders get `invocations`.
pub(super) fn invocations(url: &Url) -> Url {
    let path = url.path();
    if path.ends_with('/') { at(url, &format!("{path}invocations")) } else { url.clone() }
}

/// An address beside the endpoint's `/invocations`; at the root if the path has another end.
fn beside(url: &Url, name: &str) -> Url {
    let path = invocations(url).path().to_owned();
    let folder = path.strip_suffix("invocations").filter(|folder| folder.ends_with('/'));
    let mut url = at(url, &format!("{}{name}", folder.unwrap_or("/")));
    url.set_query(None);
    url
}

/// Waits until an endpoint takes connections and calls itself ready. One that knows no `/ping` is
/// taken for ready: only the contract's own containers must have it.
pub(super) fn reach(
    client: &Client,
    url: &Url,
    patience: Duration,
) -> Result<ExecutionParameters, OpenError> {
    let ping = beside(url, "ping");
    let since = Instant::now();
    loop {
        let left = patience.saturating_sub(since.elapsed());
        let last = match client.get(&ping, left.clamp(PAUSE, REFUSED)) {
            Ok(reply) if !is_not_ready(reply.status) => break,
            Ok(reply) => failure::message(&reply),
            Err(SendError::Timeout(_)) => "nothing".to_owned(),
            Err(error) if since.elapsed() >= REFUSED.min(patience) => {
                return Err(OpenError::Unreachable { url: shown(&ping), cause: error.to_string() });
            }
            Err(error) => error.to_string(),
        };
        if since.elapsed() >= patience {
            return Err(OpenError::NotReady { url: shown(&ping), waited: patience, last });
        }
        thread::sleep(PAUSE);
    }
    Ok(execution_parameters(client, &beside(url, "execution-parameters")))
}

fn is_not_ready(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || status == StatusCode::TOO_MANY_REQUESTS
}

/// What the server asks for; nothing if it does not say.
fn execution_parameters(client: &Client, url: &Url) -> ExecutionParameters {
    match client.get(url, PING) {
        Ok(reply) if reply.status == StatusCode::OK => ExecutionParameters::parse(&reply.body),
        _ => ExecutionParameters::default(),
    }
}

/// Starts the copies: all that the user asks for; else the first one, which shows how much memory
/// each takes, and the others when calls need them. With them, how many there may be.
pub(super) fn serve(
    client: &Arc<Client>,
    command: &str,
    options: &HttpOptions,
) -> Result<(Pool, ExecutionParameters, usize), OpenError> {
    let log = options.log.as_ref().map(open_log).transpose()?;
    let (template, env) = (command.to_owned(), environment(options));
    let to_run = Command { template, env, port: options.port };
    let failed = |error: StartError| OpenError::Start {
        command: command.to_owned(),
        cause: error.to_string(),
    };
    let pool =
        Pool::start(to_run, Arc::clone(client), options.ping_timeout, log).map_err(failed)?;
    let asked = pool.first_base().map_or_else(ExecutionParameters::default, |base| {
        execution_parameters(client, &at(&base, "/execution-parameters"))
    });
    let useful = |copies: usize| copies.min(options.max_concurrent.unwrap_or(usize::MAX)).max(1);
    let copies = if let Some(copies) = options.port.map(|_| 1).or(options.copies) {
        let copies = useful(copies);
        pool.grow(copies);
        copies
    } else {
        let copies = useful(copies_that_fit(pool.memory_of_one(), options.memory));
        pool.allow(copies, options.memory);
        copies
    };
    Ok((pool, asked, copies))
}

fn open_log(log: &ServerLog) -> Result<File, OpenError> {
    let (path, opened) = match log {
        ServerLog::File(path) => {
            (path.as_path(), OpenOptions::new().create(true).append(true).open(path))
        }
        ServerLog::Stderr => {
            let stderr = io::stderr().as_fd().try_clone_to_owned();
            (Path::new("stderr"), stderr.map(File::from))
        }
    };
    opened.map_err(|source| OpenError::Log { path: path.to_owned(), source })
}

/// What the contract promises to containers in a batch transform, then the user's variables.
fn environment(options: &HttpOptions) -> Vec<(String, String)> {
    let strategy = options.batch_strategy.map(|strategy| match strategy {
        BatchStrategy::Multi => "MULTI_RECORD".to_owned(),
        BatchStrategy::Single => "SINGLE_RECORD".to_owned(),
    });
    let settings = [
        ("SAGEMAKER_BATCH", Some("true".to_owned())),
        ("SAGEMAKER_BATCH_STRATEGY", strategy),
        (
            "SAGEMAKER_MAX_PAYLOAD_IN_MB",
            options.max_payload.map(|bytes| bytes.div_ceil(1 << 20).to_string()),
        ),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", options.max_concurrent.map(|n| n.to_string())),
    ];
    let set = settings.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    set.chain(options.env.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Target;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn endpoints_with_and_without_a_path_have_their_addresses() {
        let cases = [
            ("http://h:1", "http://h:1/invocations", "http://h:1/ping"),
            ("http://h:1/a/", "http://h:1/a/invocations", "http://h:1/a/ping"),
            ("http://h:1/a/invocations?x=1", "http://h:1/a/invocations?x=1", "http://h:1/a/ping"),
            ("http://h:1/v1/m:predict", "http://h:1/v1/m:predict", "http://h:1/ping"),
        ];
        for (given, called, pinged) in cases {
            assert_eq!(invocations(&url(given)), url(called));
            assert_eq!(beside(&url(given), "ping"), url(pinged));
        }
    }

    #[test]
    fn containers_are_told_what_the_user_set() {
        let mut options = HttpOptions::new(Target::Serve { command: "x".to_owned() });
        assert_eq!(environment(&options), [("SAGEMAKER_BATCH".to_owned(), "true".to_owned())]);
        options.max_payload = Some((6 << 20) + 1);
        options.batch_strategy = Some(BatchStrategy::Single);
        options.env = vec![("A".to_owned(), "b".to_owned())];
        let told: Vec<String> =
            environment(&options).iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            told,
            [
                "SAGEMAKER_BATCH=true",
                "SAGEMAKER_BATCH_STRATEGY=SINGLE_RECORD",
                "SAGEMAKER_MAX_PAYLOAD_IN_MB=7",
                "A=b"
            ]
        );
    }

    #[test]
    fn an_accept_that_is_no_header_is_refused() {
        let mut options = HttpOptions::new(Target::Serve { command: "x".to_owned() });
        options.accept = Some("a\nb".to_owned());
        assert_eq!(call_headers(&options).unwrap_err().exit_code(), ExitCode::Usage);
    }
}
