//! The signals that a supervisor hears.

use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// SIGTERM (stop, with grace) and SIGUSR1 (kill now); SIGHUP and SIGINT mean nothing.
#[derive(Debug)]
pub(crate) struct Signals {
    woken: UnixStream,
    stop: Arc<AtomicBool>,
    kill: Arc<AtomicBool>,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        let (woken, waker) = UnixStream::pair()?;
        woken.set_nonblocking(true)?;
        let (stop, kill) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let ignored = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGHUP, Arc::clone(&ignored))?;
        signal_hook::flag::register(SIGINT, ignored)?;
        signal_hook::flag::register(SIGTERM, Arc::clone(&stop))?;
        signal_hook::flag::register(SIGUSR1, Arc::clone(&kill))?;
        signal_hook::low_level::pipe::register(SIGTERM, waker.try_clone()?)?;
        signal_hook::low_level::pipe::register(SIGUSR1, waker)?;
        Ok(Self { woken, stop, kill })
    }

    /// Whether to stop, asked since the last look.
    pub(crate) fn stop(&self) -> bool {
        let _ = (&self.woken).read(&mut [0; 64]); // it only wakes us
        self.stop.swap(false, Ordering::SeqCst)
    }

    /// Whether to kill.
    pub(crate) fn kill(&self) -> bool {
        self.kill.swap(false, Ordering::SeqCst)
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.woken.as_fd()
    }
}
