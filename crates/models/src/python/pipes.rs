//! Frames over a worker's pipes, with a deadline and without trust in what arrives.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// Bytes of a frame's header: kind, bytes of JSON, bytes of body.
const HEADER: usize = 16;
const MAX_META: usize = 1 << 20;
const MAX_BODY: usize = 1 << 31;
/// Memory for a body grows by this much as its bytes arrive, whatever its header claims.
const READ_STEP: usize = 1 << 20;
/// How often a silent worker is looked after.
const WATCH_EVERY: Duration = Duration::from_millis(250);

/// One message.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u32,
    /// JSON.
    pub(super) meta: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// Why a message did not pass.
#[derive(Debug)]
pub(super) enum PipeError {
    TimedOut,
    /// The worker closed its end, or is gone.
    Closed,
    /// What arrived is no frame.
    Garbled(String),
}

/// Our ends of a worker's stdin and stdout.
#[derive(Debug)]
pub(super) struct Pipes {
    to_worker: OwnedFd,
    from_worker: OwnedFd,
}

impl Pipes {
    pub(super) fn new(to_worker: OwnedFd, from_worker: OwnedFd) -> io::Result<Self> {
        for end in [&to_worker, &from_worker] {
            rustix::io::ioctl_fionbio(end, true)?;
            // Fewer turns between the processes; refused where a user's pipes have used up their share.
            #[cfg(target_os = "linux")]
            let _ = rustix::pipe::fcntl_setpipe_size(end, 1 << 20);
        }
        Ok(Self { to_worker, from_worker })
    }

    /// Sends one message. `gone` tells whether the worker has ended.
    pub(super) fn send(
        &self,
        kind: u32,
        meta: &[u8],
        body: &[u8],
        deadline: Instant,
        gone: &mut dyn FnMut() -> bool,
    ) -> Result<(), PipeError> {
        let mut head = Vec::with_capacity(HEADER + meta.len());
        head.extend_from_slice(&kind.to_le_bytes());
        head.extend_from_slice(&(meta.len() as u32).to_le_bytes());
        head.extend_from_slice(&(body.len() as u64).to_le_bytes());
        head.extend_from_slice(meta);
        for mut rest in [head.as_slice(), body] {
            while !rest.is_empty() {
                match rustix::io::write(&self.to_worker, rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        wait(self.to_worker.as_fd(), PollFlags::OUT, deadline, gone)?;
                    }
                    Err(_) => return Err(PipeError::Closed),
                }
            }
        }
        Ok(())
    }

    /// Receives one message.
    pub(super) fn receive(
        &self,
        deadline: Instant,
        gone: &mut dyn FnMut() -> bool,
    ) -> Result<Frame, PipeError> {
        let header = self.read(HEADER, deadline, gone)?;
        let (kind, sizes) = header.split_at(4);
        let (meta, body) = sizes.split_at(4);
        let kind = u32::from_le_bytes(kind.try_into().expect("four bytes"));
        let meta = u32::from_le_bytes(meta.try_into().expect("four bytes")) as usize;
        let body = u64::from_le_bytes(body.try_into().expect("eight bytes"));
        let body = usize::try_from(body).unwrap_or(usize::MAX);
        if meta > MAX_META || body > MAX_BODY {
            return Err(PipeError::Garbled(format!(
                "it sent a message of {meta} and {body} bytes, more than can be"
            )));
        }
        let meta = self.read(meta, deadline, gone)?;
        let body = self.read(body, deadline, gone)?;
        Ok(Frame { kind, meta, body })
    }

    fn read(
        &self,
        size: usize,
        deadline: Instant,
        gone: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<u8>, PipeError> {
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let missing = size - bytes.len();
            bytes.reserve_exact(missing.min(READ_STEP.max(bytes.len())));
            match rustix::io::read(&self.from_worker, spare_capacity(&mut bytes)) {
                Ok(0) => return Err(PipeError::Closed),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    wait(self.from_worker.as_fd(), PollFlags::IN, deadline, gone)?;
                }
                Err(_) => return Err(PipeError::Closed),
            }
        }
        Ok(bytes)
    }
}

/// Waits until `end` is ready, the worker is gone or the time is up.
fn wait(
    end: BorrowedFd<'_>,
    flags: PollFlags,
    deadline: Instant,
    gone: &mut dyn FnMut() -> bool,
) -> Result<(), PipeError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(PipeError::TimedOut);
        }
        let step = Timespec::try_from(left.min(WATCH_EVERY)).expect("a part of a second");
        match poll(&mut [PollFd::from_borrowed_fd(end, flags)], Some(&step)) {
            Ok(0) if gone() => return Err(PipeError::Closed),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(_) => return Err(PipeError::Closed),
        }
    }
}
