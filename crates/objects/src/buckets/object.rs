//! Reading, tagging and deleting objects.

use std::{
    collections::BTreeMap,
    fs::File,
    os::fd::OwnedFd,
    sync::PoisonError,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, Stat, fstat, unlinkat},
    io::Errno,
};

use super::{
    BucketDir, BucketError, BucketName, Condition, ObjectKey, Record, beneath,
    place::{self, Place},
    record::{derived_etag, modified, size},
};

/// How many folders stay open until they are synced together.
const SYNCED_AT_ONCE: usize = 64;

/// An object that is open for reading. It keeps its content when a new one takes its place.
#[derive(Debug)]
pub struct Object {
    /// Its content.
    pub file: File,
    /// What is known of it.
    pub info: ObjectInfo,
}

/// What is known of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its size in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: SystemTime,
    /// The rest; of a file that was put in place by hand, only an ETag that was made up for it.
    pub record: Record,
    /// Whether the record was written with the object.
    pub is_recorded: bool,
}

impl ObjectInfo {
    pub(super) fn new(stat: &Stat, record: Option<Record>) -> Self {
        let is_recorded = record.is_some();
        let record =
            record.unwrap_or_else(|| Record { etag: derived_etag(stat), ..Record::default() });
        let since = u64::try_from(modified(stat)).unwrap_or_default();
        let modified = UNIX_EPOCH + Duration::from_nanos(since);
        Self { size: size(stat), modified, record, is_recorded }
    }
}

impl BucketDir {
    /// Opens the object `key` of `bucket`.
    pub fn open_object(&self, bucket: &BucketName, key: &ObjectKey) -> Result<Object, BucketError> {
        let bucket = self.bucket(bucket)?;
        let find = || place::find(&bucket, key);
        let missing = || BucketError::NoSuchKey(key.to_string());
        let mut file = find()?.ok_or_else(missing)?.file;
        loop {
            let (stat, record) = self.known(&file)?;
            if record.is_none() {
                // A record that is a file may have gone with an object that was just replaced.
                let again = find()?.ok_or_else(missing)?.file;
                if !is_same(&file, &again)? {
                    file = again;
                    continue;
                }
            }
            return Ok(Object { file, info: ObjectInfo::new(&stat, record) });
        }
    }

    /// Replaces the tags of an object.
    pub fn set_tags(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        tags: Vec<(String, String)>,
    ) -> Result<(), BucketError> {
        let _key = self.lock_key(bucket, key);
        let Object { file, info } = self.open_object(bucket, key)?;
        let record = Record { tags, ..info.record };
        let attached = self.records.attach(&file, &record);
        attached.map_err(|error| BucketError::io("record the tags", error))?;
        self.reach("tags recorded")?;
        file.sync_all().map_err(|error| BucketError::io("sync the tags", error))
    }

    /// Deletes the object `key` if it meets `condition`, and the folders that it leaves empty. Says
    /// whether there was one.
    pub fn delete_object(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        condition: &Condition,
    ) -> Result<bool, BucketError> {
        let left = self.unlink(&self.bucket(bucket)?, bucket, key, condition)?;
        let existed = left.is_some();
        sync_all(left)?;
        Ok(existed)
    }

    /// Deletes many objects of a bucket at once; those that are not there are no failure. Says for
    /// each of `keys` what came of it.
    pub fn delete_objects(
        &self,
        bucket: &BucketName,
        keys: &[ObjectKey],
    ) -> Result<Vec<Result<(), BucketError>>, BucketError> {
        let folder = self.bucket(bucket)?;
        let mut results = Vec::new();
        let mut left = BTreeMap::new();
        for key in keys {
            let result = self.unlink(&folder, bucket, key, &Condition::None);
            results.push(result.map(|touched| left.extend(touched)));
            if left.len() >= SYNCED_AT_ONCE {
                sync_all(std::mem::take(&mut left))?;
            }
        }
        sync_all(left)?;
        Ok(results)
    }

    /// Takes an object's name away. Returns the folder to sync and its path, if there was one.
    fn unlink(
        &self,
        bucket: &OwnedFd,
        name: &BucketName,
        key: &ObjectKey,
        condition: &Condition,
    ) -> Result<Option<(Vec<String>, OwnedFd)>, BucketError> {
        let failed = |error| BucketError::io("delete the object", error);
        let _key = self.lock_key(name, key);
        let _alone = self.layout.write().unwrap_or_else(PoisonError::into_inner);
        let place = place::find(bucket, key)?;
        if *condition != Condition::None {
            let info = place.as_ref().map(|place| self.info(&place.file)).transpose()?;
            if !condition.holds(info.as_ref().map(|info| info.record.etag.as_str())) {
                return Err(BucketError::ConditionFailed(key.to_string()));
            }
        }
        let Some(Place { file, mut folders, name }) = place else { return Ok(None) };
        let folder = beneath::open_folder(bucket, &folders).map_err(failed)?;
        match unlinkat(&folder, &name, AtFlags::empty()) {
            Ok(()) => {}
            // A user was faster.
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        self.reach("object unlinked")?;
        if let Ok(stat) = fstat(&file) {
            self.records.discard(&stat);
        }
        let left = prune(bucket, folder, &mut folders).map_err(failed)?;
        Ok(Some((folders, left)))
    }

    /// What is known of the object whose file this is.
    pub(super) fn info(&self, file: &File) -> Result<ObjectInfo, BucketError> {
        self.known(file).map(|(stat, record)| ObjectInfo::new(&stat, record))
    }

    fn known(&self, file: &File) -> Result<(Stat, Option<Record>), BucketError> {
        let failed = |error| BucketError::io("read what is known of the object", error);
        let stat = fstat(file).map_err(|error| failed(error.into()))?;
        let record = self.records.read(file, &stat).map_err(failed)?;
        Ok((stat, record))
    }
}

/// Puts the names in folders on disk.
fn sync_all(folders: impl IntoIterator<Item = (Vec<String>, OwnedFd)>) -> Result<(), BucketError> {
    for (_, folder) in folders {
        beneath::sync_folder(folder).map_err(|error| BucketError::io("sync a folder", error))?;
    }
    Ok(())
}

/// Removes `folder`, whose path is `names`, and those above it as long as they are empty. Returns
/// the innermost that is left, and leaves its path in `names`.
fn prune(bucket: &OwnedFd, folder: OwnedFd, names: &mut Vec<String>) -> Result<OwnedFd, Errno> {
    let mut left = folder;
    while let Some((name, outer)) = names.split_last() {
        let outer = beneath::open_folder(bucket, outer)?;
        match unlinkat(&outer, name, AtFlags::REMOVEDIR) {
            Ok(()) => left = outer,
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOENT | Errno::BUSY) => break,
            Err(error) => return Err(error),
        }
        names.pop();
    }
    Ok(left)
}

fn is_same(one: &File, other: &File) -> Result<bool, BucketError> {
    let identity = |file| fstat(file).map(|stat| (stat.st_dev, stat.st_ino));
    let failed = |error| BucketError::io("compare objects", error);
    Ok(identity(one).map_err(failed)? == identity(other).map_err(failed)?)
}
