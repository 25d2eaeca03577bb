//! [`Record`]: what S3 knows of an object beside its content, and where that is kept.
//!
//! It is the file's extended attribute `user.bessemer`, set before the file gets its name. A file
//! system without such attributes, or a record too large for them, gets a file of its own in
//! `.bessemer/records`, named after what the object's file is (inode, size, time of change) and not
//! after its key: so it too is on disk before the object has its name, and a crash in between leaves
//! the old object with the old record.
//!
//! A record holds for the content that it was written for: if a user writes to the file, its size or
//! its time of change differ, and the object goes on as a file without a record.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Mode, OFlags, Stat, XattrFlags, fgetxattr, fremovexattr, fsetxattr, fstat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::beneath;

const ATTRIBUTE: &str = "user.bessemer";
/// More than any file system allows in an attribute that is read into it; larger ones are asked for
/// their size first.
const USUAL_SIZE: usize = 4096;

/// What S3 knows of an object beside its content, its size and when it was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The ETag, without quotes.
    pub etag: String,
    /// Headers that S3 gives back, such as `content-type`; names in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The user's own metadata (`x-amz-meta-…`, without that prefix).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Tags, in the user's order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<(String, String)>,
    /// Checksums in base64 by algorithm (`CRC32`, `SHA256` …).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checksums: BTreeMap<String, String>,
    /// Whether the checksums are of the parts' checksums and not of the content.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub composite: bool,
    /// The sizes of the parts that the object was made of, in order, as runs of (count, bytes).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<(u32, u64)>,
    /// The multipart upload that made the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

/// A record with the content that it is for.
#[derive(Serialize, Deserialize)]
struct Stored {
    size: u64,
    /// Nanoseconds since 1970.
    modified: i128,
    record: Record,
}

/// Where records are kept.
#[derive(Debug)]
pub(super) struct Records {
    /// `.bessemer/records`.
    pub(super) folder: OwnedFd,
    /// Whether to try attributes at all.
    pub(super) attributes: bool,
}

impl Records {
    /// Attaches `record` to the finished content of `file`. The caller syncs `file`.
    pub(super) fn attach(&self, file: &File, record: &Record) -> io::Result<()> {
        let stat = fstat(file)?;
        let stored =
            Stored { size: size(&stat), modified: modified(&stat), record: record.clone() };
        let bytes = serde_json::to_vec(&stored)?;
        if self.attributes {
            match fsetxattr(file, ATTRIBUTE, &bytes, XattrFlags::empty()) {
                Ok(()) => {
                    self.discard(&stat);
                    return Ok(());
                }
                Err(error) if has_no_room(error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.write_beside(&own_name(&stat), &bytes)?;
        // An attribute would be believed before the file.
        match fremovexattr(file, ATTRIBUTE) {
            Ok(()) => Ok(()),
            Err(error) if error == NO_ATTRIBUTE || has_no_room(error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The record of `file`, if it has one for what it holds now.
    pub(super) fn read(&self, file: &File, stat: &Stat) -> io::Result<Option<Record>> {
        let attribute = if self.attributes { read_attribute(file)? } else { None };
        let bytes = match attribute {
            Some(bytes) => bytes,
            None => match self.read_beside(&own_name(stat))? {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
        };
        // One that can't be read is nothing to fail for: the content is there.
        let Ok(stored) = serde_json::from_slice::<Stored>(&bytes) else { return Ok(None) };
        let current = stored.size == size(stat) && stored.modified == modified(stat);
        Ok(current.then_some(stored.record))
    }

    /// Forgets what is kept outside of the file that `stat` was of.
    pub(super) fn discard(&self, stat: &Stat) {
        // What stays behind is never read again and costs only its room.
        let _ = rustix::fs::unlinkat(&self.folder, own_name(stat), AtFlags::empty());
    }

    fn read_beside(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let Some(mut file) = beneath::open_file(&self.folder, &[], name)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write_beside(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temp = format!("{name}.new");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
        let made = rustix::fs::openat(&self.folder, &temp, flags, Mode::from_raw_mode(0o666))?;
        let mut file = File::from(made);
        file.write_all(bytes)?;
        file.sync_all()?;
        rustix::fs::renameat(&self.folder, &temp, &self.folder, name)?;
        beneath::sync_folder(&self.folder)
    }
}

/// The size of a file.
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

/// When the content of a file was changed, in nanoseconds since 1970.
pub(super) fn modified(stat: &Stat) -> i128 {
    i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec)
}

/// An ETag for a file that has no record: it changes when the file does. The hyphens tell clients
/// that it is no MD5.
pub(super) fn derived_etag(stat: &Stat) -> String {
    format!("{:x}-{:x}-{:x}", modified(stat), stat.st_ino, size(stat))
}

/// The name of the record of the file that `stat` is of.
fn own_name(stat: &Stat) -> String {
    format!("{}-{}-{}.json", stat.st_ino, size(stat), modified(stat))
}

fn read_attribute(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; USUAL_SIZE];
    loop {
        match fgetxattr(file.as_fd(), ATTRIBUTE, bytes.as_mut_slice()) {
            Ok(length) => {
                bytes.truncate(length);
                return Ok(Some(bytes));
            }
            Err(Errno::RANGE) if bytes.len() < 1 << 20 => bytes = vec![0; bytes.len() * 4],
            Err(error) if error == NO_ATTRIBUTE || has_no_room(error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(target_os = "linux")]
const NO_ATTRIBUTE: Errno = Errno::NODATA;
#[cfg(not(target_os = "linux"))]
const NO_ATTRIBUTE: Errno = Errno::NOATTR;

/// Whether a file system has no attributes, or no room for one of this size. On a full disk, the
/// file that is written instead fails as well.
fn has_no_room(error: Errno) -> bool {
    matches!(error, Errno::NOTSUP | Errno::NOSPC | Errno::TOOBIG | Errno::RANGE | Errno::PERM)
}
