//! `bessemer exec -- CMD …`: a command whose AWS clients talk to the server.

use std::{ffi::OsString, io, os::unix::process::ExitStatusExt, path::Path, process::ExitStatus};

use bessemer_domain::ExitCode;
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::{
    failure::Failure,
    sts_front::StsFront,
    wiring::data::{Access, DataOptions},
};

/// Run a command whose AWS clients talk to the server; the `SageMaker` SDK's calls of STS too
#[derive(Debug, Args)]
pub(super) struct Exec {
    #[command(flatten)]
    data: DataOptions,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

/// The `SageMaker` SDK's own settings: no telemetry, which has no time-out.
const SDK_SETTINGS: &str = "SchemaVersion: '1.0'\nSageMaker:\n  PythonSDK:\n    Modules:\n      \
    TelemetryOptOut: true\n";

impl Exec {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let (program, arguments) = self.command.split_first().ok_or_else(|| {
            Failure::usage("no command is given").with_hint("write it behind `--`")
        })?;
        let mut command = Command::new(program);
        command.args(arguments);
        let status = run_for_clients(&self.data, command)?;
        // The command's own code, or what shells make of a signal.
        std::process::exit(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }
}

/// Runs a command whose AWS clients talk to the server, to its end.
pub(super) fn run_for_clients(data: &DataOptions, command: Command) -> Result<ExitStatus, Failure> {
    let access = data.client_access()?;
    let internal = |error: io::Error| Failure::new(ExitCode::Internal, error);
    let folder = tempfile::Builder::new().prefix("bessemer-exec-").tempdir().map_err(internal)?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build().map_err(internal)?;
    runtime.block_on(follow(command, &access, folder.path()))
}

async fn follow(
    mut command: Command,
    access: &Access,
    folder: &Path,
) -> Result<ExitStatus, Failure> {
    let internal = |error: anyhow::Error| Failure::new(ExitCode::Internal, error);
    let server = access.endpoint.trim_start_matches("http://");
    let front = StsFront::start(server).await.map_err(internal)?;
    let through = front.variables(&folder.join("certificates.pem"));
    let settings = folder.join("sagemaker.yaml");
    std::fs::write(&settings, SDK_SETTINGS).map_err(|error| internal(error.into()))?;
    command.envs(access.variables());
    command.envs(through.map_err(|error| internal(error.into()))?);
    if std::env::var_os("SAGEMAKER_USER_CONFIG_OVERRIDE").is_none() {
        command.env("SAGEMAKER_USER_CONFIG_OVERRIDE", settings);
    }
    // Profiles and session tokens of elsewhere would go before the key.
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"] {
        command.env_remove(name);
    }
    if access.s3.is_none() {
        command.env_remove("AWS_ENDPOINT_URL_S3");
    }
    let child = command.spawn().map_err(|error| {
        let code = match error.kind() {
            io::ErrorKind::NotFound => ExitCode::NotFound,
            io::ErrorKind::PermissionDenied => ExitCode::Denied,
            _ => ExitCode::Internal,
        };
        let program = command.as_std().get_program().display();
        Failure::new(code, anyhow::anyhow!("run `{program}`: {error}"))
    })?;
    wait(child).await.map_err(|error| internal(error.into()))
}

/// Waits for the command. SIGTERM is passed on; SIGINT and SIGHUP reach it from the terminal.
async fn wait(mut child: Child) -> io::Result<ExitStatus> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            ended = child.wait() => return ended,
            _ = terminate.recv() => {
                let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
                if let Some(pid) = pid {
                    // It may have ended just now.
                    let _ = kill_process(pid, Signal::TERM);
                }
            }
            _ = interrupt.recv() => {}
        }
    }
}
