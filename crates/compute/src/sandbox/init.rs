//! The first process of a sandbox: sets the layers up, runs the command, reaps orphans.

use std::{
    io::{self, PipeWriter, Read},
    os::unix::{net::UnixStream, process::CommandExt},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, Signal, WaitOptions, kill_process_group, set_parent_process_death_signal, wait,
    },
    thread::UnshareFlags,
};

use super::{
    landlock, loopback, privileges,
    protocol::{Channel, FromInit, Go, Order, SetUp, Terminate},
    root, seccomp,
    supervisor::Inside,
};
use crate::{Layer, LayerState, ProcessSpec, SetupError, Status, error::Trying, processes};

/// How much rather than others the kernel ends us (from -1000 to 1000).
const OOM_SCORE: &str = "500";

pub(super) fn main(order: &Order, inside: Inside) -> ExitCode {
    let done = run(order, inside);
    // With us, the kernel ends all that is left in the sandbox.
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(order: &Order, inside: Inside) -> io::Result<()> {
    let Inside { mut channel, output, errors, user_namespace } = inside;
    let Some(SetUp { memory_limits }) = channel.receive()? else { return Ok(()) };
    let ready = set_up(order, user_namespace, memory_limits)
        .and_then(|layers| guard(&channel).map(|children| (layers, children)));
    let (layers, children) = match ready {
        Ok(ready) => ready,
        Err(error) => return channel.send(&FromInit::Failed(error)),
    };
    let Some(Go) = channel.receive()? else { return Ok(()) };
    let command = match spawn(&order.spec, output, errors) {
        Ok(command) => command,
        Err(error) => return channel.send(&FromInit::Failed(error)),
    };
    channel.send(&FromInit::Started { layers })?;
    let status = Running { command, children }.wait(&mut channel)?;
    let cpu_millis = processes::cpu_millis_of_children();
    channel.send(&FromInit::Ended { status, cpu_millis })
}

/// The command, with what tells of its end.
struct Running {
    command: Pid,
    children: UnixStream,
}

/// Sets up all layers.
fn set_up(
    order: &Order,
    user_namespace: bool,
    memory_limits: bool,
) -> Result<Vec<LayerState>, SetupError> {
    let spec = &order.spec;
    // Where memory runs out on the machine, jobs go before the server. A wish, not a layer.
    let _ = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    let mut layers = namespaces(spec)?;
    let uid = if user_namespace { None } else { spec.uid };
    layers.extend(root::enter(spec, uid.unwrap_or(0))?);
    // Ourselves, and the supervisor where it is in the same user namespace.
    let ours = if user_namespace { 2 } else { 1 };
    privileges::limit(&spec.limits, memory_limits, ours)?;
    privileges::drop_all(uid)?;
    layers.push(LayerState::active(Layer::NoPrivileges, "no capabilities, no new privileges"));
    layers.push(match uid {
        Some(uid) => LayerState::active(Layer::User, format!("user {uid}")),
        None => LayerState::active(Layer::User, "user namespace"),
    });
    let mandatory = [landlock::restrict(spec), seccomp::restrict()];
    for layer in &mandatory {
        if !layer.active && !order.allow_missing {
            return Err(SetupError::new(
                format!("set up {}", layer.layer.name()),
                layer.detail.as_str(),
            ));
        }
    }
    layers.extend(mandatory);
    Ok(layers)
}

/// Ends us with the supervisor, and has us hear of children that end.
fn guard(supervisor: &Channel) -> Result<UnixStream, SetupError> {
    // After the change of user, which would undo it.
    set_parent_process_death_signal(Some(Signal::KILL))
        .trying(|| "end with the supervisor".to_owned())?;
    if has_ended(supervisor) {
        return Err(SetupError::new("start", "the supervisor has ended"));
    }
    let (children, signalled) = UnixStream::pair().trying(|| "make a socket".to_owned())?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, signalled)
        .trying(|| "listen for ended processes".to_owned())?;
    Ok(children)
}

fn namespaces(spec: &ProcessSpec) -> Result<Vec<LayerState>, SetupError> {
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if !spec.network {
        flags |= UnshareFlags::NEWNET;
    }
    super::unshare(flags).trying(|| {
        "make namespaces (a container around Bessemer needs `--security-opt seccomp=unconfined` or \
         `--cap-add SYS_ADMIN`)"
            .to_owned()
    })?;
    rustix::system::sethostname(spec.hostname.as_bytes())
        .trying(|| format!("set the host name `{}`", spec.hostname))?;
    let network = if spec.network {
        LayerState::missing(Layer::NetworkNamespace, "the process was given this machine's network")
    } else {
        loopback::up().trying(|| "bring the loopback up".to_owned())?;
        LayerState::active(Layer::NetworkNamespace, "loopback only")
    };
    Ok(vec![
        LayerState::active(Layer::PidNamespace, "own"),
        LayerState::active(Layer::IpcNamespace, "own"),
        LayerState::active(Layer::UtsNamespace, "own"),
        network,
    ])
}

fn spawn(spec: &ProcessSpec, output: PipeWriter, errors: PipeWriter) -> Result<Pid, SetupError> {
    let mut command = Command::new(&spec.command);
    command
        .args(&spec.args)
        .env_clear()
        .envs(spec.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&spec.cwd)
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .process_group(0);
    let child = command.spawn().map_err(|error| {
        let (task, reason) = if spec.cwd.is_dir() {
            let hint = "; what the command needs has to be among the mounts";
            let hint = if error.kind() == io::ErrorKind::NotFound { hint } else { "" };
            (format!("run `{}` in the sandbox", spec.command.display()), format!("{error}{hint}"))
        } else {
            let task = format!("enter `{}` in the sandbox", spec.cwd.display());
            (task, "there is no such folder".to_owned())
        };
        SetupError { task, reason, command: true }
    })?;
    Ok(Pid::from_child(&child))
}

/// Whether the other end of `channel` is gone.
fn has_ended(channel: &Channel) -> bool {
    let mut files = [PollFd::new(channel, PollFlags::RDHUP)];
    let now = Timespec::try_from(Duration::ZERO).ok();
    poll(&mut files, now.as_ref()).is_ok()
        && files[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}

impl Running {
    /// Waits for the command's end, reaping whatever else ends here.
    fn wait(mut self, channel: &mut Channel) -> io::Result<Status> {
        loop {
            while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
                if pid == self.command {
                    let code = status.exit_status().map(Status::Code);
                    let signal = status.terminating_signal().map(Status::Signal);
                    return Ok(code.or(signal).unwrap_or(Status::Lost));
                }
            }
            let mut files =
                [PollFd::new(&self.children, PollFlags::IN), PollFd::new(&*channel, PollFlags::IN)];
            match poll(&mut files, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let (ended, told) = (!files[0].revents().is_empty(), !files[1].revents().is_empty());
            if ended {
                let _ = self.children.read(&mut [0; 64])?;
            }
            if told {
                if !channel.fill()? {
                    return Err(io::Error::other("the supervisor has ended"));
                }
                while channel.received::<Terminate>()?.is_some() {
                    let _ = kill_process_group(self.command, Signal::TERM);
                }
            }
        }
    }
}
