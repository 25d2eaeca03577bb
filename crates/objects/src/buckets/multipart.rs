//! Multipart uploads: `.bessemer/uploads/<id>` holds `upload.json` and a file a part.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    sync::Arc,
    time::SystemTime,
};

use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, fstat, mkdirat, openat, renameat, unlinkat},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use super::{
    BucketDir, BucketError, BucketName, Condition, Incoming, ObjectInfo, ObjectKey, Record,
    beneath, incoming::temporary_name,
};

/// The least bytes of a part that is not the last.
pub const MIN_PART_SIZE: u64 = 5 << 20;
const PLAN: &str = "upload.json";

/// What an upload is to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadPlan {
    /// The bucket's name.
    pub bucket: String,
    /// The object's key.
    pub key: String,
    /// The object's headers, metadata and tags.
    pub record: Record,
    /// The algorithm of the parts' checksums, if one was named.
    pub algorithm: Option<String>,
    /// Whether the object's checksum is to be one of the whole content.
    pub full_object: bool,
}

/// An upload that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// What it is to become.
    pub plan: UploadPlan,
    /// When it was begun.
    pub begun: SystemTime,
}

/// A part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its number, from 1.
    pub number: u32,
    /// Its size, ETag and checksums.
    pub info: ObjectInfo,
}

/// The parts that an object is made of: those of `present` that `wanted` names by number and ETag.
/// They must be named in ascending order, and be large enough.
pub fn completion(present: &[Part], wanted: &[(u32, String)]) -> Result<Vec<Part>, BucketError> {
    let mut parts: Vec<Part> = Vec::new();
    for (number, etag) in wanted {
        if parts.last().is_some_and(|last| last.number >= *number) {
            return Err(BucketError::InvalidPartOrder(*number));
        }
        let found = present.iter().find(|part| part.number == *number);
        let found = found.filter(|part| part.info.record.etag == *etag);
        parts.push(found.ok_or(BucketError::InvalidPart(*number))?.clone());
    }
    let Some((_, inner)) = parts.split_last() else { return Err(BucketError::InvalidPart(0)) };
    match inner.iter().find(|part| part.info.size < MIN_PART_SIZE) {
        None => Ok(parts),
        Some(small) => {
            Err(BucketError::PartTooSmall { number: small.number, size: small.info.size })
        }
    }
}

impl BucketDir {
    /// Begins an upload under `id`, which nobody must be able to guess.
    pub fn begin_upload(&self, id: &str, plan: &UploadPlan) -> Result<(), BucketError> {
        let failed = |error: std::io::Error| BucketError::io("begin the upload", error);
        if !is_upload_id(id) {
            return Err(BucketError::NoSuchUpload(id.to_owned()));
        }
        self.bucket(&BucketName::parse(&plan.bucket)?)?;
        let room = temporary_name();
        mkdirat(&self.temporary, &room, Mode::from_raw_mode(0o777))
            .map_err(|error| failed(error.into()))?;
        let folder = beneath::open_folder(&self.temporary, std::slice::from_ref(&room))
            .map_err(|error| failed(error.into()))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&folder, PLAN, flags, Mode::from_raw_mode(0o666));
        let mut file = File::from(file.map_err(|error| failed(error.into()))?);
        let bytes = serde_json::to_vec(plan).map_err(|error| failed(error.into()))?;
        file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        beneath::sync_folder(&folder).map_err(failed)?;
        renameat(&self.temporary, &room, &self.uploads, id)
            .map_err(|error| failed(error.into()))?;
        beneath::sync_folder(&self.uploads).map_err(failed)
    }

    /// The upload `id` of `key`.
    pub fn upload(
        &self,
        bucket: &BucketName,
        key: &ObjectKey,
        id: &str,
    ) -> Result<Upload, BucketError> {
        let upload = self.read_upload(id)?;
        if upload.plan.bucket == bucket.as_str() && upload.plan.key == key.as_str() {
            Ok(upload)
        } else {
            Err(BucketError::NoSuchUpload(id.to_owned()))
        }
    }

    /// The uploads of `bucket` that are not finished, in the order of keys, then of their beginning.
    pub fn uploads(&self, bucket: &BucketName) -> Result<Vec<Upload>, BucketError> {
        let failed = |error: Errno| BucketError::io("list the uploads", error);
        self.bucket(bucket)?;
        let mut uploads = Vec::new();
        for entry in Dir::read_from(&self.uploads).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(id) = entry.file_name().to_str() else { continue };
            match self.read_upload(id) {
                Ok(upload) if upload.plan.bucket == bucket.as_str() => uploads.push(upload),
                Ok(_) | Err(BucketError::NoSuchUpload(_)) => {}
                Err(error) => return Err(error),
            }
        }
        uploads.sort_by(|one, other| {
            let order =
                |upload: &Upload| (upload.plan.key.clone(), upload.begun, upload.id.clone());
            order(one).cmp(&order(other))
        });
        Ok(uploads)
    }

    /// Makes `incoming` the part `number` of an upload, in place of an earlier one.
    #[expect(clippy::needless_pass_by_value, reason = "it is used up")]
    pub fn put_part(
        &self,
        upload: &Upload,
        number: u32,
        incoming: Incoming,
        record: Record,
    ) -> Result<Part, BucketError> {
        let failed = |error: std::io::Error| BucketError::io("put the part into place", error);
        incoming.finish(&record)?;
        let _upload = self.lock_upload(&upload.id);
        let folder = self.upload_folder(&upload.id)?;
        let name = part_name(number);
        let old = beneath::open_file(&folder, &[], &name).map_err(|error| failed(error.into()))?;
        renameat(&self.temporary, &incoming.name, &folder, &name)
            .map_err(|error| failed(error.into()))?;
        self.reach("part named")?;
        beneath::sync_folder(&folder).map_err(failed)?;
        if let Some(old) = old.and_then(|old| fstat(&old).ok()) {
            self.records.discard(&old);
        }
        let stat = fstat(&incoming.file).map_err(|error| failed(error.into()))?;
        Ok(Part { number, info: ObjectInfo::new(&stat, Some(record)) })
    }

    /// The parts of an upload, in order.
    pub fn parts(&self, upload: &Upload) -> Result<Vec<Part>, BucketError> {
        let failed = |error: Errno| BucketError::io("list the parts", error);
        let folder = self.upload_folder(&upload.id)?;
        let mut parts = Vec::new();
        for entry in Dir::read_from(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(number) = entry.file_name().to_str().ok().and_then(part_number) else {
                continue;
            };
            if let Some(file) = open_part(&folder, number)? {
                parts.push(Part { number, info: self.info(&file)? });
            }
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// Joins `parts`, which [`completion`] has chosen, to the content of an object.
    pub fn join(
        self: &Arc<Self>,
        upload: &Upload,
        parts: &[Part],
    ) -> Result<Incoming, BucketError> {
        let folder = self.upload_folder(&upload.id)?;
        let mut incoming = self.receive()?;
        for part in parts {
            let file = open_part(&folder, part.number)?;
            let file = file.ok_or(BucketError::InvalidPart(part.number))?;
            // It may have been sent again since it was chosen.
            if self.info(&file)? != part.info {
                return Err(BucketError::InvalidPart(part.number));
            }
            incoming.copy(&file, 0, part.info.size)?;
        }
        self.reach("parts joined")?;
        Ok(incoming)
    }

    /// Makes `incoming`, which [`Self::join`] has made, the object of an upload, and ends the upload.
    pub fn complete(
        &self,
        upload: &Upload,
        incoming: Incoming,
        record: Record,
        condition: &Condition,
    ) -> Result<ObjectInfo, BucketError> {
        let bucket = BucketName::parse(&upload.plan.bucket)?;
        let key = ObjectKey::parse(&upload.plan.key)?;
        let _upload = self.lock_upload(&upload.id);
        let folder = self.upload_folder(&upload.id)?;
        let record = Record { upload: Some(upload.id.clone()), ..record };
        let info = self.put(&bucket, &key, incoming, record, condition)?;
        self.reach("upload completed")?;
        self.remove_upload(&upload.id, &folder)?;
        Ok(info)
    }

    /// Ends an upload and forgets its parts.
    pub fn abort(&self, upload: &Upload) -> Result<(), BucketError> {
        let _upload = self.lock_upload(&upload.id);
        let folder = self.upload_folder(&upload.id)?;
        self.remove_upload(&upload.id, &folder)
    }

    /// Aborts the uploads of a bucket that was deleted.
    pub(super) fn abort_uploads_of(&self, bucket: &BucketName) -> Result<(), BucketError> {
        let failed = |error: Errno| BucketError::io("list the uploads", error);
        for entry in Dir::read_from(&self.uploads).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(id) = entry.file_name().to_str() else { continue };
            match self.read_upload(id) {
                Ok(upload) if upload.plan.bucket == bucket.as_str() => self.abort(&upload)?,
                Ok(_) | Err(BucketError::NoSuchUpload(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Moves an upload away at once, then removes what is in it; a crash leaves the rest to the next
    /// start.
    fn remove_upload(&self, id: &str, folder: &OwnedFd) -> Result<(), BucketError> {
        let failed = |error: std::io::Error| BucketError::io("remove the upload", error);
        let room = temporary_name();
        renameat(&self.uploads, id, &self.temporary, &room)
            .map_err(|error| failed(error.into()))?;
        self.reach("upload removed")?;
        beneath::sync_folder(&self.uploads).map_err(failed)?;
        for entry in Dir::read_from(folder).map_err(|error| failed(error.into()))? {
            let entry = entry.map_err(|error| failed(error.into()))?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if let Ok(Some(file)) = beneath::open_file(folder, &[], name)
                && let Ok(stat) = fstat(&file)
            {
                self.records.discard(&stat);
            }
            let _ = unlinkat(folder, name, AtFlags::empty());
        }
        let _ = unlinkat(&self.temporary, &room, AtFlags::REMOVEDIR);
        Ok(())
    }

    fn upload_folder(&self, id: &str) -> Result<OwnedFd, BucketError> {
        let missing = || BucketError::NoSuchUpload(id.to_owned());
        if !is_upload_id(id) {
            return Err(missing());
        }
        match beneath::open_folder(&self.uploads, &[id.to_owned()]) {
            Ok(folder) => Ok(folder),
            Err(error) if beneath::is_absent(error) => Err(missing()),
            Err(error) => Err(BucketError::io("open the upload", error)),
        }
    }

    fn read_upload(&self, id: &str) -> Result<Upload, BucketError> {
        let failed = |error: std::io::Error| BucketError::io("read the upload", error);
        let missing = || BucketError::NoSuchUpload(id.to_owned());
        let folder = self.upload_folder(id)?;
        let file = beneath::open_file(&folder, &[], PLAN).map_err(|error| failed(error.into()))?;
        let mut file = file.ok_or_else(missing)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let plan = serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?;
        let begun = file.metadata().and_then(|metadata| metadata.modified()).map_err(failed)?;
        Ok(Upload { id: id.to_owned(), plan, begun })
    }
}

/// Ids become names of folders.
fn is_upload_id(id: &str) -> bool {
    (16..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn part_name(number: u32) -> String {
    format!("{number:05}")
}

fn part_number(name: &str) -> Option<u32> {
    let number = name.parse().ok()?;
    (part_name(number) == name).then_some(number)
}

fn open_part(folder: &OwnedFd, number: u32) -> Result<Option<File>, BucketError> {
    beneath::open_file(folder, &[], &part_name(number))
        .map_err(|error| BucketError::io("open a part", error))
}
