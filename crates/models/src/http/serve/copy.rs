//! One copy of the command: started, and waited for until it answers `/ping`.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use url::Url;

use super::process::{Exit, Process};
use crate::http::{
    client::{Client, SendError},
    failure,
};

/// How long one answer to `/ping` may take: what the contract says.
pub(in crate::http) const PING: Duration = Duration::from_secs(2);
const FIRST_POLL: Duration = Duration::from_millis(5);
const LAST_POLL: Duration = Duration::from_millis(200);

/// What to run for each copy.
#[derive(Debug, Clone)]
pub(in crate::http) struct Command {
    pub(in crate::http) template: String,
    pub(in crate::http) env: Vec<(String, String)>,
    /// Where it listens; a free port if that is not said.
    pub(in crate::http) port: Option<u16>,
}

impl Command {
    /// The command for a copy that listens on `port`. `{port}` is replaced, `${port}` is the
    /// shell's.
    pub(super) fn line(&self, port: u16) -> String {
        let port = port.to_string();
        let mut parts = self.template.split("{port}");
        let mut line = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            line.push_str(if line.ends_with('$') { "{port}" } else { &port });
            line.push_str(part);
        }
        line
    }

    /// The variables that tell a copy its port, then the command's own.
    pub(super) fn environment(&self, port: u16) -> impl Iterator<Item = (String, String)> {
        let port = port.to_string();
        let names = ["PORT", "SAGEMAKER_BIND_TO_PORT", "BESSEMER_PORT"];
        names.into_iter().map(move |name| (name.to_owned(), port.clone())).chain(self.env.clone())
    }
}

/// A copy that answered `/ping`.
#[derive(Debug)]
pub(in crate::http) struct Copy {
    pub(super) process: Arc<Process>,
    pub(in crate::http) base: Url,
    pub(super) invocations: Url,
    /// Calls that have this copy and have not ended.
    pub(super) in_flight: AtomicUsize,
    /// Whether it is being asked if it still lives, after a call that took too long.
    pub(super) doubted: AtomicBool,
    last_answer: Mutex<Instant>,
}

impl Copy {
    fn new(process: Arc<Process>, base: Url) -> Self {
        Self {
            process,
            invocations: at(&base, "/invocations"),
            base,
            in_flight: AtomicUsize::new(0),
            doubted: AtomicBool::new(false),
            last_answer: Mutex::new(Instant::now()),
        }
    }

    /// Whether a call may be sent to it.
    pub(super) fn takes_calls(&self) -> bool {
        !self.doubted.load(Ordering::SeqCst) && !self.process.has_ended()
    }

    /// Notes that a call was answered.
    pub(super) fn answered(&self) {
        *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether any call was answered after `moment`.
    pub(super) fn answered_since(&self, moment: Instant) -> bool {
        *self.last_answer.lock().unwrap_or_else(PoisonError::into_inner) > moment
    }

    /// Whether it answers `/ping`, with whatever status.
    pub(super) fn pings(&self, client: &Client) -> bool {
        client.get(&at(&self.base, "/ping"), PING).is_ok()
    }
}

/// Why a copy does not serve.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum StartError {
    #[error("{0}")]
    Spawn(#[from] io::Error),
    #[error(
        "the server {exit} before it answered /ping (it must stay in the foreground){}",
        ending(tail)
    )]
    Exited { exit: Exit, tail: Vec<String> },
    #[error(
        "the server did not answer 200 to /ping within {} s (it must listen on 127.0.0.1, port \
         $PORT; last: {last}){}",
        .waited.as_secs_f64(), ending(tail)
    )]
    NoPing { waited: Duration, last: String, tail: Vec<String> },
    #[error("the model is being closed")]
    Closing,
}

/// The end of an output as the end of a message.
fn ending(tail: &[String]) -> String {
    if tail.iter().all(|line| line.trim().is_empty()) {
        return "; it printed nothing".to_owned();
    }
    format!("; its output ends:\n  {}", tail.join("\n  "))
}

/// A loopback port that nobody listens on at this moment.
pub(super) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until `process`, which is to listen on `port`, answers 200 to `/ping`. One that does not
/// in time is ended.
pub(super) fn await_ping(
    process: Arc<Process>,
    port: u16,
    client: &Client,
    patience: Duration,
) -> Result<Copy, StartError> {
    let base = Url::parse(&format!("http://127.0.0.1:{port}/")).expect("a loopback URL is valid");
    let ping = at(&base, "/ping");
    let since = Instant::now();
    let mut pause = FIRST_POLL;
    loop {
        let left = patience.saturating_sub(since.elapsed());
        let last = match client.get(&ping, PING.min(left)) {
            Ok(reply) if reply.status == StatusCode::OK => return Ok(Copy::new(process, base)),
            Ok(reply) => failure::message(&reply),
            Err(SendError::Timeout(_)) => "connected, but it did not answer".to_owned(),
            Err(error) => error.to_string(),
        };
        if let Some(exit) = process.wait_exit(pause.min(left)) {
            return Err(StartError::Exited { exit, tail: process.output.tail() });
        }
        if left.is_zero() {
            process.end(Instant::now(), "was ended: it did not answer /ping in time");
            return Err(StartError::NoPing { waited: patience, last, tail: process.output.tail() });
        }
        pause = (pause * 3 / 2).min(LAST_POLL);
    }
}

/// `base` with another path.
pub(in crate::http) fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_put_into_the_command_but_not_into_the_shells_variables() {
        let command = |template: &str| {
            Command { template: template.to_owned(), env: Vec::new(), port: None }.line(8080)
        };
        assert_eq!(command("serve --port {port} -b :{port}"), "serve --port 8080 -b :8080");
        assert_eq!(command("serve ${port} $PORT"), "serve ${port} $PORT");
        assert_eq!(command("serve"), "serve");
    }

    #[test]
    fn the_output_ends_the_message() {
        let tail = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(ending(&tail), "; its output ends:\n  a\n  b");
        assert_eq!(ending(&[]), "; it printed nothing");
    }
}
