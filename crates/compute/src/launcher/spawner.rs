//! The process that makes supervisors, as its server sees it.

use std::{
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::sandbox::{SANDBOX_VERB, protocol::Channel, spawner};

/// A running one, which ends with this. Its supervisors don't.
#[derive(Debug)]
pub(super) struct Spawner {
    /// The line to it; none once it is to end.
    line: Option<UnixStream>,
    process: Child,
}

impl Spawner {
    /// Starts it: `program`, which runs [`crate::sandbox_main`].
    pub(super) fn start(program: &Path) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command
            .arg(SANDBOX_VERB)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn()?;
        Ok(Self { line: Some(ours), process })
    }

    /// Asks for a supervisor, to which the line leads. It fails if nobody is there; if the
    /// supervisor can't be made, the line ends at once.
    pub(super) fn supervisor(&self) -> io::Result<Channel> {
        let Some(line) = &self.line else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (ours, theirs) = UnixStream::pair()?;
        spawner::ask(line, theirs.as_fd())?;
        Ok(Channel::new(ours))
    }
}

impl Drop for Spawner {
    fn drop(&mut self) {
        self.line = None;
        let _ = self.process.wait(); // it ends by itself, or has
    }
}
