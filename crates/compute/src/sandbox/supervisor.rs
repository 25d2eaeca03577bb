//! The process outside a sandbox that looks after it, whether the server lives or not.

use std::{
    fs, io,
    os::unix::{fs::DirBuilderExt, net::UnixStream},
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
};

use bessemer_domain::{Clock, SystemClock};
use rustix::{
    fs::Mode,
    process::{DumpableBehavior, geteuid, getgid, getuid, set_dumpable_behavior, setsid, umask},
    thread::UnshareFlags,
};

use super::{
    INIT, SANDBOX_VERB,
    protocol::{Channel, FromInit, FromSupervisor, Go, InitOrder, Order},
    root::ROOT,
};
use crate::{
    Exit, LayerState, SetupError,
    cgroups::Groups,
    docker::{Container, ContainerNote},
    error::Trying,
    launcher::{EndNote, ProcessNote},
    logs::LogWriter,
    processes,
    watch::{self, Sandbox},
};

pub(super) fn main() -> ExitCode {
    let Ok(mut server) = Channel::of_stdin() else { return ExitCode::FAILURE };
    let Ok(Some(order)) = server.receive::<Order>() else { return ExitCode::FAILURE };
    detach();
    let control = order.spec.control.clone();
    let end = match supervise(&order, &mut server) {
        Ok(Some(exit)) => EndNote::Ended(exit),
        // The server went away before it said go.
        Ok(None) => EndNote::Ended(Exit::never_ran()),
        Err(error) => {
            let _ = server.send(&FromSupervisor::Failed(error.clone()));
            EndNote::Failed(error)
        }
    };
    if end.write(&control).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Becomes independent of whoever started us: no terminal, no folder, no open files of theirs.
fn detach() {
    let _ = setsid(); // fails only if we lead a session already
    umask(Mode::from_raw_mode(0o022));
    let _ = std::env::set_current_dir("/");
    close_fds::CloseFdsBuilder::new().cloexecfrom(3);
}

/// Runs the command to its end. `None`: the server never said go.
fn supervise(order: &Order, server: &mut Channel) -> Result<Option<Exit>, SetupError> {
    let clock = Arc::new(SystemClock);
    let signals = watch::Signals::listen().trying(|| "listen for signals".to_owned())?;
    // Before the user namespace takes the right to make groups.
    let (start_time, mut groups) = prepare(order)?;
    let log = LogWriter::open(&order.spec.log.file, order.spec.log.max_bytes, clock.clone())
        .trying(|| format!("open the log `{}`", order.spec.log.file.display()))?;
    let told = server.send(&FromSupervisor::Ready { start_time });
    if !told.is_ok_and(|()| matches!(server.receive(), Ok(Some(Go)))) {
        groups.remove();
        return Ok(None);
    }
    let started = match &order.spec.container {
        None => start_sandbox(order, &mut groups),
        Some(container) => Container::start(&order.spec, container)
            .map(|(container, streams)| (Sandbox::of_container(container, streams), Vec::new())),
    };
    let (sandbox, layers) = match started {
        Ok(started) => started,
        Err(error) => {
            groups.remove();
            return Err(error);
        }
    };
    let started_millis = clock.now_millis();
    let _ = server.send(&FromSupervisor::Started { layers });
    let lifeline = order.spec.ends_with_server.then_some(&*server);
    let end = sandbox.run(&order.spec, log, &signals, &groups, lifeline);
    groups.remove();
    let ended_millis = clock.now_millis();
    let (status, cause) = (end.status, end.cause);
    let (cpu_millis, peak_memory) = (end.cpu_millis, end.peak_memory);
    Ok(Some(Exit { status, cause, started_millis, ended_millis, cpu_millis, peak_memory }))
}

/// Makes the control folder with the note that says who we are, and the folder for the root.
fn prepare(order: &Order) -> Result<(u64, Groups), SetupError> {
    let control = &order.spec.control;
    let make = |folder: &Path| fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
    make(&control.join(ROOT)).trying(|| format!("make `{}`", control.display()))?;
    let pid = std::process::id();
    let start_time = processes::start_time(pid)
        .ok_or_else(|| SetupError::new("read `/proc/self/stat`", "it tells no start time"))?;
    let name = format!("bessemer-{pid}-{start_time}");
    let container = order.spec.container.as_ref();
    let container =
        container.map(|of| ContainerNote { host: of.host.clone(), name: of.name.clone() });
    // The groups of a container are Docker's.
    let controllers = if container.is_some() { &[][..] } else { &order.controllers };
    let groups = Groups::make(controllers, &order.spec.limits, &name);
    let (boot, folders) = (processes::boot_id().to_owned(), groups.folders());
    let note = ProcessNote { pid, start_time, boot, groups: folders, container };
    let noted = note.write(control).and_then(|()| EndNote::make_room(control));
    noted.trying(|| format!("write in `{}`", control.display()))?;
    Ok((start_time, groups))
}

fn start_sandbox(
    order: &Order,
    groups: &mut Groups,
) -> Result<(Sandbox, Vec<LayerState>), SetupError> {
    let user_namespace = !geteuid().is_root();
    own_namespaces(user_namespace)?;
    start_init(order, groups, user_namespace)
}

/// A PID namespace for our children, and rights to set them up where we have none.
fn own_namespaces(user_namespace: bool) -> Result<(), SetupError> {
    let hint = "a user's sandbox needs user namespaces: see `kernel.unprivileged_userns_clone`, \
                `kernel.apparmor_restrict_unprivileged_userns` and `user.max_user_namespaces`";
    if user_namespace {
        let (user, group) = (getuid().as_raw(), getgid().as_raw());
        let failed =
            |error: io::Error| SetupError::new("make a user namespace", format!("{error}; {hint}"));
        super::unshare(UnshareFlags::NEWUSER).map_err(|error| failed(error.into()))?;
        fs::write("/proc/self/setgroups", "deny").map_err(failed)?;
        fs::write("/proc/self/uid_map", format!("0 {user} 1")).map_err(failed)?;
        fs::write("/proc/self/gid_map", format!("0 {group} 1")).map_err(failed)?;
    }
    super::unshare(UnshareFlags::NEWPID).trying(|| "make a PID namespace".to_owned())?;
    // Not before: who is closed to others can't write its own maps.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).trying(|| "close our memory".to_owned())
}

fn start_init(
    order: &Order,
    groups: &mut Groups,
    user_namespace: bool,
) -> Result<(Sandbox, Vec<LayerState>), SetupError> {
    let (output, output_writer) = io::pipe().trying(|| "make a pipe".to_owned())?;
    let (errors, errors_writer) = io::pipe().trying(|| "make a pipe".to_owned())?;
    let (ours, theirs) = UnixStream::pair().trying(|| "make a socket".to_owned())?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args([SANDBOX_VERB, INIT])
        .env_clear()
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .stdout(output_writer)
        .stderr(errors_writer);
    let child = command.spawn().trying(|| "start the sandbox's first process".to_owned())?;
    drop(command); // it holds the writing ends
    groups.join(child.id());
    let mut init = Init { child, channel: Channel::new(ours) };
    let mut layers = init.set_up(order, groups, user_namespace)?;
    layers.extend(groups.layers());
    let Init { child, channel } = init;
    Ok((Sandbox::new(child, channel, output, errors), layers))
}

struct Init {
    child: Child,
    channel: Channel,
}

impl Init {
    fn set_up(
        &mut self,
        order: &Order,
        groups: &Groups,
        user_namespace: bool,
    ) -> Result<Vec<LayerState>, SetupError> {
        let silent =
            |reason: String| SetupError::new("hear from the sandbox's first process", reason);
        let order = InitOrder {
            spec: order.spec.clone(),
            user_namespace,
            allow_missing: order.allow_missing,
            memory_limits: !groups.limits_memory(),
        };
        let answer = self.channel.send(&order).and_then(|()| self.channel.receive::<FromInit>());
        match answer {
            Ok(Some(FromInit::Started { layers })) => Ok(layers),
            Ok(Some(FromInit::Failed(error))) => {
                let _ = self.child.wait();
                Err(error)
            }
            Ok(Some(FromInit::Ended { .. })) => Err(silent("it spoke out of turn".to_owned())),
            Ok(None) | Err(_) => {
                let _ = self.child.kill();
                let status = self.child.wait().map_or_else(|e| e.to_string(), |s| s.to_string());
                Err(silent(status))
            }
        }
    }
}
