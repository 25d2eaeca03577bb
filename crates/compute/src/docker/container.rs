//! [`Container`]: a container from its making to its end.

use std::{
    ffi::{OsStr, OsString},
    io::{self, PipeReader, Read},
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    process::{Child, Command},
    thread::sleep,
    time::Duration,
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::Deserialize;

use super::{ContainerNetwork, ContainerSpec, Docker, DockerError, door};
use crate::{Bind, Cause, ProcessSpec, SetupError, Status, error::Trying};

/// Between two looks at a container that starts.
const SOON: Duration = Duration::from_millis(20);
/// Between two looks at a container whose output can't be followed any more, or at a daemon that
/// doesn't answer.
const LATER: Duration = Duration::from_secs(1);
/// Looks at a daemon that doesn't answer, until its containers are taken for lost.
const PATIENCE: u32 = 60;
/// Bytes that are read of why a container doesn't start.
const LONGEST_REASON: u64 = 4096;
/// A file of variables has shorter lines.
const LONGEST_LINE: usize = 60_000;

/// A running container.
#[derive(Debug)]
pub(crate) struct Container {
    docker: Docker,
    name: String,
    /// The command that starts it and follows what it writes.
    attached: Child,
    /// Names that command.
    process: OwnedFd,
    /// Looks at it that the daemon did not answer.
    unanswered: u32,
}

/// What the daemon says of a container.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: String,
    running: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    exit_code: i32,
    #[serde(default)]
    error: String,
    #[serde(default)]
    pid: i32,
}

impl Container {
    /// Makes the container of `spec` and starts it; an older one of its name makes way.
    pub(crate) fn start(
        spec: &ProcessSpec,
        container: &ContainerSpec,
    ) -> Result<(Self, [PipeReader; 2]), SetupError> {
        let docker = Docker::at(&container.host);
        let failed = |error: DockerError| SetupError::new("run a container", error.to_string());
        docker.remove(&container.name).map_err(failed)?;
        let (command, variables) = create(&docker, spec, container);
        docker.run("make the container", command, &variables).map_err(failed)?;
        let (output, output_writer) = io::pipe().trying(|| "make a pipe".to_owned())?;
        let (errors, errors_writer) = io::pipe().trying(|| "make a pipe".to_owned())?;
        let mut command = docker.command("start");
        command.args(["--attach", "--", &container.name]);
        command.stdout(output_writer).stderr(errors_writer);
        let attached = command.spawn().trying(|| "run `docker`".to_owned())?;
        drop(command); // it holds the writing ends
        let process = pidfd_open(Pid::from_child(&attached), PidfdFlags::empty())
            .trying(|| "watch `docker`".to_owned())?;
        let name = container.name.clone();
        let mut made = Self { docker, name, attached, process, unanswered: 0 };
        if let Err(mut error) = made.until_it_runs(spec, container) {
            made.remove();
            if error.reason.is_empty() {
                let mut said = String::new();
                let _ = (&errors).take(LONGEST_REASON).read_to_string(&mut said);
                let first = said.lines().next().unwrap_or("it says nothing");
                first.clone_into(&mut error.reason);
            }
            return Err(error);
        }
        Ok((made, [output, errors]))
    }

    fn until_it_runs(
        &mut self,
        spec: &ProcessSpec,
        container: &ContainerSpec,
    ) -> Result<(), SetupError> {
        loop {
            let has_ended = self.attached.try_wait().ok().flatten().is_some();
            let state = self.state().trying(|| "look at the container".to_owned())?;
            if state.status == "created" && !has_ended && state.error.is_empty() {
                sleep(SOON);
                continue;
            }
            if state.status == "created" {
                // What the entry point is told to be is the user's.
                return Err(SetupError {
                    task: format!("run the container's program of `{}`", container.image),
                    reason: state.error,
                    command: true,
                });
            }
            if let (ContainerNetwork::Door(address), true) = (&container.network, spec.network)
                && state.running
                && let Err(error) = door::open(state.pid, *address)
            {
                // A program may have ended meanwhile, and its network with it.
                let state = self.state().trying(|| "look at the container".to_owned())?;
                if state.running {
                    return Err(error)
                        .trying(|| "open the container's way to the server".to_owned());
                }
            }
            return Ok(());
        }
    }

    /// Readable when there is something to ask [`Self::ended`] for.
    pub(crate) fn process(&self) -> &OwnedFd {
        &self.process
    }

    /// How it ended, if it did. Waits a little if that can't be known yet.
    pub(crate) fn ended(&mut self) -> Option<(Status, Option<Cause>)> {
        self.attached.try_wait().ok().flatten()?;
        match self.state() {
            Ok(state) if state.running => self.unanswered = 0,
            Ok(state) => {
                let starved = state.oom_killed && state.exit_code != 0;
                let cause = starved.then_some(Cause::OutOfMemory);
                return Some((Status::Code(state.exit_code), cause));
            }
            Err(_) if self.unanswered < PATIENCE => self.unanswered += 1,
            Err(_) => return Some((Status::Lost, None)),
        }
        sleep(LATER);
        None
    }

    /// Sends a signal to its first process.
    pub(crate) fn signal(&self, name: &str) {
        let mut command = self.docker.command("kill");
        command.args(["--signal", name, "--", &self.name]);
        // One that has ended is none's concern.
        let _ = self.docker.run("signal the container", command, b"");
    }

    /// Removes it, with all that runs in it.
    pub(crate) fn remove(&mut self) {
        let _ = self.docker.remove(&self.name);
        let _ = self.attached.wait();
    }

    fn state(&self) -> Result<State, DockerError> {
        let mut command = self.docker.command("container");
        command.args(["inspect", "--format", "{{json .State}}", "--", &self.name]);
        let text = self.docker.run("look at the container", command, b"")?;
        serde_json::from_str(&text).map_err(|error| DockerError::Refused {
            task: "read what Docker says of the container",
            reason: error.to_string(),
        })
    }
}

/// The command that makes the container, and the file of variables for its standard input.
fn create(docker: &Docker, spec: &ProcessSpec, container: &ContainerSpec) -> (Command, Vec<u8>) {
    let mut command = docker.command("create");
    command.args(["--name", &container.name, "--pull", "never", "--log-driver", "none"]);
    command.args(["--label", "bessemer", "--hostname", &spec.hostname]);
    // It may be of this machine's network, whose packets are not its own.
    command.args(["--security-opt", "no-new-privileges", "--cap-drop", "NET_RAW"]);
    let shares = spec.network && container.network == ContainerNetwork::Host;
    command.args(["--network", if shares { "host" } else { "none" }]);
    for (address, name) in &spec.hosts {
        let address = if shares { address } else { "127.0.0.1" };
        command.args(["--add-host", &format!("{name}:{address}")]);
    }
    if let Some(bytes) = spec.limits.memory {
        command.args(["--memory", &bytes.to_string(), "--memory-swap", &bytes.to_string()]);
        command.args(["--shm-size", &(bytes / 2).to_string()]);
    }
    if let Some(cores) = spec.limits.cores {
        command.args(["--cpus", &cores.to_string()]);
    }
    if let Some(processes) = spec.limits.processes {
        command.args(["--pids-limit", &processes.to_string()]);
    }
    if let Some(user) = &container.user {
        command.args(["--user", user]);
    }
    for bind in &spec.mounts {
        command.arg("--mount").arg(mount(bind));
    }
    let mut variables = Vec::new();
    for (name, value) in &spec.env {
        let line = [name.as_bytes(), b"=", value.as_bytes()].concat();
        if line.len() > LONGEST_LINE || line.contains(&b'\n') || line.ends_with(b"\r") {
            command.arg("--env").arg(OsStr::from_bytes(&line));
        } else {
            variables.extend(line);
            variables.push(b'\n');
        }
    }
    command.args(["--env-file", "/dev/stdin"]);
    if !spec.command.is_empty() {
        command.arg("--entrypoint").arg(&spec.command);
    }
    command.arg("--").arg(&container.image).args(&spec.args);
    (command, variables)
}

/// A mount as a line of CSV.
fn mount(bind: &Bind) -> OsString {
    let field = |name: &str, path: &std::path::Path| {
        let path = path.to_string_lossy().replace('"', "\"\"");
        format!(",\"{name}={path}\"")
    };
    let read_only = if bind.read_only { ",readonly" } else { "" };
    let (source, target) = (field("source", &bind.source), field("target", &bind.target));
    format!("type=bind{source}{target}{read_only}").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogSink;

    fn created(change: impl FnOnce(&mut ProcessSpec, &mut ContainerSpec)) -> (Vec<String>, String) {
        let mut spec = ProcessSpec::new("", "/runs/1/control", LogSink::new("/logs/x"));
        let mut container = ContainerSpec {
            host: super::super::DOCKER_HOST.to_owned(),
            image: "own/image:1".to_owned(),
            name: "job".to_owned(),
            network: ContainerNetwork::Door(([127, 0, 0, 1], 1856).into()),
            user: None,
        };
        change(&mut spec, &mut container);
        let (command, variables) = create(&Docker::at(&container.host), &spec, &container);
        let arguments = command.get_args().map(|text| text.to_string_lossy().into_owned());
        (arguments.collect(), String::from_utf8(variables).unwrap())
    }

    fn network(arguments: &[String]) -> &str {
        let at = arguments.iter().position(|argument| argument == "--network").unwrap();
        &arguments[at + 1]
    }

    #[test]
    fn a_container_shares_the_network_only_if_both_say_so() {
        assert_eq!(network(&created(|spec, _| spec.network = true).0), "none");
        let host = |spec: &mut ProcessSpec, container: &mut ContainerSpec| {
            container.network = ContainerNetwork::Host;
            spec.network = true;
        };
        assert_eq!(network(&created(host).0), "host");
        let isolated = |_: &mut ProcessSpec, container: &mut ContainerSpec| {
            container.network = ContainerNetwork::Host;
        };
        assert_eq!(network(&created(isolated).0), "none");
    }

    #[test]
    fn variables_are_no_arguments_unless_they_fit_in_no_line() {
        let (arguments, variables) = created(|spec, _| {
            let given = [("KEY", "a=b c"), ("LINES", "1\n2")];
            spec.env = given.map(|(name, value)| (name.into(), value.into())).into();
        });
        assert_eq!(variables, "KEY=a=b c\n");
        assert!(arguments.contains(&"LINES=1\n2".to_owned()));
        assert!(!arguments.iter().any(|argument| argument.contains("a=b")));
    }

    #[test]
    fn an_empty_command_is_the_images_own_and_paths_may_hold_anything() {
        let (arguments, _) = created(|spec, _| {
            spec.args = vec!["train".into()];
            spec.mounts = vec![Bind::read_only("/runs/a,b", "/opt/ml/\"x\":y")];
        });
        assert!(arguments.ends_with(&["--".into(), "own/image:1".into(), "train".into()]));
        assert!(!arguments.contains(&"--entrypoint".to_owned()));
        let mount = "type=bind,\"source=/runs/a,b\",\"target=/opt/ml/\"\"x\"\":y\",readonly";
        assert!(arguments.contains(&mount.to_owned()), "{arguments:?}");
    }
}
