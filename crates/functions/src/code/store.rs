//! [`CodeStore`]: archives by their hashes.

use std::{
    collections::HashSet,
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bessemer_domain::hex;
use bessemer_objects::storage::Storage;
use sha2::{Digest, Sha256};

use super::{CodeSource, UnpackError, UnpackLimits, unpack};
use crate::{Code, FunctionsError};

/// Bytes of an archive at most.
const MOST: u64 = 262_144_000;
/// Bytes of an archive that comes with a request.
const MOST_SENT: usize = 52_428_800;

/// The archives of a data directory. Everything blocks.
pub(crate) struct CodeStore {
    archives: PathBuf,
    /// What archives hold, as long as the server runs.
    unpacked: PathBuf,
    storage: Storage,
    /// Held while something is unpacked.
    unpacking: Mutex<()>,
}

impl CodeStore {
    /// The archives below `folder`, which is made if it isn't there.
    pub(crate) fn open(folder: &Path, storage: Storage) -> io::Result<Self> {
        let (archives, unpacked) = (folder.join("code"), folder.join("unpacked"));
        // After a power cut, what was unpacked may not be whole.
        match fs::remove_dir_all(&unpacked) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir_all(&archives)?;
        fs::create_dir_all(&unpacked)?;
        File::open(folder)?.sync_all()?;
        Ok(Self { archives, unpacked, storage, unpacking: Mutex::default() })
    }

    /// Keeps an archive, if it can be unpacked. It is on disk when this returns.
    pub(crate) fn keep(&self, source: &CodeSource) -> Result<Code, FunctionsError> {
        let mut temporary =
            tempfile::NamedTempFile::new_in(&self.archives).map_err(FunctionsError::internal)?;
        let (sha256, size) = match source {
            CodeSource::Zip(bytes) if bytes.len() > MOST_SENT => {
                let message = format!("Zipped size must be smaller than {MOST_SENT} bytes");
                return Err(FunctionsError::CodeStorage(message));
            }
            CodeSource::Zip(bytes) => copy(bytes.as_slice(), temporary.as_file_mut())?,
            CodeSource::Object { bucket, key } => {
                copy(self.object(bucket, key)?, temporary.as_file_mut())?
            }
        };
        let unpacked = self.check(temporary.path())?;
        let keep = || {
            temporary.as_file().sync_all()?;
            temporary.persist(self.archive(&sha256)).map_err(|error| error.error)?;
            File::open(&self.archives)?.sync_all()
        };
        keep().map_err(FunctionsError::internal)?;
        Ok(Code { sha256, size, unpacked })
    }

    /// The folder with what these archives hold, one laid over the other, unpacked if it isn't yet.
    pub(crate) fn folder(&self, codes: &[&Code]) -> Result<PathBuf, FunctionsError> {
        let name = match codes {
            [one] => one.sha256.clone(),
            several => {
                let mut hash = Sha256::new();
                for code in several {
                    hash.update(&code.sha256);
                }
                hex(&hash.finalize())
            }
        };
        let folder = self.unpacked.join(&name);
        let _one = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        if folder.exists() {
            return Ok(folder);
        }
        let unfinished = tempfile::tempdir_in(&self.unpacked).map_err(FunctionsError::internal)?;
        for code in codes {
            let archive =
                File::open(self.archive(&code.sha256)).map_err(FunctionsError::internal)?;
            unpack(archive, unfinished.path(), &UnpackLimits::default()).map_err(refused)?;
        }
        let opened = fs::set_permissions(unfinished.path(), Permissions::from_mode(0o755));
        opened.map_err(FunctionsError::internal)?;
        fs::rename(unfinished.keep(), &folder).map_err(FunctionsError::internal)?;
        Ok(folder)
    }

    /// The path of an archive.
    pub(crate) fn archive(&self, sha256: &str) -> PathBuf {
        self.archives.join(format!("{sha256}.zip"))
    }

    /// Forgets the archives that are none of `used`.
    pub(crate) fn forget_others(&self, used: &HashSet<String>) -> io::Result<()> {
        for entry in fs::read_dir(&self.archives)? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if !used.contains(name) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// That an archive can be unpacked. Returns the bytes of what it holds.
    fn check(&self, archive: &Path) -> Result<u64, FunctionsError> {
        let target = tempfile::tempdir_in(&self.unpacked).map_err(FunctionsError::internal)?;
        let file = File::open(archive).map_err(FunctionsError::internal)?;
        unpack(file, target.path(), &UnpackLimits::default()).map_err(refused)
    }

    fn object(&self, bucket: &str, key: &str) -> Result<File, FunctionsError> {
        let object = self.storage.open(bucket, key).map_err(|error| {
            if error.may_pass() {
                return FunctionsError::internal(error);
            }
            FunctionsError::invalid(format!(
                "Error occurred while GetObject. S3 Error Message: failed to {error}"
            ))
        })?;
        Ok(object.file)
    }
}

fn refused(error: UnpackError) -> FunctionsError {
    match error {
        error @ UnpackError::Write { .. } => FunctionsError::internal(error),
        error => FunctionsError::InvalidZip(error.to_string()),
    }
}

/// Copies an archive. Returns its hash and its size.
fn copy(mut from: impl Read, to: &mut File) -> Result<(String, u64), FunctionsError> {
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut chunk = vec![0; 128 << 10];
    loop {
        let count = from.read(&mut chunk).map_err(FunctionsError::internal)?;
        if count == 0 {
            return Ok((hex(&hash.finalize()), size));
        }
        size += count as u64;
        if size > MOST {
            let message = format!("Zipped size must be smaller than {MOST} bytes");
            return Err(FunctionsError::CodeStorage(message));
        }
        hash.update(&chunk[..count]);
        to.write_all(&chunk[..count]).map_err(FunctionsError::internal)?;
    }
}
