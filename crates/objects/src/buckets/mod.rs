//! Buckets of this machine: folders whose objects are plain files.
//!
//! [`BucketDir`] is a folder of buckets. The object `a/b.csv` of the bucket `data` is the file
//! `data/a/b.csv` in it, and a file that a user puts there by hand is an object. What else S3 knows
//! of an object, its [`Record`], is an extended attribute of the file, so that one rename puts both
//! into place; where the file system has no room for it, it is a small file under `.bessemer/`.
//!
//! # Keys and files
//!
//! A key is its path, with these exceptions, all of which can be read back:
//!
//! | key | file |
//! |---|---|
//! | `a/` (as consoles and Hadoop make for folders) | `a/.bessemer~folder` |
//! | `a`, while there is a folder `a` for `a/b` | `a/.bessemer~self` |
//! | `a//b` | `a/.bessemer~empty/b` |
//! | a part that is `.` or `..`, holds a NUL or starts with `.bessemer` | `.bessemer~=` and the part, NUL and `%` as `%00` and `%25` |
//!
//! A key with a part of more than 255 bytes is refused, as no file can have that name. Symbolic links,
//! sockets, pipes and devices are neither followed nor listed, nor are files whose names are not
//! UTF-8 or not what a key would be written as. Every path is resolved beneath the bucket's folder.
//!
//! # Writing
//!
//! Content is written to `.bessemer/tmp`, synced with its record, renamed to its place, and the
//! folder is synced: only then is a write reported as done. A reader keeps the file that it opened.
//! One process at a time may have a folder of buckets open.

mod beneath;
mod dir;
mod error;
mod incoming;
mod key;
mod list;
mod list_level;
mod multipart;
mod name;
mod object;
mod place;
mod record;
#[cfg(test)]
mod tests;

pub use dir::{Bucket, BucketDir};
pub use error::BucketError;
pub use incoming::{Condition, Incoming};
pub use key::ObjectKey;
pub use list::{Entry, ListRequest, Page};
pub use multipart::{MIN_PART_SIZE, Part, Upload, UploadPlan, completion};
pub use name::BucketName;
pub use object::{Object, ObjectInfo};
pub use record::Record;
