//! Where an object's file is: its own path, or a folder's inside when there is a folder of that
//! path.

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    sync::PoisonError,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, RenameFlags, linkat, mkdirat, renameat, renameat_with, statat},
    io::Errno,
};

use super::{
    BucketDir, BucketError, BucketName, ObjectKey,
    beneath::{self, MakeError},
    incoming::temporary_name,
    key::{KeyPath, SELF},
};

/// The file of an object, found.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) file: File,
    /// The names of its folders from the bucket's.
    pub(super) folders: Vec<String>,
    /// Its name.
    pub(super) name: String,
}

/// The file of `key` in `bucket`, if there is one.
pub(super) fn find(bucket: &OwnedFd, key: &ObjectKey) -> Result<Option<Place>, BucketError> {
    let failed = |error| BucketError::io("open the object", error);
    let KeyPath { mut folders, name } = key.path().clone();
    if let Some(file) = beneath::open_file(bucket, &folders, &name).map_err(failed)? {
        return Ok(Some(Place { file, folders, name }));
    }
    folders.push(name);
    let file = beneath::open_file(bucket, &folders, SELF).map_err(failed)?;
    Ok(file.map(|file| Place { file, folders, name: SELF.to_owned() }))
}

impl BucketDir {
    /// Gives the temporary file `temporary` the name of `key`. Returns the folders to sync.
    pub(super) fn put_in_place(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        temporary: &str,
    ) -> Result<Vec<OwnedFd>, BucketError> {
        let failed = |error| BucketError::io("put the object into place", error);
        let path = key.path();
        loop {
            let shared = self.layout.read().unwrap_or_else(PoisonError::into_inner);
            let folder = self.bucket(bucket)?;
            let made = match beneath::make_folder(&folder, &path.folders) {
                Ok(made) => made,
                Err(MakeError::Failed(error)) => return Err(failed(error)),
                Err(MakeError::Taken(index)) => {
                    drop(shared);
                    self.make_room(bucket, key, &path.folders[..=index])?;
                    continue;
                }
            };
            let mut touched = made.touched;
            match renameat(&self.temporary, temporary, &made.folder, &path.name) {
                Ok(()) => touched.push(made.folder),
                // A folder has this path.
                Err(Errno::ISDIR | Errno::EXIST | Errno::NOTEMPTY) => {
                    let inner = [path.name.clone()];
                    let inner = beneath::open_folder(&made.folder, &inner).map_err(failed)?;
                    renameat(&self.temporary, temporary, &inner, SELF).map_err(failed)?;
                    touched.push(inner);
                }
                Err(error) => return Err(failed(error)),
            }
            return Ok(touched);
        }
    }

    /// Makes a folder of the object that has the path `names`, with the object inside. The folder
    /// is made elsewhere and swapped for the file at once, so that nobody misses the object.
    fn make_room(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        names: &[String],
    ) -> Result<(), BucketError> {
        let failed = |error| BucketError::io("make a folder of an object", error);
        let unusable = |why| BucketError::UnusableKey { key: key.to_string(), why };
        let _alone = self.layout.write().unwrap_or_else(PoisonError::into_inner);
        let Some((name, folders)) = names.split_last() else { return Ok(()) };
        let bucket = self.bucket(bucket)?;
        let outer = match beneath::open_folder(&bucket, folders) {
            Ok(outer) => outer,
            // It has changed since; the caller looks again.
            Err(error) if beneath::is_absent(error) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        match file_type(&outer, name).map_err(failed)? {
            None | Some(FileType::Directory) => return Ok(()),
            Some(FileType::RegularFile) => {}
            Some(_) => return Err(unusable("a part of its path is neither a folder nor a file")),
        }
        let room = temporary_name();
        mkdirat(&self.temporary, &room, Mode::from_raw_mode(0o777)).map_err(failed)?;
        let inner =
            beneath::open_folder(&self.temporary, std::slice::from_ref(&room)).map_err(failed)?;
        linkat(&outer, name, &inner, SELF, AtFlags::empty()).map_err(failed)?;
        beneath::sync_folder(&inner).map_err(|error| BucketError::io("sync", error))?;
        self.reach("folder filled")?;
        match renameat_with(&self.temporary, &room, &outer, name, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                return Err(unusable(
                    "a part of its path is an object, and the file system can't swap it for a folder",
                ));
            }
            Err(error) => return Err(failed(error)),
        }
        self.reach("folder swapped")?;
        beneath::sync_folder(&outer).map_err(|error| BucketError::io("sync", error))?;
        // The file's second name; one that stays is cleared at the next start.
        let _ = rustix::fs::unlinkat(&self.temporary, &room, AtFlags::empty());
        Ok(())
    }
}

/// What `name` in `folder` is, if there is such a name.
pub(super) fn file_type(folder: impl AsFd, name: &str) -> Result<Option<FileType>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(error) if beneath::is_absent(error) => Ok(None),
        Err(error) => Err(error),
    }
}
