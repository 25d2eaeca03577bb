//! One process group: a shell command, from its start until the last of its processes is gone.

use std::{
    fs::File,
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, ExitStatus},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid},
};

use super::{copy::Command, memory::group_lives, output::Output, watchdog::Watchdog};

/// How long a group may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(2);
/// How long the last output of an ended process may take to be read.
const DRAIN: Duration = Duration::from_millis(50);

/// A running or ended command.
#[derive(Debug)]
pub(super) struct Process {
    group: Pid,
    pub(super) output: Arc<Output>,
    ended: Mutex<Option<Exit>>,
    changed: Condvar,
    /// Set when the group was asked to end, so that its members get their time.
    ending: AtomicBool,
    /// Why we ended it, if we did.
    reason: Mutex<Option<&'static str>>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) struct Exit {
    status: ExitStatus,
    /// Why we ended it, if we did.
    reason: Option<&'static str>,
}

impl Process {
    /// Starts `command` on `port`.
    pub(super) fn start(
        command: &Command,
        port: u16,
        watchdog: &Arc<Watchdog>,
        log: Option<Arc<File>>,
        copy: usize,
    ) -> io::Result<Arc<Self>> {
        let (reader, writer) = io::pipe()?;
        let mut shell = watchdog.watched(&command.line(port))?;
        shell.envs(command.environment(port)).stdout(writer.try_clone()?).stderr(writer);
        let child = shell.spawn()?;
        drop(shell); // it holds the writing ends
        let process = Arc::new(Self {
            group: Pid::from_child(&child),
            output: Output::follow(reader, log, copy),
            ended: Mutex::new(None),
            changed: Condvar::new(),
            ending: AtomicBool::new(false),
            reason: Mutex::new(None),
        });
        let (watched, watchdog) = (Arc::clone(&process), Arc::clone(watchdog));
        thread::spawn(move || watched.reap(child, watchdog));
        Ok(process)
    }

    /// The number of the process group, which is that of its first process.
    pub(super) fn group(&self) -> Pid {
        self.group
    }

    /// How it ended, waiting for `patience` at most.
    pub(super) fn wait_exit(&self, patience: Duration) -> Option<Exit> {
        let waiting =
            self.changed.wait_timeout_while(self.lock(), patience, |ended| ended.is_none());
        *waiting.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lock().is_some()
    }

    /// How it ended, waiting for as long as it takes.
    pub(super) fn wait(&self) -> Exit {
        let waiting = self.changed.wait_while(self.lock(), |ended| ended.is_none());
        (*waiting.unwrap_or_else(PoisonError::into_inner)).expect("waited until it ended")
    }

    /// Asks the whole group to end.
    pub(super) fn terminate(&self, reason: &'static str) {
        self.signal(Signal::TERM, reason);
    }

    /// Ends the whole group, by force [`GRACE`] after `asked`, when it was asked to end.
    pub(super) fn end(&self, asked: Instant, reason: &'static str) {
        self.terminate(reason);
        if self.wait_exit(GRACE.saturating_sub(asked.elapsed())).is_none() {
            self.kill(reason);
            self.wait_exit(GRACE);
        }
    }

    /// Ends the whole group by force.
    pub(super) fn kill(&self, reason: &'static str) {
        self.signal(Signal::KILL, reason);
    }

    /// The group exists for as long as `ended` is unset, since that is set after the last of its
    /// processes is gone: the number can't mean another group here.
    fn signal(&self, signal: Signal, reason: &'static str) {
        let ended = self.lock();
        if ended.is_none() {
            self.reason.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(reason);
            self.ending.store(signal == Signal::TERM, Ordering::SeqCst);
            let _ = kill_process_group(self.group, signal);
        }
    }

    /// Waits for the first process to end and ends the rest of its group.
    fn reap(&self, mut child: Child, watchdog: Arc<Watchdog>) {
        // NOWAIT leaves a zombie, which keeps the group's number ours until `child.wait`.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(WaitId::Pid(self.group), options), Err(Errno::INTR)) {}
        if !self.ending.load(Ordering::SeqCst) {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        let status = child.wait().expect("a child that was not waited for can be");
        if self.ending.load(Ordering::SeqCst) {
            let since = Instant::now();
            while group_lives(self.group) && since.elapsed() < GRACE {
                thread::sleep(Duration::from_millis(2));
            }
            let _ = kill_process_group(self.group, Signal::KILL);
        }
        watchdog.forget(self.group);
        drop(watchdog); // whoever waits for this end may expect the last of it gone
        self.output.wait_whole(DRAIN);
        let reason = *self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *self.lock() = Some(Exit { status, reason });
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(reason) = self.reason {
            return f.write_str(reason);
        }
        // A shell tells of a signal with 128 and its number.
        let code = self.status.code();
        let signal =
            self.status.signal().or(code.filter(|c| (129..=159).contains(c)).map(|c| c - 128));
        match signal.and_then(Signal::from_named_raw) {
            Some(signal) => {
                let number = signal.as_raw();
                write!(f, "was killed by signal {number} ({})", signal_name(signal))?;
                f.write_str(if signal == Signal::KILL {
                    ", perhaps for want of memory"
                } else {
                    ""
                })
            }
            None => match (code, signal) {
                (Some(code), _) => write!(f, "exited with status {code}"),
                (None, Some(number)) => write!(f, "was killed by signal {number}"),
                (None, None) => f.write_str("ended"),
            },
        }
    }
}

fn signal_name(signal: Signal) -> &'static str {
    match signal {
        Signal::ABORT => "SIGABRT",
        Signal::BUS => "SIGBUS",
        Signal::FPE => "SIGFPE",
        Signal::ILL => "SIGILL",
        Signal::INT => "SIGINT",
        Signal::KILL => "SIGKILL",
        Signal::PIPE => "SIGPIPE",
        Signal::SEGV => "SIGSEGV",
        Signal::TERM => "SIGTERM",
        _ => "another",
    }
}
