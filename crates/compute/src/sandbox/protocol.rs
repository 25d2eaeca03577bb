//! What the parts of a sandbox tell each other: lines of JSON over a socket that is the child's
//! standard input.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{LayerState, ProcessSpec, SetupError, Status, cgroups::Controller};

/// To the supervisor, first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) spec: ProcessSpec,
    /// The control groups that may be used.
    pub(crate) controllers: Vec<Controller>,
    /// Whether the command may run without Landlock or seccomp.
    pub(crate) allow_missing: bool,
}

/// To the supervisor, when the server knows about it, and from there on to the first process of the
/// sandbox: now run the command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Go;

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromSupervisor {
    /// It has left its note and waits for [`Go`].
    Ready { pid: u32, start_time: u64 },
    /// The command runs.
    Started { layers: Vec<LayerState> },
    /// The command doesn't run.
    Failed(SetupError),
}

/// To the first process of a sandbox, first: set everything up, and wait for [`Go`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SetUp {
    /// Whether the kernel has to limit memory and processes by itself, as nobody else does.
    pub(crate) memory_limits: bool,
}

/// To the first process of a sandbox, later: pass SIGTERM on.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Terminate;

/// From the first process of a sandbox.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromInit {
    /// The command runs.
    Started { layers: Vec<LayerState> },
    /// The command doesn't run.
    Failed(SetupError),
    /// The command ended; all that it left behind ends now.
    Ended { status: Status, cpu_millis: u64 },
}

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    /// Bytes that were received and not yet taken.
    buffer: Vec<u8>,
}

impl Channel {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    pub(crate) fn send<T: Serialize>(&mut self, message: &T) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.stream.write_all(&line)
    }

    /// The next message, waiting for it; `None` at the end.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(message) = self.received()? {
                return Ok(Some(message));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// The next message, if it is here already.
    pub(crate) fn received<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let message = serde_json::from_slice(&self.buffer[..end])?;
        self.buffer.drain(..=end);
        Ok(Some(message))
    }

    /// Says no more, and waits until the other end is gone.
    pub(crate) fn finish(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        while self.fill().unwrap_or(false) {
            self.buffer.clear();
        }
    }

    /// Reads what is here, waiting for something; `false` at the end.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 << 10];
        let count = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break 0,
                other => break other?,
            }
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_however_they_are_cut() {
        let (left, right) = UnixStream::pair().unwrap();
        let (mut left, mut right) = (Channel::new(left), Channel::new(right));
        let big = "x".repeat(100_000);
        let sender = std::thread::spawn(move || {
            left.send(&1).unwrap();
            left.send(&big).unwrap();
        });
        assert_eq!(right.receive::<u32>().unwrap(), Some(1));
        assert_eq!(right.receive::<String>().unwrap().unwrap().len(), 100_000);
        sender.join().unwrap();
        assert_eq!(right.receive::<u32>().unwrap(), None);
    }
}
