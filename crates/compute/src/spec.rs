//! What to run and with what: the order for one process.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::docker::ContainerSpec;

/// A process to run in a sandbox. It inherits nothing: no environment, no open files, no folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSpec {
    /// The program: a path inside the sandbox, or a name to find on `PATH` of [`Self::env`].
    pub command: OsString,
    /// Its arguments, without the program's name.
    pub args: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// The folder to start in, as a path inside the sandbox.
    pub cwd: PathBuf,
    /// User and group of the process, where the launcher is root; see [`crate::UidRange`]. Required
    /// there, and ignored elsewhere: an ordinary user's sandbox runs as that user, who is shown as
    /// root (without any of its rights) inside.
    pub uid: Option<u32>,
    /// The name that `hostname` tells, such as `algo-1`.
    pub hostname: String,
    /// Further lines of `/etc/hosts`: address and name.
    pub hosts: Vec<(String, String)>,
    /// What of this machine is seen inside, in the order in which it is put there.
    pub mounts: Vec<Bind>,
    /// Whether the process shares this machine's network. If not, it has a loopback of its own.
    pub network: bool,
    /// What it may take.
    pub limits: Limits,
    /// The time from SIGTERM to SIGKILL when it is stopped.
    pub stop_grace: Duration,
    /// The time after which it is stopped as by [`crate::Child::stop`]; none: never.
    pub timeout: Option<Duration>,
    /// A folder for the launcher's own notes on this process, made if it isn't there. It has to be
    /// new for each process, to stay until its end was read, and to be in none of the `mounts`.
    pub control: PathBuf,
    /// Where the lines that it writes go.
    pub log: LogSink,
    /// Whether it is killed when its [`crate::Child`] is dropped or the server ends, rather than
    /// live on.
    pub ends_with_server: bool,
    /// The container to run in, instead of a sandbox.
    #[serde(default)]
    pub container: Option<ContainerSpec>,
}

/// A file or folder of this machine that is seen inside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// The absolute path outside.
    pub source: PathBuf,
    /// The absolute path inside.
    pub target: PathBuf,
    /// Whether nothing below can be changed.
    pub read_only: bool,
}

impl Bind {
    /// `source`, readable inside as `target`.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), read_only: true }
    }

    /// `source`, readable and writable inside as `target`.
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), read_only: false }
    }
}

/// What all processes of a sandbox may take together, unless said otherwise. `None`: no limit of
/// ours.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Processor cores. Enforced only where control groups are.
    pub cores: Option<f64>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Bytes of one file.
    pub file_size: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u32>,
    /// Bytes on disk below all writable mounts, looked at about once a second.
    pub disk: Option<u64>,
    /// Bytes in `/tmp` and, again, in `/dev/shm`, which are memory unless something is mounted there.
    pub tmp: Option<u64>,
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSink {
    /// The file, which is appended to (see [`crate::logs`] for its format). Its folder is made.
    pub file: PathBuf,
    /// Bytes after which the rest is dropped, with a line that says so.
    pub max_bytes: u64,
}

impl LogSink {
    /// A sink for up to 4 GiB.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into(), max_bytes: 4 << 30 }
    }
}

impl ProcessSpec {
    /// `command` with nothing but what it needs to start: no arguments, no environment, no network,
    /// a second of grace, in `/`.
    pub fn new(command: impl Into<OsString>, control: impl Into<PathBuf>, log: LogSink) -> Self {
        Self {
            command: command.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            uid: None,
            hostname: "algo-1".to_owned(),
            hosts: Vec::new(),
            mounts: Vec::new(),
            network: false,
            limits: Limits::default(),
            stop_grace: Duration::from_secs(1),
            timeout: None,
            control: control.into(),
            log,
            ends_with_server: false,
            container: None,
        }
    }
}

/// User ids that belong to nobody else, one for each running attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UidRange {
    /// The first of them.
    pub first: u32,
    /// How many there are, at least one.
    pub count: u32,
}

impl Default for UidRange {
    /// 65,536 ids above those that distributions and subordinate-id tools give out.
    fn default() -> Self {
        Self { first: 1_879_048_192, count: 65_536 }
    }
}

impl UidRange {
    /// The id for the attempt with this running number. Ids come again after `count` attempts.
    #[must_use]
    pub fn of_attempt(self, number: u64) -> u32 {
        self.first + (number % u64::from(self.count.max(1))) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_in_their_range_and_differ_between_neighbours() {
        let range = UidRange { first: 1000, count: 3 };
        let ids: Vec<u32> = (0..4).map(|number| range.of_attempt(number)).collect();
        assert_eq!(ids, [1000, 1001, 1002, 1000]);
        assert_eq!(range.of_attempt(u64::MAX), 1000 + (u64::MAX % 3) as u32);
    }
}
