//! Starts a supervisor and hands it the order.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{Attached, Child, ProcessId, spawner::Spawner};
use crate::{
    LaunchError, LayerState, LogSink, ProcessSpec,
    cgroups::Controller,
    sandbox::protocol::{Channel, FromSupervisor, Go, Order},
};

/// How sandboxes are made.
#[derive(Debug, Clone)]
pub struct LaunchOptions {
    /// The program that runs [`crate::sandbox_main`] when its first argument is
    /// [`crate::SANDBOX_VERB`].
    pub program: PathBuf,
    /// The control groups that may be used, below the group that the server is in.
    pub controllers: Vec<Controller>,
    /// Whether commands may run where Landlock or seccomp is missing. (Namespaces have to be there in
    /// any case: without them, the mounts of an order can't be made.)
    pub allow_missing: bool,
}

impl Default for LaunchOptions {
    /// This very program, all control groups, and no command without every layer.
    fn default() -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            controllers: Controller::ALL.to_vec(),
            allow_missing: false,
        }
    }
}

/// Starts commands in sandboxes.
#[derive(Debug, Clone, Default)]
pub struct Launcher {
    options: LaunchOptions,
    /// What makes supervisors, from the first that is asked for.
    spawner: Arc<Mutex<Option<Spawner>>>,
}

/// A sandbox whose command waits to be let go. If it never is, it never runs.
#[derive(Debug)]
pub struct Prepared {
    id: ProcessId,
    control: PathBuf,
    ends_with_server: bool,
    channel: Option<Channel>,
    /// Names the supervisor, whatever its number comes to mean.
    supervisor: Option<OwnedFd>,
}

impl Launcher {
    /// A launcher with these options.
    #[must_use]
    pub fn new(options: LaunchOptions) -> Self {
        Self { options, spawner: Arc::default() }
    }

    /// Starts the command of `spec`. When this returns, it runs. Blocks for some milliseconds.
    ///
    /// If the server dies in the middle, either the command never runs, or `spec.control` tells of it.
    pub fn start(&self, spec: &ProcessSpec) -> Result<Child, LaunchError> {
        self.prepare(spec)?.go()
    }

    /// Starts the supervisor of `spec`'s command, which runs the command when it is told to
    /// ([`Prepared::go`]) and ends if it never is.
    pub fn prepare(&self, spec: &ProcessSpec) -> Result<Prepared, LaunchError> {
        check(spec)?;
        let channel = Some(self.supervisor()?);
        let (id, control) = (ProcessId { pid: 0, start_time: 0 }, spec.control.clone());
        let ends_with_server = spec.ends_with_server;
        let mut prepared = Prepared { id, control, ends_with_server, channel, supervisor: None };
        let order = Order {
            spec: spec.clone(),
            controllers: self.options.controllers.clone(),
            allow_missing: self.options.allow_missing,
        };
        match prepared.say(&order)? {
            FromSupervisor::Ready { pid, start_time } => prepared.watch(pid, start_time)?,
            FromSupervisor::Failed(error) => return Err(LaunchError::Sandbox(error)),
            FromSupervisor::Started { .. } => return Err(LaunchError::Silent),
        }
        Ok(prepared)
    }

    /// A new supervisor, and the line to it.
    fn supervisor(&self) -> Result<Channel, LaunchError> {
        let program = &self.options.program;
        let failed = |source| LaunchError::Start { program: program.clone(), source };
        let mut spawner = self.spawner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*spawner
            && let Ok(line) = running.supervisor()
        {
            return Ok(line);
        }
        // There is none yet, or somebody has ended it.
        let started = Spawner::start(program).map_err(failed)?;
        let line = started.supervisor().map_err(failed)?;
        *spawner = Some(started);
        Ok(line)
    }

    /// Finds the process of a control folder again, such as after a restart of the server.
    pub fn reattach(&self, control: &Path) -> Result<Attached, LaunchError> {
        Child::attach(control)
    }

    /// Which layers hold on this machine, found by starting a sandbox that does nothing. `folder`: an
    /// existing folder for temporary files, on the disk where control folders will be.
    pub fn layers(&self, folder: &Path) -> Result<Vec<LayerState>, LaunchError> {
        let failed =
            |source| LaunchError::File { task: "write in", path: folder.to_owned(), source };
        let temporary =
            tempfile::Builder::new().prefix("probe-").tempdir_in(folder).map_err(failed)?;
        let log = LogSink::new(temporary.path().join("probe.log"));
        let mut spec = ProcessSpec::new("/bin/true", temporary.path().join("control"), log);
        spec.uid = rustix::process::geteuid().is_root().then_some(crate::UidRange::default().first);
        let child = self.start(&spec)?;
        child.wait()?;
        Ok(child.layers().to_vec())
    }
}

impl Prepared {
    /// The process to look for after a restart of the server.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Runs the command. When this returns, it runs.
    pub fn go(mut self) -> Result<Child, LaunchError> {
        match self.say(&Go)? {
            FromSupervisor::Started { layers } => {
                let supervisor = self.supervisor.take().ok_or(LaunchError::Silent)?;
                let lifeline = self.channel.take().filter(|_| self.ends_with_server);
                Ok(Child::new(self.id, self.control.clone(), supervisor, layers, lifeline))
            }
            FromSupervisor::Failed(error) => Err(LaunchError::Sandbox(error)),
            FromSupervisor::Ready { .. } => Err(LaunchError::Silent),
        }
    }

    /// Takes a name for the supervisor that stays its own: it waits for our word, so it is there.
    fn watch(&mut self, pid: u32, start_time: u64) -> Result<(), LaunchError> {
        self.id = ProcessId { pid, start_time };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(LaunchError::Silent)?;
        let opened = pidfd_open(pid, PidfdFlags::empty());
        self.supervisor = Some(opened.map_err(|error| LaunchError::File {
            task: "watch the process of",
            path: self.control.clone(),
            source: error.into(),
        })?);
        Ok(())
    }

    /// Tells the supervisor `message`, and hears what became of it.
    fn say<T: serde::Serialize>(&mut self, message: &T) -> Result<FromSupervisor, LaunchError> {
        let channel = self.channel.as_mut().ok_or(LaunchError::Silent)?;
        let answer = channel.send(message).and_then(|()| channel.receive());
        answer.ok().flatten().ok_or(LaunchError::Silent)
    }
}

impl Drop for Prepared {
    /// Without its word, the supervisor ends by itself.
    fn drop(&mut self) {
        if let Some(channel) = &mut self.channel {
            channel.finish();
            // Its files are closed a moment before it is gone.
            let ended = |process| poll(&mut [PollFd::new(process, PollFlags::IN)], None);
            while self.supervisor.as_ref().is_some_and(|one| ended(one) == Err(Errno::INTR)) {}
        }
    }
}

fn check(spec: &ProcessSpec) -> Result<(), LaunchError> {
    let refuse = |text: String| Err(LaunchError::Spec(text));
    let is_root = rustix::process::geteuid().is_root();
    if is_root && spec.container.is_none() && spec.uid.is_none_or(|uid| uid == 0) {
        return refuse("a process that root starts needs a user of its own".to_owned());
    }
    for (what, path) in [("control folder", &spec.control), ("log", &spec.log.file)] {
        if !path.is_absolute() {
            return refuse(format!("the {what} `{}` is no absolute path", path.display()));
        }
    }
    for bind in &spec.mounts {
        if !bind.source.is_absolute() || !bind.target.is_absolute() {
            let (source, target) = (bind.source.display(), bind.target.display());
            return refuse(format!("the mount of `{source}` as `{target}` has no absolute paths"));
        }
        if spec.control.starts_with(&bind.source) {
            let source = bind.source.display();
            return refuse(format!("the mount of `{source}` would show the control folder"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bind;

    #[test]
    fn orders_that_cannot_be_safe_are_refused() {
        let launcher = Launcher::default();
        let mut spec = ProcessSpec::new("true", "/runs/1/control", LogSink::new("/logs/x.log"));
        spec.uid = Some(7);
        let refused = |spec: &ProcessSpec| launcher.start(spec).unwrap_err().to_string();
        spec.mounts = vec![Bind::writable("/runs/1", "/opt/ml")];
        assert!(refused(&spec).contains("would show the control folder"));
        spec.mounts = vec![Bind::read_only("data", "/data")];
        assert!(refused(&spec).contains("no absolute paths"));
        spec.mounts.clear();
        spec.control = "control".into();
        assert!(refused(&spec).contains("no absolute path"));
    }
}
