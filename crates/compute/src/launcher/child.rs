//! A sandboxed process, as its server sees it.

use std::{
    fmt,
    io::{self},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use super::{EndNote, ProcessNote};
use crate::{
    Exit, LaunchError, LayerState, SetupError, Status, processes, sandbox::protocol::Channel,
};

/// The name of a process for as long as the machine runs: its number, and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProcessId {
    /// The number.
    pub pid: u32,
    /// The kernel's ticks from boot to its start.
    pub start_time: u64,
}

/// A sandboxed process. Dropping this leaves it running, unless its order says that it ends with its
/// server.
pub struct Child {
    id: ProcessId,
    control: PathBuf,
    /// Names the supervisor, whatever its number comes to mean.
    process: OwnedFd,
    layers: Vec<LayerState>,
    /// Its supervisor ends all when this is closed.
    _lifeline: Option<Channel>,
}

/// What became of a process of which a control folder tells.
#[derive(Debug)]
pub enum Attached {
    /// It runs.
    Running(Child),
    /// It has ended.
    Ended(Exit),
    /// It could not be started.
    Failed(SetupError),
    /// Nothing was ever started there.
    Nothing,
}

impl ProcessId {
    /// Whether this very process is still there.
    #[must_use]
    pub fn is_alive(self) -> bool {
        processes::start_time(self.pid) == Some(self.start_time)
    }

    /// Ends this very process by force, and with it its sandbox. Whether it was there.
    pub fn kill_orphan(self) -> io::Result<bool> {
        let Some(process) = self.open()? else { return Ok(false) };
        signal(&process, Signal::KILL)?;
        Ok(true)
    }

    /// A name for the process that stays its own; `None` if it is gone.
    fn open(self) -> io::Result<Option<OwnedFd>> {
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return Ok(None);
        };
        match pidfd_open(pid, PidfdFlags::empty()) {
            // Looked at after the name was taken: so the name is of the process that we mean.
            Ok(process) => Ok(self.is_alive().then_some(process)),
            Err(Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl Child {
    pub(super) fn new(
        id: ProcessId,
        control: PathBuf,
        process: OwnedFd,
        layers: Vec<LayerState>,
        lifeline: Option<Channel>,
    ) -> Self {
        Self { id, control, process, layers, _lifeline: lifeline }
    }

    /// Finds the process of `control` again.
    pub(super) fn attach(control: &Path) -> Result<Attached, LaunchError> {
        let failed = |source| LaunchError::File {
            task: "read the notes in",
            path: control.to_owned(),
            source,
        };
        let Some(note) = ProcessNote::read(control).map_err(failed)? else {
            return Ok(Attached::Nothing);
        };
        let id = ProcessId { pid: note.pid, start_time: note.start_time };
        let process =
            if note.boot == processes::boot_id() { id.open().map_err(failed)? } else { None };
        let Some(process) = process else {
            return match EndNote::read(control).map_err(failed)? {
                Some(EndNote::Ended(exit)) => Ok(Attached::Ended(exit)),
                Some(EndNote::Failed(error)) => Ok(Attached::Failed(error)),
                None => {
                    note.clear().map_err(failed)?;
                    Ok(Attached::Ended(Exit::lost()))
                }
            };
        };
        let control = control.to_owned();
        let layers = Vec::new();
        Ok(Attached::Running(Self { id, control, process, layers, _lifeline: None }))
    }

    /// The process to look for after a restart: the supervisor, which stands for the sandbox.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The layers of its sandbox; empty after [`crate::Launcher::reattach`].
    #[must_use]
    pub fn layers(&self) -> &[LayerState] {
        &self.layers
    }

    /// Bytes of memory that its processes hold now, each shared page counted for each of them.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let all = processes::tree(self.id.pid);
        let inside: Vec<u32> = all.into_iter().filter(|pid| *pid != self.id.pid).collect();
        processes::memory_bound(&inside)
    }

    /// Waits for the end: the last process is gone, and the log is whole. Any number of threads may
    /// wait, any number of times.
    pub fn wait(&self) -> Result<Exit, LaunchError> {
        loop {
            if let Some(exit) = self.wait_for(Duration::from_hours(1))? {
                return Ok(exit);
            }
        }
    }

    /// Waits for the end for `patience` at most.
    pub fn wait_for(&self, patience: Duration) -> Result<Option<Exit>, LaunchError> {
        let deadline = Instant::now() + patience;
        loop {
            let mut files = [PollFd::new(&self.process, PollFlags::IN)];
            let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok();
            match poll(&mut files, left.as_ref()) {
                Ok(0) => return Ok(None),
                Ok(_) => return self.ended().map(Some),
                Err(Errno::INTR) => {}
                Err(error) => return Err(self.failed("wait for the process of", error.into())),
            }
        }
    }

    /// Asks the command's process group to end, by SIGTERM; what is still there after the grace of
    /// its order is killed. Returns at once. Not an error if it has ended.
    pub fn stop(&self) -> Result<(), LaunchError> {
        self.signal(Signal::TERM)
    }

    /// Ends all of it at once.
    pub fn kill(&self) -> Result<(), LaunchError> {
        self.signal(Signal::USR1)
    }

    fn signal(&self, number: Signal) -> Result<(), LaunchError> {
        signal(&self.process, number).map_err(|source| self.failed("signal the process of", source))
    }

    fn ended(&self) -> Result<Exit, LaunchError> {
        let note = EndNote::read(&self.control);
        match note.map_err(|source| self.failed("read the notes in", source))? {
            Some(EndNote::Ended(exit)) => Ok(exit),
            Some(EndNote::Failed(error)) => Err(LaunchError::Sandbox(error)),
            None => {
                if let Ok(Some(note)) = ProcessNote::read(&self.control) {
                    let failed = |source| self.failed("clear away the process of", source);
                    note.clear().map_err(failed)?;
                }
                Ok(Exit { status: Status::Lost, ..Exit::lost() })
            }
        }
    }

    fn failed(&self, task: &'static str, source: io::Error) -> LaunchError {
        LaunchError::File { task, path: self.control.clone(), source }
    }
}

impl AsFd for Child {
    /// A descriptor that can be read from when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id)
            .field("control", &self.control)
            .finish_non_exhaustive()
    }
}

/// Signals a process. One that has ended is none's concern.
fn signal(process: &OwnedFd, signal: Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
