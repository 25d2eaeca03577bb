//! [`Incoming`]: content on its way to being an object.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, futimens, openat},
    io::Errno,
};

use super::{BucketDir, BucketError, BucketName, ObjectInfo, ObjectKey, Record, beneath, place};

/// Content that is being written to a temporary file, which goes away unless it becomes an object
/// or a part of one.
#[derive(Debug)]
pub struct Incoming {
    pub(super) dir: Arc<BucketDir>,
    pub(super) file: File,
    pub(super) name: String,
    size: u64,
}

/// What an object must be for a write or a deletion to happen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Condition {
    /// Anything.
    #[default]
    None,
    /// Not there.
    Absent,
    /// There, whatever it is.
    Present,
    /// There, with this ETag.
    Matches(String),
}

impl Condition {
    /// Whether an object with this ETag, or none, is what is asked for.
    pub fn holds(&self, etag: Option<&str>) -> bool {
        match self {
            Self::None => true,
            Self::Absent => etag.is_none(),
            Self::Present => etag.is_some(),
            Self::Matches(wanted) => etag == Some(wanted),
        }
    }
}

impl Incoming {
    /// Adds `bytes`.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BucketError> {
        self.file.write_all(bytes).map_err(|error| BucketError::io("write content", error))?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Adds `length` bytes of `from`, from `start` on, without taking them through memory where the
    /// system can.
    pub fn copy(&mut self, from: &File, start: u64, length: u64) -> Result<(), BucketError> {
        let failed = |error: std::io::Error| BucketError::io("copy content", error);
        let mut offset = start;
        let end = start + length;
        while offset < end {
            let most = usize::try_from(end - offset).unwrap_or(usize::MAX).min(1 << 30);
            match rustix::fs::copy_file_range(from, Some(&mut offset), &self.file, None, most) {
                Ok(0) => return Err(failed(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(copied) => self.size += copied as u64,
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::NOSYS | Errno::INVAL | Errno::NOTSUP | Errno::PERM) => {
                    return self.copy_through(from, offset, end - offset).map_err(failed);
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
        Ok(())
    }

    fn copy_through(&mut self, mut from: &File, start: u64, length: u64) -> std::io::Result<()> {
        from.seek(SeekFrom::Start(start))?;
        let copied = std::io::copy(&mut from.take(length), &mut self.file)?;
        self.size += copied;
        if copied == length { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
    }

    /// What was written so far. Only for reading: what is written past [`Self::write`] has no size.
    pub fn content(&self) -> &File {
        &self.file
    }

    /// The content so far, in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Puts the content and its record on disk.
    pub(super) fn finish(&self, record: &Record) -> Result<(), BucketError> {
        // The record names the time of the last change. Said aloud, no file system moves it later.
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        futimens(&self.file, &Timestamps { last_access: now, last_modification: now })
            .map_err(|error| BucketError::io("date the object", error))?;
        let attached = self.dir.records.attach(&self.file, record);
        attached.map_err(|error| BucketError::io("record the object", error))?;
        self.dir.reach("record attached")?;
        self.file.sync_all().map_err(|error| BucketError::io("sync the object", error))?;
        self.dir.reach("content synced")
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        #[cfg(test)]
        if self.dir.faults.is_killed() {
            return;
        }
        // It is gone already if it has become an object.
        let _ = rustix::fs::unlinkat(&self.dir.temporary, &self.name, AtFlags::empty());
    }
}

impl BucketDir {
    /// Begins to take in content.
    pub fn receive(self: &Arc<Self>) -> Result<Incoming, BucketError> {
        let name = temporary_name();
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let made = openat(&self.temporary, &name, flags, Mode::from_raw_mode(0o666));
        let file = made.map_err(|error| BucketError::io("begin an object", error))?;
        Ok(Incoming { dir: Arc::clone(self), file: File::from(file), name, size: 0 })
    }

    /// Makes `incoming` the object `key` of `bucket` if the one that is there now meets
    /// `condition`. When this returns, the object is on disk; if it fails, the old one stays, unless
    /// it was the last sync that failed.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up")]
    pub fn put(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        incoming: Incoming,
        record: Record,
        condition: &Condition,
    ) -> Result<ObjectInfo, BucketError> {
        incoming.finish(&record)?;
        let _key = self.lock_key(bucket, key);
        let old = place::find(&self.bucket(bucket)?, key)?;
        if *condition != Condition::None {
            let etag = old.as_ref().map(|old| self.info(&old.file)).transpose()?;
            if !condition.holds(etag.as_ref().map(|info| info.record.etag.as_str())) {
                return Err(BucketError::ConditionFailed(key.to_string()));
            }
        }
        let stat = rustix::fs::fstat(&incoming.file);
        let stat = stat.map_err(|error| BucketError::io("read the object's size", error))?;
        let touched = self.put_in_place(bucket, key, &incoming.name)?;
        self.reach("object named")?;
        for folder in touched {
            beneath::sync_folder(folder).map_err(|error| BucketError::io("sync", error))?;
        }
        self.reach("folder synced")?;
        if let Some(old) = old.and_then(|old| rustix::fs::fstat(&old.file).ok()) {
            self.records.discard(&old);
        }
        Ok(ObjectInfo::new(&stat, Some(record)))
    }
}

/// A name that no other temporary file of this process has.
pub(super) fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:x}-{:x}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
