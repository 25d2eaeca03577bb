//! Copies of a process.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    io::Errno,
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid,
    },
};

/// A copy of this process.
#[derive(Debug)]
pub(crate) struct Forked {
    number: u32,
    /// Names it, whatever its number comes to mean.
    process: OwnedFd,
}

impl Forked {
    /// Makes a copy of this process, which may have one thread only. `None` is what the copy gets.
    pub(super) fn fork() -> io::Result<Option<Self>> {
        let number = match fork::fork()? {
            fork::Fork::Child => return Ok(None),
            fork::Fork::Parent(number) => number,
        };
        let gone = || io::Error::other("the system gave no number");
        let pid = Pid::from_raw(number).ok_or_else(gone)?;
        let process = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Some(Self { number: number.unsigned_abs(), process }))
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.number
    }

    /// Ready to be read when it has ended.
    pub(super) fn process(&self) -> &OwnedFd {
        &self.process
    }

    /// Ends it by force. Not an error if it has ended.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.process, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for its end. Whoever asks again hears nothing.
    pub(crate) fn wait(&self) {
        let wait = || waitid(WaitId::PidFd(self.process.as_fd()), WaitIdOptions::EXITED);
        while matches!(wait(), Err(Errno::INTR)) {}
    }
}
