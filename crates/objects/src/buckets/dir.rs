//! [`BucketDir`]: the folder of buckets, and the buckets in it.

use std::{
    fmt,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    os::fd::OwnedFd,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::SystemTime,
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, mkdirat, unlinkat},
    io::Errno,
};

use super::{BucketError, BucketName, ObjectKey, beneath, list_level, record::Records};

/// What is ours in the folder of buckets. It is no bucket's name.
const OWN: &str = ".bessemer";
/// How many locks there are for all keys, and for all uploads.
const STRIPES: usize = 64;

/// A folder whose folders are buckets. Everything blocks; clones of an `Arc` of it may be used by
/// many threads at once.
pub struct BucketDir {
    top: OwnedFd,
    /// Where files are written before they have a name.
    pub(super) temporary: OwnedFd,
    pub(super) uploads: OwnedFd,
    pub(super) records: Records,
    /// Held shared while a file gets its name, alone while folders go away or take a file's place.
    pub(super) layout: RwLock<()>,
    keys: Locks,
    upload_ids: Locks,
    #[cfg(test)]
    pub(super) faults: super::tests::Faults,
}

/// A bucket in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: BucketName,
    /// When its folder was made, or changed last where the file system does not know.
    pub created: SystemTime,
}

impl BucketDir {
    /// Opens the folder `path`, makes it if it is missing, and removes what a crash left behind. No
    /// other process may have it open: the caller holds a lock for that.
    pub fn open(path: &Path) -> Result<Self, BucketError> {
        Self::open_with(path, true)
    }

    /// Like [`Self::open`]; without `attributes`, records are files.
    pub(super) fn open_with(path: &Path, attributes: bool) -> Result<Self, BucketError> {
        let failed = |error| BucketError::io("open the folder of buckets", error);
        let own = path.join(OWN);
        let names = ["tmp", "uploads", "records"];
        for name in names {
            crate::durable::create_dir_durable(&own.join(name))
                .map_err(|error| failed(std::io::Error::other(error)))?;
        }
        let open = |path: &Path| File::open(path).map(OwnedFd::from).map_err(failed);
        let [temporary, uploads, records] = names.map(|name| open(&own.join(name)));
        clear(&own.join("tmp")).map_err(failed)?;
        Ok(Self {
            top: open(path)?,
            temporary: temporary?,
            uploads: uploads?,
            records: Records { folder: records?, attributes },
            layout: RwLock::new(()),
            keys: Locks::new(),
            upload_ids: Locks::new(),
            #[cfg(test)]
            faults: super::tests::Faults::default(),
        })
    }

    /// Makes the bucket `name`.
    pub fn create_bucket(&self, name: &BucketName) -> Result<(), BucketError> {
        match mkdirat(&self.top, name.as_str(), Mode::from_raw_mode(0o777)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(BucketError::BucketExists(name.to_string())),
            Err(error) => return Err(BucketError::io("make the bucket", error)),
        }
        self.reach("bucket made")?;
        beneath::sync_folder(&self.top).map_err(|error| BucketError::io("sync the buckets", error))
    }

    /// The buckets in the order of their names.
    pub fn buckets(&self) -> Result<Vec<Bucket>, BucketError> {
        let failed = |error| BucketError::io("list the buckets", error);
        let mut buckets = Vec::new();
        for entry in Dir::read_from(&self.top).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let Ok(name) = BucketName::parse(name) else { continue };
            let Ok(folder) = self.bucket(&name) else { continue };
            let created = created(folder).map_err(|error| BucketError::io("list", error))?;
            buckets.push(Bucket { name, created });
        }
        buckets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(buckets)
    }

    /// Whether there is a bucket `name`.
    pub fn find_bucket(&self, name: &BucketName) -> Result<(), BucketError> {
        self.bucket(name).map(drop)
    }

    /// Deletes the bucket `name` and its unfinished uploads; it must hold no object.
    pub fn delete_bucket(&self, name: &BucketName) -> Result<(), BucketError> {
        let failed = |error| BucketError::io("delete the bucket", error);
        let alone = self.layout.write().unwrap_or_else(PoisonError::into_inner);
        let bucket = self.bucket(name)?;
        if list_level::holds_object(&bucket, &[])? {
            return Err(BucketError::BucketNotEmpty(name.to_string()));
        }
        remove_empty_folders(&bucket).map_err(failed)?;
        match unlinkat(&self.top, name.as_str(), AtFlags::REMOVEDIR) {
            Ok(()) => {}
            // A file that is no object: a link, or one with a name that no key has.
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                return Err(BucketError::BucketNotEmpty(name.to_string()));
            }
            Err(error) => return Err(failed(error)),
        }
        drop(alone);
        beneath::sync_folder(&self.top).map_err(|error| BucketError::io("sync", error))?;
        self.abort_uploads_of(name)
    }

    /// The folder of the bucket `name`.
    pub(super) fn bucket(&self, name: &BucketName) -> Result<OwnedFd, BucketError> {
        match beneath::open_folder(&self.top, &[name.to_string()]) {
            Ok(folder) => Ok(folder),
            Err(error) if beneath::is_absent(error) => {
                Err(BucketError::NoSuchBucket(name.to_string()))
            }
            Err(error) => Err(BucketError::io("open the bucket", error)),
        }
    }

    /// Keeps others from changing what a key stands for. Taken after an upload's lock.
    pub(super) fn lock_key(&self, bucket: &BucketName, key: &ObjectKey) -> MutexGuard<'_, ()> {
        self.keys.lock((bucket, key))
    }

    /// Keeps others from changing an upload.
    pub(super) fn lock_upload(&self, id: &str) -> MutexGuard<'_, ()> {
        self.upload_ids.lock(id)
    }

    /// Marks a point of a change to the disk at which tests let it fail.
    #[cfg(test)]
    pub(super) fn reach(&self, point: &'static str) -> Result<(), BucketError> {
        self.faults.reach(point)
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as tests have it")]
    pub(super) fn reach(&self, _point: &'static str) -> Result<(), BucketError> {
        Ok(())
    }
}

/// Locks that many things share.
struct Locks(Vec<Mutex<()>>);

impl Locks {
    fn new() -> Self {
        Self((0..STRIPES).map(|_| Mutex::new(())).collect())
    }

    fn lock(&self, what: impl Hash) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        let stripe = &self.0[hasher.finish() as usize % STRIPES];
        stripe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for BucketDir {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("BucketDir").finish_non_exhaustive()
    }
}

fn created(folder: OwnedFd) -> std::io::Result<SystemTime> {
    let metadata = File::from(folder).metadata()?;
    metadata.created().or_else(|_| metadata.modified())
}

/// Removes all that `dir` holds.
fn clear(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Removes the folders beneath `folder` that hold nothing but such folders.
fn remove_empty_folders(folder: &OwnedFd) -> Result<(), Errno> {
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if matches!(name, "." | "..") || entry.file_type() != FileType::Directory {
            continue;
        }
        remove_empty_folders(&beneath::open_folder(folder, &[name.to_owned()])?)?;
        match unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
