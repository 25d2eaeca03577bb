//! [`Reserve`]: room on the disk that is kept free, so that what must not wait for room can be written
//! when the disk is full: how jobs end, whose files then make room for all else.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

/// Bytes that are kept free, at most.
const MOST: u64 = 16 << 20;
/// The part of the file system that is kept free, at most.
const PART: u64 = 20;

/// A file that holds nothing and takes room.
#[derive(Debug)]
pub(crate) struct Reserve {
    file: File,
    is_held: AtomicBool,
}

impl Reserve {
    /// Opens the reserve of a data directory, and takes it if there is room.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("reserve");
        let file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        let reserve = Self { file, is_held: AtomicBool::new(false) };
        reserve.take(1);
        Ok(reserve)
    }

    /// Whether there is room for all writes. If the reserve was given up, it is taken again when there
    /// is twice as much room as it needs.
    pub(crate) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed) || self.take(2)
    }

    /// Gives the room up.
    pub(crate) fn give_up(&self) {
        if self.is_held.swap(false, Ordering::Relaxed)
            && let Err(error) = self.file.set_len(0)
        {
            tracing::error!(%error, "the room that is kept for the ends of jobs can't be given up");
        }
    }

    /// Takes the room if there is `times` as much. A file system that can't keep room is used without.
    fn take(&self, times: u64) -> bool {
        let take = || -> io::Result<bool> {
            let disk = fstatvfs(&self.file)?;
            let size = MOST.min(disk.f_blocks * disk.f_frsize / PART);
            if disk.f_bavail * disk.f_frsize < times * size {
                return Ok(false);
            }
            fallocate(&self.file, FallocateFlags::empty(), 0, size)?;
            Ok(true)
        };
        let taken = match take() {
            Ok(taken) => taken,
            Err(error) => error.kind() != io::ErrorKind::StorageFull,
        };
        self.is_held.store(taken, Ordering::Relaxed);
        taken
    }
}
