//! A data directory with a job in it, and one of another job beside it.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bessemer_compute::{
    Bind, Child, Controller, Exit, LaunchOptions, Launcher, LogSink, ProcessSpec, UidRange,
    hand_over,
    logs::{LogReader, Window},
};
use tempfile::TempDir;

/// What every secret of the tests holds.
pub(crate) const SECRET: &str = "canary-7d1f";
/// Names the program that the sandboxes are made by, if it isn't the one that cargo built.
pub(crate) const PROGRAM: &str = "BESSEMER_TEST_SANDBOX_HOST";

pub(crate) struct Site {
    folder: TempDir,
    pub(crate) launcher: Launcher,
    /// The running number of job 1; job 2 has the next. Users are told apart by it, and the limit of
    /// processes is a user's.
    first: u64,
}

impl Site {
    /// Control groups are left out: what they limit has to hold without them, too.
    pub(crate) fn new() -> Self {
        Self::with_groups(&[])
    }

    pub(crate) fn with_groups(controllers: &[Controller]) -> Self {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let first = NUMBERS.fetch_add(2, Ordering::SeqCst);
        let folder = tempfile::tempdir().unwrap();
        for job in ["runs/1/ml", "runs/2/ml"] {
            fs::create_dir_all(folder.path().join(job)).unwrap();
        }
        fs::write(folder.path().join("bessemer.db"), SECRET).unwrap();
        fs::write(folder.path().join("runs/2/ml/secret"), SECRET).unwrap();
        fs::write(folder.path().join("runs/1/ml/own"), "mine").unwrap();
        if is_root() {
            hand_over(&folder.path().join("runs/1/ml"), uid(first)).unwrap();
            hand_over(&folder.path().join("runs/2/ml"), uid(first + 1)).unwrap();
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let options = LaunchOptions {
            program: program(),
            controllers: controllers.to_vec(),
            allow_missing: false,
        };
        Self { folder, launcher: Launcher::new(options), first }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Job 1, running `command` with `args`, its folder at `/opt/ml`.
    pub(crate) fn spec(&self, command: &str, args: &[&str]) -> ProcessSpec {
        let log = LogSink::new(self.path("logs/1.log"));
        let mut spec = ProcessSpec::new(command, self.path("runs/1/control"), log);
        spec.args = args.iter().map(Into::into).collect();
        spec.env = vec![("PATH".into(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".into())];
        spec.mounts = vec![Bind::writable(self.path("runs/1/ml"), "/opt/ml")];
        spec.cwd = "/opt/ml".into();
        spec.uid = is_root().then(|| self.uid());
        spec
    }

    /// The user of job 1, under root.
    pub(crate) fn uid(&self) -> u32 {
        uid(self.first)
    }

    pub(crate) fn sh(&self, script: &str) -> ProcessSpec {
        self.spec("/bin/sh", &["-c", script])
    }

    pub(crate) fn python(&self, script: &str) -> ProcessSpec {
        self.spec("/usr/bin/python3", &["-c", script])
    }

    /// Runs to the end: the end, and all output.
    pub(crate) fn run(&self, spec: &ProcessSpec) -> (Exit, String) {
        let child = self.launcher.start(spec).unwrap_or_else(|error| panic!("{error}"));
        let exit = child.wait().unwrap();
        (exit, self.output())
    }

    /// All output so far, line by line.
    pub(crate) fn output(&self) -> String {
        let Some(mut log) = LogReader::open(&self.path("logs/1.log")).unwrap() else {
            return String::new();
        };
        let all = Window { most: usize::MAX, most_bytes: usize::MAX, ..Window::default() };
        let records = log.forward(0, &all).unwrap().records;
        records.iter().map(|record| record.text.clone() + "\n").collect()
    }

    /// Waits until the output holds `text`.
    pub(crate) fn wait_for_output(&self, child: &Child, text: &str) {
        let started = Instant::now();
        while !self.output().contains(text) {
            let ended = child.wait_for(Duration::from_millis(5)).unwrap();
            assert!(
                ended.is_none() || self.output().contains(text),
                "{ended:?}: {}",
                self.output()
            );
            assert!(started.elapsed() < Duration::from_mins(1), "no `{text}`: {}", self.output());
        }
    }
}

pub(crate) fn program() -> PathBuf {
    env::var_os(PROGRAM).map_or_else(|| env!("CARGO_BIN_EXE_sandbox-host").into(), PathBuf::from)
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn uid(job: u64) -> u32 {
    UidRange::default().of_attempt(job)
}

/// Whether a process with this number is there.
pub(crate) fn exists(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
