//! [`Process`]: a sandboxed process that runs one version of a function, one invocation at a time.

pub(crate) mod api;
mod output;
mod spec;

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bessemer_compute::{Cause, Child, Environment, Exit, Launcher, Status, logs::LogFolder};
use bessemer_domain::Clock;
use bytes::Bytes;
use chrono::DateTime;
use rand::RngExt;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::{Instant, sleep_until},
};

use crate::{Function, FunctionsError, Version, code::CodeStore};
use api::{RuntimeApi, Said, Session, Work};
use output::Output;
use spec::Folders;

/// Lets functions call this server.
pub trait Access: Send + Sync {
    /// The variables that point a function's AWS clients to this server, with an access key: those of
    /// the function of that name and ARN.
    fn variables(&self, function: &str, arn: &str) -> Vec<(String, String)>;

    /// Takes the access key of the function of that name away.
    fn revoke(&self, function: &str);
}

/// What processes are made with.
pub(crate) struct Site {
    pub(crate) launcher: Launcher,
    pub(crate) logs: LogFolder,
    pub(crate) code: CodeStore,
    pub(crate) access: Arc<dyn Access>,
    /// The folder of the folders of processes.
    pub(crate) folder: PathBuf,
    pub(crate) api: RuntimeApi,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many processes there have been.
    pub(crate) started: AtomicU64,
}

/// What a process is to run.
struct Plan {
    function_name: String,
    version: Arc<Version>,
    access: Vec<(String, String)>,
    log_group: String,
    log_stream: String,
    session_name: String,
    session_address: String,
}

/// A process.
pub(crate) struct Process {
    /// The version that it runs.
    pub(crate) version: Arc<Version>,
    child: Arc<Child>,
    /// Can be read from when it has ended.
    ended: AsyncFd<OwnedFd>,
    folder: PathBuf,
    session: Session,
    /// Where the next invocation goes, once it asked for one.
    next: Option<tokio::sync::oneshot::Sender<Work>>,
    pub(crate) output: Output,
    begun: Instant,
    /// Whether it has not been ready yet.
    is_new: bool,
    /// How long it took until it was ready, as long as that has not been told.
    pub(crate) init: Option<Duration>,
    peak: u64,
}

/// Why an invocation has no answer of its handler's.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The handler can't be loaded: the error, as JSON.
    Init(Bytes),
    /// The process ended.
    Ended(Exit),
    /// The time is up.
    TimedOut,
}

/// What became of an invocation.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The handler's result.
    Result(Bytes),
    /// The handler's error.
    Failure(Bytes),
    /// A result of too many bytes.
    TooLarge(u64),
}

impl Process {
    /// Starts a process for `version` of `function`. Blocks for some milliseconds.
    pub(crate) fn start(
        site: &Site,
        function: &Function,
        version: &Arc<Version>,
        environment: &Environment,
    ) -> Result<Self, FunctionsError> {
        let begun = Instant::now();
        let session = site.api.open();
        let folder = site.folder.join(&session.name);
        fs::create_dir_all(&folder).map_err(FunctionsError::internal)?;
        let access = site.access.variables(&function.name, &function.arn);
        let group = version.settings.log_group.clone();
        let plan = Plan {
            function_name: function.name.clone(),
            version: Arc::clone(version),
            access,
            log_group: group.unwrap_or_else(|| format!("/aws/lambda/{}", function.name)),
            log_stream: log_stream(site.clock.now_millis(), version),
            session_name: session.name.clone(),
            session_address: session.address.clone(),
        };
        let layers: Vec<_> = version.settings.layers.iter().map(|layer| &layer.code).collect();
        let folders = Folders {
            own: folder.clone(),
            code: site.code.folder(&[&version.code])?,
            layers: match layers.as_slice() {
                [] => None,
                layers => Some(site.code.folder(layers)?),
            },
        };
        let started = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
            site.logs.create_group(&plan.log_group)?;
            let log = site.logs.file(&plan.log_group, &plan.log_stream);
            let output = Output::open(&folders.pipe(), &log, Arc::clone(&site.clock))?;
            let number = site.started.fetch_add(1, Ordering::Relaxed);
            let spec = spec::spec(&plan, environment, &folders, number)?;
            let child = site.launcher.start(&spec)?;
            let ended = watch(child.as_fd().try_clone_to_owned()?)?;
            Ok((output, child, ended))
        };
        let (output, child, ended) = started().map_err(|error| {
            remove(&folder);
            FunctionsError::Internal(error)
        })?;
        Ok(Self {
            version: plan.version,
            child: Arc::new(child),
            ended,
            folder,
            session,
            next: None,
            output,
            begun,
            is_new: true,
            init: None,
            peak: 0,
        })
    }

    /// Waits until it asks for an invocation, until `deadline` at most.
    pub(crate) async fn ready(&mut self, deadline: Instant) -> Result<(), Broken> {
        loop {
            if let Some(next) = &self.next
                && !next.is_closed()
            {
                break;
            }
            match self.wait(deadline).await? {
                Said::Next(next) => self.next = Some(next),
                Said::InitFailure(error) => return Err(Broken::Init(error)),
                // Of an invocation that was given up.
                Said::Answer(..) | Said::Failure(..) | Said::TooLarge(..) => {}
            }
        }
        if std::mem::take(&mut self.is_new) {
            self.init = Some(self.begun.elapsed());
        }
        Ok(())
    }

    /// Gives it an invocation, and waits for what comes of it. It has to be ready.
    pub(crate) async fn run(&mut self, work: Work, deadline: Instant) -> Result<Answer, Broken> {
        let id = work.request_id.clone();
        // If nobody takes it, the process has ended, which is seen at once.
        if let Some(next) = self.next.take() {
            let _ = next.send(work);
        }
        loop {
            let answer = match self.wait(deadline).await? {
                Said::Answer(of, body) if of == id => Answer::Result(body),
                Said::Failure(of, body) if of == id => Answer::Failure(body),
                Said::TooLarge(of, size) if of == id => Answer::TooLarge(size),
                Said::InitFailure(error) => return Err(Broken::Init(error)),
                Said::Next(next) => {
                    self.next = Some(next);
                    continue;
                }
                Said::Answer(..) | Said::Failure(..) | Said::TooLarge(..) => continue,
            };
            self.output.take();
            return Ok(answer);
        }
    }

    /// The most memory that was seen, in bytes.
    pub(crate) fn peak(&mut self) -> u64 {
        self.peak = self.peak.max(self.child.memory());
        self.peak
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&self) -> bool {
        !self.child.id().is_alive()
    }

    /// Ends it, and clears away what it left.
    pub(crate) async fn end(self) {
        let Self { child, ended, folder, session, output, .. } = self;
        drop((ended, session, output));
        let ended = tokio::task::spawn_blocking(move || {
            let ended = child.kill().and_then(|()| child.wait());
            if let Err(error) = ended {
                tracing::error!(%error, "a function's process can't be ended");
            }
            remove(&folder);
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "a function's process can't be ended");
        }
    }

    /// The next thing that the process says. Its output is taken meanwhile.
    async fn wait(&mut self, deadline: Instant) -> Result<Said, Broken> {
        loop {
            tokio::select! {
                biased;
                said = self.session.said() => return Ok(said),
                () = self.output.ready() => self.output.take(),
                _ = self.ended.readable() => {
                    self.output.take();
                    let child = Arc::clone(&self.child);
                    let exit = tokio::task::spawn_blocking(move || child.wait()).await;
                    let exit = exit.ok().and_then(Result::ok);
                    return Err(Broken::Ended(exit.unwrap_or_else(lost)));
                }
                () = sleep_until(deadline) => {
                    self.output.take();
                    return Err(Broken::TimedOut);
                }
            }
        }
    }
}

#[expect(deprecated, reason = "what replaces it is unsafe; an owned handle is all it asks for")]
fn watch(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

/// The end of a process whose note can't be read.
fn lost() -> Exit {
    Exit {
        status: Status::Lost,
        cause: None,
        started_millis: 0,
        ended_millis: 0,
        cpu_millis: 0,
        peak_memory: 0,
    }
}

impl Broken {
    /// The error that the caller gets, as JSON, for the request of that id.
    pub(crate) fn payload(&self, id: &str, timeout: u32) -> Bytes {
        let error = |kind: &str, message: String| serde_json::json!({ "errorType": kind, "errorMessage": message });
        let value = match self {
            Self::Init(error) => {
                let mut error = serde_json::from_slice(error).unwrap_or_else(
                    |_| serde_json::json!({ "errorMessage": String::from_utf8_lossy(error) }),
                );
                if error["requestId"].as_str().is_none_or(str::is_empty) && error.is_object() {
                    error["requestId"] = id.into();
                }
                error
            }
            Self::TimedOut => {
                let message =
                    format!("RequestId: {id} Error: Task timed out after {timeout}.00 seconds");
                error("Sandbox.Timedout", message)
            }
            Self::Ended(exit) => {
                let message = format!("RequestId: {id} Error: {}", why_ended(exit));
                error(self.kind(), message)
            }
        };
        Bytes::from(value.to_string())
    }

    /// The type of the error, as AWS names it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Init(_) => "Runtime.Unknown",
            Self::TimedOut => "Sandbox.Timedout",
            Self::Ended(Exit { cause: Some(Cause::OutOfMemory), .. }) => "Runtime.OutOfMemory",
            Self::Ended(_) => "Runtime.ExitError",
        }
    }
}

fn why_ended(exit: &Exit) -> String {
    match (exit.cause, exit.status) {
        (Some(Cause::OutOfDisk), _) => "No space left in /tmp".to_owned(),
        (_, Status::Code(0)) => "Runtime exited without providing a reason".to_owned(),
        (_, Status::Code(code)) => format!("Runtime exited with error: exit status {code}"),
        (None, Status::Signal(11)) => {
            "Runtime exited with error: signal: segmentation fault".to_owned()
        }
        (None, Status::Signal(6)) => "Runtime exited with error: signal: aborted".to_owned(),
        _ => "Runtime exited with error: signal: killed".to_owned(),
    }
}

/// A log stream's name: `2026/11/21/[$LATEST]` and a random number.
fn log_stream(now: u64, version: &Version) -> String {
    let day = i64::try_from(now).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    let bits: u128 = rand::rng().random();
    format!("{}/[{}]{bits:032x}", day.format("%Y/%m/%d"), version.name())
}

/// Ends what the last server left in `folder`, which is the folder of the folders of processes.
pub(crate) fn clear(folder: &Path, launcher: &Launcher) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let attached = launcher.reattach(&path.join("control"));
        if let Ok(bessemer_compute::Attached::Running(child)) = attached {
            let ended = child.kill().and_then(|()| child.wait());
            ended.map_err(io::Error::other)?;
        }
        remove(&path);
    }
    Ok(())
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "a function's folder can't be removed");
    }
}
