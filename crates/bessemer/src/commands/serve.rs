//! `bessemer serve`: the server in the foreground.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bessemer_aws::{
    FunctionQueues, KeyRing, Platform, Server, ServerOptions, StepBackend, resume_tuning,
    weigh_shares,
};
use bessemer_compute::{
    Environments, ImageEntry, ImageRule, Images, Launcher, docker::ContainerNetwork,
    logs::LogFolder,
};
use bessemer_config::{Config, DockerSettings, ImageSettings, ServerSettings};
use bessemer_domain::{ByteSize, Clock, ExitCode, JobKind, SystemClock};
use bessemer_functions::{Functions, FunctionsOptions};
use bessemer_jobs::{Jobs, JobsOptions, Policies, Resources, Runners};
use bessemer_notify::{Notifier, NotifierOptions};
use bessemer_pipelines::{Pipelines, PipelinesOptions};
use bessemer_queues::{Queues, QueuesOptions};
use bessemer_store::{Store, StoreError, StoreOptions};
use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::sleep,
};

use crate::{
    failure::Failure,
    runners::{
        batch::BatchRunner,
        container::{DockerOptions, Site},
        processing::ProcessingRunner,
        training::TrainingRunner,
        transform::TransformRunner,
    },
    wiring::{
        data::{DataOptions, write_address},
        functions::{self, FunctionAccess},
        model::cache_dir,
        storage::{self, ExternalKeys},
    },
};

/// Run the server: S3 and `SageMaker` on one port, for clients of AWS
#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    data: DataOptions,
    /// The address to listen at; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", env = "BESSEMER_LISTEN")]
    listen: Option<SocketAddr>,
    /// Listen at an address that others can reach, though nothing is encrypted
    #[arg(long, env = "BESSEMER_INSECURE_LISTEN")]
    insecure_listen: bool,
    /// Cores that jobs may take, all together [default: all]
    #[arg(long, env = "BESSEMER_SERVE_CORES", value_parser = clap::value_parser!(u32).range(1..))]
    cores: Option<u32>,
    /// Memory that jobs may take, all together [default: all]
    #[arg(long, value_name = "SIZE", env = "BESSEMER_SERVE_MEMORY")]
    memory: Option<ByteSize>,
}

/// How long attempts may go on when the server ends; those that run longer are taken over.
const SHUTDOWN_GRACE_MILLIS: u64 = 1_000;
/// How long to wait for a port that is taken.
const PORT_PATIENCE: Duration = Duration::from_secs(1);

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let settings = self.settings()?;
        check_address(&settings.server)?;
        tracing_subscriber::fmt()
            .with_writer(io::stderr)
            .with_ansi(false)
            .with_target(false)
            // It would tell of a log that can't be written in that very log, and panic.
            .log_internal_errors(false)
            .init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(ExitCode::Internal, error))?;
        let result = runtime.block_on(self.serve(settings));
        runtime.shutdown_background();
        result
    }

    /// The settings of the file, with what the command line and the environment say instead.
    fn settings(&self) -> Result<Config, Failure> {
        let (mut config, _) = self.data.settings()?;
        let server = &mut config.server;
        server.listen = self.listen.unwrap_or(server.listen);
        server.insecure_listen |= self.insecure_listen;
        server.cores = self.cores.or(server.cores);
        server.memory = self.memory.or(server.memory);
        Ok(config)
    }

    async fn serve(self, config: Config) -> Result<ExitCode, Failure> {
        let directory = self.data.directory();
        let shutdown = shutdown().map_err(|error| Failure::new(ExitCode::Internal, error))?;
        let store = Store::open(&StoreOptions::new(&directory)).await.map_err(not_opened)?;
        let unusable = |error| Failure::new(ExitCode::Configuration, error);
        let external = storage::external_keys(&config.storage).map_err(unusable)?;
        let others = external.iter().flat_map(ExternalKeys::all).collect();
        let keys = Arc::new(KeyRing::of(&directory).with(others));
        first_key(&keys, &directory)?;
        let listener = listen(config.server.listen).await?;
        let internal = |error: io::Error| Failure::new(ExitCode::Internal, error);
        let address = listener.local_addr().map_err(internal)?;
        let platform = platform(&directory, store, (keys, external), &config, address, &shutdown)
            .await
            .map_err(unusable)?;
        let (jobs, functions) = (platform.jobs.clone(), platform.functions.clone());
        let pipelines = platform.pipelines.clone();
        pipelines
            .run(Arc::new(StepBackend::new(platform.clone())))
            .await
            .map_err(|error| Failure::new(ExitCode::Configuration, error))?;
        resume_tuning(&platform).await;
        weigh_shares(&platform).await;
        let settings = config.notifications.clone();
        let options = NotifierOptions {
            store: platform.store.clone(),
            settings,
            clock: Arc::new(SystemClock),
        };
        let _notifier = Notifier::start(options)
            .await
            .map_err(|error| Failure::new(ExitCode::Configuration, error))?;
        write_address(&directory, &address.to_string()).map_err(internal)?;
        say(&format!("bessemer is ready at http://{address}"));
        Server::new(platform, server_options(&config.server)).run(listener, shutdown).await;
        functions.shutdown().await;
        pipelines.shutdown();
        jobs.shutdown(SHUTDOWN_GRACE_MILLIS).await;
        Ok(ExitCode::Ok)
    }
}

/// Takes the port. A child that the last server was forking when it was killed holds it for a moment.
async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    let patience = Instant::now() + PORT_PATIENCE;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < patience => {
                sleep(PORT_PATIENCE / 50).await;
            }
            bound => {
                return bound.map_err(|error| {
                    let text = anyhow::anyhow!("listen at `{address}`: {error}");
                    let failure = Failure::new(ExitCode::Configuration, text);
                    failure.with_hint("choose another by `--listen`")
                });
            }
        }
    }
}

fn check_address(server: &ServerSettings) -> Result<(), Failure> {
    let listen = server.listen;
    let is_loopback = match listen.ip() {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback(),
    };
    if is_loopback || server.insecure_listen {
        return Ok(());
    }
    let why = format!("`{listen}` can be reached from elsewhere, and nothing is encrypted");
    Err(Failure::usage(why)
        .with_hint("listen at 127.0.0.1 behind a proxy with TLS, or say `--insecure-listen`"))
}

/// What jobs may take of this machine.
fn machine(all: Resources, server: &ServerSettings) -> Resources {
    let cores = server.cores.map_or(all.cores, |cores| cores.min(all.cores));
    let memory = server.memory.map_or(all.memory, |memory| memory.0.min(all.memory));
    Resources { cores, memory }
}

fn server_options(server: &ServerSettings) -> ServerOptions {
    ServerOptions {
        connections: server.connections as usize,
        header_timeout: server.header_timeout,
        body_timeout: server.body_timeout,
        body_limit: usize::try_from(server.body_limit.0).unwrap_or(usize::MAX),
        shutdown_grace: server.shutdown_grace,
    }
}

/// Puts the managers together.
async fn platform(
    directory: &Path,
    store: Store,
    (keys, external): (Arc<KeyRing>, Option<ExternalKeys>),
    config: &Config,
    address: SocketAddr,
    shutdown: &watch::Receiver<bool>,
) -> anyhow::Result<Platform> {
    let logs = LogFolder::new(directory.join("logs"));
    let runs = directory.join("runs");
    std::fs::create_dir_all(&runs).context("failed to make the folder of runs")?;
    let storage = storage::open(directory, &runs, &config.storage, external.as_ref())?;
    let site = Arc::new(Site {
        runs,
        storage: storage.clone(),
        logs: logs.clone(),
        keys: Arc::clone(&keys),
        launcher: Launcher::default(),
        environments: Environments::new(cache_dir().join("environments"), None),
        images: images(&config.images),
        docker: docker(&config.docker, from_here(address)),
        endpoint: format!("http://{}", from_here(address)),
        job_key: external.and_then(|keys| keys.job_key),
    });
    let leased = store.jobs().leased().await?;
    // Their programs run on, and may call before their jobs are taken over.
    for job in leased.iter().filter(|job| job.kind != JobKind::Transform) {
        keys.open_for_attempt(job.id.0, job.lifecycle.number)?;
    }
    let leased = leased.into_iter().map(|job| job.id);
    let waiting = store.jobs().waiting().await?.into_iter().map(|job| job.id);
    site.sweep(&leased.chain(waiting).collect());
    let transform = TransformRunner::new(Arc::clone(&site));
    let runners = Runners::new()
        .with(JobKind::Transform, transform)
        .with(JobKind::Training, TrainingRunner::new(Arc::clone(&site)))
        .with(JobKind::Processing, ProcessingRunner::new(Arc::clone(&site)))
        .with(JobKind::Batch, BatchRunner::new(Arc::clone(&site)));
    let mut options = JobsOptions::new(store.clone(), runners, rand::random());
    options.machine = machine(options.machine, &config.server);
    options.policies = Policies {
        queue: config.queue.clone(),
        quotas: config.quotas.clone(),
        retries: config.retries.clone(),
    };
    let jobs = Jobs::start(options).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let options = QueuesOptions {
        store: store.clone(),
        clock: Arc::clone(&clock),
        shutdown: shutdown.clone(),
    };
    let queues = Queues::start(options).await?;
    let functions = Functions::start(FunctionsOptions {
        store: store.clone(),
        folder: directory.join("functions"),
        storage: storage.clone(),
        logs: logs.clone(),
        environments: site.environments.clone(),
        launcher: site.launcher.clone(),
        access: Arc::new(FunctionAccess::new(site)),
        queues: Arc::new(FunctionQueues(queues.clone())),
        clock: Arc::clone(&clock),
        limits: functions::limits(&config.functions),
    });
    let functions = functions.await.map_err(anyhow::Error::from_boxed)?;
    let pipelines = PipelinesOptions { store: store.clone(), clock: Arc::clone(&clock) };
    let pipelines = Pipelines::new(pipelines);
    Ok(Platform { store, jobs, functions, queues, pipelines, storage, logs, keys, clock })
}

/// The address as it is reached from this machine.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn docker(settings: &DockerSettings, address: SocketAddr) -> DockerOptions {
    let network = if settings.has_host_network {
        ContainerNetwork::Host
    } else {
        ContainerNetwork::Door(address)
    };
    DockerOptions { host: settings.host.clone(), network }
}

/// The configured images before those built in.
fn images(settings: &[ImageSettings]) -> Images {
    let rule = |image: &ImageSettings| ImageRule {
        pattern: image.pattern.clone(),
        python: image.python.clone(),
        requirements: image.requirements.clone(),
        entry: image.train.clone().map_or(ImageEntry::Nothing, ImageEntry::Train),
        container: image.docker.clone(),
    };
    let configured = settings.iter().map(rule);
    Images { rules: configured.chain(Images::default().rules).collect() }
}

/// Makes the first access key and says how to use it.
fn first_key(keys: &KeyRing, directory: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::new(ExitCode::Configuration, anyhow::Error::new(error));
    if !keys.list().map_err(failed)?.is_empty() {
        return Ok(());
    }
    let key = keys.create(false, SystemClock.now_millis()).map_err(failed)?;
    say(&format!(
        "made the access key {} in {}; `eval \"$(bessemer env --data-dir {})\"` sets it for AWS clients",
        key.id,
        directory.join("keys.json").display(),
        directory.display(),
    ));
    Ok(())
}

/// Becomes true on SIGTERM or SIGINT.
fn shutdown() -> io::Result<watch::Receiver<bool>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tell.send_replace(true);
        // A second one is from somebody who can't wait.
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(ExitCode::Stopped as i32);
    });
    Ok(told)
}

fn not_opened(error: StoreError) -> Failure {
    match error {
        StoreError::InUse(_) => Failure::new(ExitCode::Configuration, error)
            .with_hint("another server runs; stop it, or choose another `--data-dir`"),
        error => Failure::new(ExitCode::Configuration, error),
    }
}

/// Tells people; where stderr is closed nobody is there to be told.
fn say(text: &str) {
    let _ = io::Write::write_all(&mut io::stderr(), format!("{text}\n").as_bytes());
}
