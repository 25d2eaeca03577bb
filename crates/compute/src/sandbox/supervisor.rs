//! The process outside a sandbox that looks after it, whether the server lives or not.

use std::{
    fs, io,
    io::{PipeReader, PipeWriter},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{fs::DirBuilderExt, net::UnixStream},
    },
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use bessemer_domain::{Clock, SystemClock};
use rustix::{
    process::{DumpableBehavior, geteuid, getgid, getuid, set_dumpable_behavior, setsid},
    thread::UnshareFlags,
};

use super::{
    forked::Forked,
    init,
    protocol::{Channel, FromInit, FromSupervisor, Go, Order, SetUp},
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

/// What a process is after [`prepare`].
enum Part {
    Supervisor(Prepared),
    /// The copy that is the first process of the sandbox.
    Init(Inside),
}

/// What waits for the server's word.
struct Prepared {
    start_time: u64,
    groups: Groups,
    /// The sandbox, unless it is a container.
    init: Option<(Init, [PipeReader; 2])>,
}

/// What the first process of a sandbox has: its line to the supervisor, and the command's output.
pub(super) struct Inside {
    pub(super) channel: Channel,
    pub(super) output: PipeWriter,
    pub(super) errors: PipeWriter,
    /// Whether it is in a user namespace rather than real root.
    pub(super) user_namespace: bool,
}

/// The first process of a sandbox, which ends with this.
#[derive(Debug)]
pub(crate) struct Init {
    process: Forked,
    pub(crate) channel: Channel,
}

pub(super) fn main(mut server: Channel) -> ExitCode {
    let Ok(Some(order)) = server.receive::<Order>() else { return ExitCode::FAILURE };
    let _ = setsid(); // it never leads a session before
    let prepared = match prepare(&order) {
        Ok(Part::Init(inside)) => {
            drop(server);
            return init::main(&order, inside);
        }
        Ok(Part::Supervisor(prepared)) => Ok(prepared),
        Err(error) => Err(error),
    };
    let end = match prepared.and_then(|prepared| supervise(&order, prepared, &mut server)) {
        Ok(Some(exit)) => EndNote::Ended(exit),
        // The server went away before it said go.
        Ok(None) => EndNote::Ended(Exit::never_ran()),
        Err(error) => {
            let _ = server.send(&FromSupervisor::Failed(error.clone()));
            EndNote::Failed(error)
        }
    };
    if end.write(&order.spec.control).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes the control folder with the note that says who we are, and the sandbox's first process.
fn prepare(order: &Order) -> Result<Part, SetupError> {
    let control = &order.spec.control;
    let make = |folder: &Path| fs::DirBuilder::new().mode(0o700).recursive(true).create(folder);
    make(control).trying(|| format!("make `{}`", control.display()))?;
    let pid = std::process::id();
    let start_time = processes::start_time(pid)
        .ok_or_else(|| SetupError::new("read `/proc/self/stat`", "it tells no start time"))?;
    let name = format!("bessemer-{pid}-{start_time}");
    let container = order.spec.container.as_ref();
    let container =
        container.map(|of| ContainerNote { host: of.host.clone(), name: of.name.clone() });
    // The groups of a container are Docker's.
    let is_ours = container.is_none();
    let controllers = if is_ours { &order.controllers[..] } else { &[] };
    // Before a user namespace takes the right to make groups.
    let mut groups = Groups::make(controllers, &order.spec.limits, &name);
    let (boot, folders) = (processes::boot_id().to_owned(), groups.folders());
    let note = ProcessNote { pid, start_time, boot, groups: folders, container };
    let noted = note.write(control).and_then(|()| EndNote::make_room(control));
    let noted = noted.trying(|| format!("write in `{}`", control.display()));
    let forked = match noted {
        Ok(()) if is_ours => fork_init(&mut groups),
        Ok(()) => Ok(Forking::Outside(None)),
        Err(error) => Err(error),
    };
    match forked {
        Ok(Forking::Inside(inside)) => Ok(Part::Init(inside)),
        Ok(Forking::Outside(init)) => Ok(Part::Supervisor(Prepared { start_time, groups, init })),
        Err(error) => {
            groups.remove();
            Err(error)
        }
    }
}

/// Which of two processes this is.
enum Forking {
    Inside(Inside),
    Outside(Option<(Init, [PipeReader; 2])>),
}

/// Makes the first process of the sandbox, which sets it up by what it knows from us.
fn fork_init(groups: &mut Groups) -> Result<Forking, SetupError> {
    let user_namespace = !geteuid().is_root();
    own_namespaces(user_namespace)?;
    let (output, output_writer) = io::pipe().trying(|| "make a pipe".to_owned())?;
    let (errors, errors_writer) = io::pipe().trying(|| "make a pipe".to_owned())?;
    let (ours, theirs) = UnixStream::pair().trying(|| "make a socket".to_owned())?;
    let forked = Forked::fork().trying(|| "start the sandbox's first process".to_owned())?;
    let Some(process) = forked else {
        return Ok(Forking::Inside(Inside {
            channel: Channel::new(theirs),
            output: output_writer,
            errors: errors_writer,
            user_namespace,
        }));
    };
    let mut init = Init { process, channel: Channel::new(ours) };
    // Not before: who is closed to others can't write its own maps.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .trying(|| "close our memory".to_owned())?;
    groups.join(init.process.id());
    // Whether it hears that is told by its answer.
    let _ = init.channel.send(&SetUp { memory_limits: !groups.limits_memory() });
    Ok(Forking::Outside(Some((init, [output, errors]))))
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
    super::unshare(UnshareFlags::NEWPID).trying(|| "make a PID namespace".to_owned())
}

/// Runs the command to its end. `None`: the server never said go.
fn supervise(
    order: &Order,
    prepared: Prepared,
    server: &mut Channel,
) -> Result<Option<Exit>, SetupError> {
    let Prepared { start_time, groups, init } = prepared;
    let exit = supervise_in(order, &groups, (start_time, init), server);
    groups.remove();
    exit
}

fn supervise_in(
    order: &Order,
    groups: &Groups,
    (start_time, init): (u64, Option<(Init, [PipeReader; 2])>),
    server: &mut Channel,
) -> Result<Option<Exit>, SetupError> {
    let clock = Arc::new(SystemClock);
    let signals = watch::Signals::listen().trying(|| "listen for signals".to_owned())?;
    let log = LogWriter::open(&order.spec.log.file, order.spec.log.max_bytes, clock.clone())
        .trying(|| format!("open the log `{}`", order.spec.log.file.display()))?;
    let told = server.send(&FromSupervisor::Ready { pid: std::process::id(), start_time });
    if !told.is_ok_and(|()| matches!(server.receive(), Ok(Some(Go)))) {
        return Ok(None);
    }
    let (sandbox, layers) = match (init, &order.spec.container) {
        (Some((mut init, streams)), _) => {
            let mut layers = init.go()?;
            layers.extend(groups.layers());
            (Sandbox::new(init, streams), layers)
        }
        (None, Some(container)) => {
            let (container, streams) = Container::start(&order.spec, container)?;
            (Sandbox::of_container(container, streams), Vec::new())
        }
        (None, None) => return Err(SetupError::new("start", "there is nothing to start")),
    };
    let started_millis = clock.now_millis();
    let _ = server.send(&FromSupervisor::Started { layers });
    let lifeline = order.spec.ends_with_server.then_some(&*server);
    let end = sandbox.run(&order.spec, log, &signals, groups, lifeline);
    let ended_millis = clock.now_millis();
    let (status, cause) = (end.status, end.cause);
    let (cpu_millis, peak_memory) = (end.cpu_millis, end.peak_memory);
    Ok(Some(Exit { status, cause, started_millis, ended_millis, cpu_millis, peak_memory }))
}

impl Init {
    /// Lets it run the command. When this returns, it runs.
    fn go(&mut self) -> Result<Vec<LayerState>, SetupError> {
        let silent =
            |reason: &str| SetupError::new("hear from the sandbox's first process", reason);
        // If it has failed and is gone, it has told why.
        let _ = self.channel.send(&Go);
        match self.channel.receive::<FromInit>() {
            Ok(Some(FromInit::Started { layers })) => Ok(layers),
            Ok(Some(FromInit::Failed(error))) => Err(error),
            Ok(Some(FromInit::Ended { .. })) => Err(silent("it spoke out of turn")),
            Ok(None) => Err(silent("it has ended")),
            Err(error) => Err(silent(&error.to_string())),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it by force, and with it all inside.
    pub(crate) fn kill(&self) {
        let _ = self.process.kill();
    }

    /// Waits for its end, which is the last inside.
    pub(crate) fn wait(&self) {
        self.process.wait();
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        self.kill();
        self.wait();
    }
}

impl AsFd for Init {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
