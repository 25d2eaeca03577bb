//! Starts a supervisor and hands it the order.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Attached, Child, ProcessId};
use crate::{
    LaunchError, LayerState, LogSink, ProcessSpec,
    cgroups::Controller,
    sandbox::{
        SANDBOX_VERB,
        protocol::{Channel, FromSupervisor, Go, Order},
    },
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
}

impl Launcher {
    /// A launcher with these options.
    #[must_use]
    pub fn new(options: LaunchOptions) -> Self {
        Self { options }
    }

    /// Starts the command of `spec`. When this returns, it runs. Blocks for some milliseconds.
    ///
    /// If the server dies in the middle, either the command never runs, or `spec.control` tells of it.
    pub fn start(&self, spec: &ProcessSpec) -> Result<Child, LaunchError> {
        check(spec)?;
        let program = &self.options.program;
        let failed = |source| LaunchError::Start { program: program.clone(), source };
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = Command::new(program);
        command
            .arg(SANDBOX_VERB)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut supervisor = command.spawn().map_err(failed)?;
        drop(command); // it holds the other end of the socket
        match self.hand_over(spec, Channel::new(ours)) {
            Ok((start_time, layers)) => {
                let id = ProcessId { pid: supervisor.id(), start_time };
                Child::new(id, spec.control.clone(), supervisor, layers).map_err(failed)
            }
            Err(error) => {
                let _ = supervisor.wait(); // it ends by itself, or has
                Err(error)
            }
        }
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

    /// Tells the supervisor what to do, and hears what became of it: its start time and its layers.
    fn hand_over(
        &self,
        spec: &ProcessSpec,
        mut channel: Channel,
    ) -> Result<(u64, Vec<LayerState>), LaunchError> {
        let order = Order {
            spec: spec.clone(),
            controllers: self.options.controllers.clone(),
            allow_missing: self.options.allow_missing,
        };
        let mut answer = channel.send(&order).and_then(|()| channel.receive());
        let mut start_time = 0;
        if let Ok(Some(FromSupervisor::Ready { start_time: at })) = answer {
            start_time = at;
            answer = channel.send(&Go).and_then(|()| channel.receive());
        }
        match answer {
            Ok(Some(FromSupervisor::Started { layers })) => Ok((start_time, layers)),
            Ok(Some(FromSupervisor::Failed(error))) => Err(LaunchError::Sandbox(error)),
            Ok(Some(FromSupervisor::Ready { .. }) | None) | Err(_) => Err(LaunchError::Silent),
        }
    }
}

fn check(spec: &ProcessSpec) -> Result<(), LaunchError> {
    let refuse = |text: String| Err(LaunchError::Spec(text));
    let is_root = rustix::process::geteuid().is_root();
    if is_root && spec.uid.is_none_or(|uid| uid == 0) {
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
