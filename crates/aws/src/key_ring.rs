//! [`KeyRing`]: the access keys of a data directory, in a file that only its owner reads.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rand::RngExt;
use serde::{Deserialize, Serialize};

/// The access keys in `keys.json`. The file is looked at again whenever it has changed, so that a key
/// that another process makes or deletes counts at once.
#[derive(Debug)]
pub struct KeyRing {
    path: PathBuf,
    seen: Mutex<Seen>,
    /// Keys of another S3, which are in no file of ours.
    others: Vec<AccessKeyEntry>,
}

/// What the file held when it was last read.
#[derive(Debug, Default)]
struct Seen {
    /// Inode, time of change in nanoseconds, and size.
    version: Option<(u64, i128, u64)>,
    keys: Vec<AccessKeyEntry>,
}

/// An access key.
#[derive(Clone, Serialize, Deserialize)]
pub struct AccessKeyEntry {
    /// Its id, such as `AKIA…`.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// Whether it may only read.
    #[serde(default)]
    pub read_only: bool,
    /// The job that it was made for, and ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct KeyFile {
    keys: Vec<AccessKeyEntry>,
}

/// Why the access keys can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// The file can't be read or written.
    #[error("failed to {verb} the access keys in `{}`", path.display())]
    Io {
        /// Read or write.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what this program writes.
    #[error("the access keys in `{}` are malformed", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// There is no such key.
    #[error("there is no access key `{0}`")]
    Unknown(String),
}

impl KeyRing {
    /// The keys of the data directory `directory`, which need not have any yet.
    pub fn of(directory: &Path) -> Self {
        Self { path: directory.join("keys.json"), seen: Mutex::default(), others: Vec::new() }
    }

    /// Takes these keys too, and keeps none of them.
    #[must_use]
    pub fn with(self, others: Vec<AccessKeyEntry>) -> Self {
        Self { others, ..self }
    }

    /// All keys, oldest first.
    pub fn list(&self) -> Result<Vec<AccessKeyEntry>, KeyRingError> {
        self.with_keys(<[AccessKeyEntry]>::to_vec)
    }

    /// The key of that id.
    pub fn find(&self, id: &str) -> Result<Option<AccessKeyEntry>, KeyRingError> {
        self.with_keys(|keys| keys.iter().chain(&self.others).find(|key| key.id == id).cloned())
    }

    /// Makes a key.
    pub fn create(&self, read_only: bool, now: u64) -> Result<AccessKeyEntry, KeyRingError> {
        self.add(read_only, None, now)
    }

    /// Makes a key for a job.
    pub fn create_for_job(&self, job: &str, now: u64) -> Result<AccessKeyEntry, KeyRingError> {
        self.add(false, Some(job.to_owned()), now)
    }

    /// Deletes a key.
    pub fn delete(&self, id: &str) -> Result<(), KeyRingError> {
        let _lock = self.lock()?;
        let mut keys = self.list()?;
        let before = keys.len();
        keys.retain(|key| key.id != id);
        if keys.len() == before {
            return Err(KeyRingError::Unknown(id.to_owned()));
        }
        self.write(keys)
    }

    fn add(
        &self,
        read_only: bool,
        job: Option<String>,
        now: u64,
    ) -> Result<AccessKeyEntry, KeyRingError> {
        const ID: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        const SECRET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let key = AccessKeyEntry {
            id: format!("AKIA{}", random(ID, 16)),
            secret: random(SECRET, 40),
            created_at: now,
            read_only,
            job,
        };
        let _lock = self.lock()?;
        let mut keys = self.list()?;
        keys.push(key.clone());
        self.write(keys)?;
        Ok(key)
    }

    /// Keeps other changes away until the file is dropped, those of other processes too.
    fn lock(&self) -> Result<fs::File, KeyRingError> {
        let path = self.path.with_extension("lock");
        let lock = || {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let file = fs::File::options().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| self.failed("write", error))
    }

    fn with_keys<T>(&self, look: impl FnOnce(&[AccessKeyEntry]) -> T) -> Result<T, KeyRingError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let version = match fs::metadata(&self.path) {
            Ok(file) => {
                let changed =
                    i128::from(file.mtime()) * 1_000_000_000 + i128::from(file.mtime_nsec());
                Some((file.ino(), changed, file.len()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.failed("read", error)),
        };
        if seen.version != version {
            let keys = if version.is_some() { self.read()? } else { Vec::new() };
            *seen = Seen { version, keys };
        }
        Ok(look(&seen.keys))
    }

    fn read(&self) -> Result<Vec<AccessKeyEntry>, KeyRingError> {
        let text = fs::read(&self.path).map_err(|error| self.failed("read", error))?;
        match serde_json::from_slice::<KeyFile>(&text) {
            Ok(file) => Ok(file.keys),
            Err(source) => Err(KeyRingError::Malformed { path: self.path.clone(), source }),
        }
    }

    fn write(&self, keys: Vec<AccessKeyEntry>) -> Result<(), KeyRingError> {
        let text = serde_json::to_vec_pretty(&KeyFile { keys })
            .map_err(|source| KeyRingError::Malformed { path: self.path.clone(), source })?;
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            // Temporary files are the owner's alone.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            io::Write::write_all(&mut file, &text)?;
            file.as_file().sync_all()?;
            file.persist(&self.path)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|error| self.failed("write", error))
    }

    fn failed(&self, verb: &'static str, source: io::Error) -> KeyRingError {
        KeyRingError::Io { verb, path: self.path.clone(), source }
    }
}

impl KeyRing {
    /// A key. A file that can't be read knows none; the server's log says why.
    pub(crate) fn known(&self, id: &str) -> Option<AccessKeyEntry> {
        self.find(id).unwrap_or_else(|error| {
            tracing::error!(%error, "no request can be verified without the access keys");
            None
        })
    }
}

impl std::fmt::Debug for AccessKeyEntry {
    /// Without the secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccessKeyEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

fn random(alphabet: &[u8], length: usize) -> String {
    let mut random = rand::rng();
    (0..length).map(|_| char::from(alphabet[random.random_range(0..alphabet.len())])).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn no_key_is_lost_when_many_are_made_at_once() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| KeyRing::of(folder.path()).create_for_job("job", 1).unwrap());
            }
        });
        assert_eq!(KeyRing::of(folder.path()).list().unwrap().len(), 8);
    }

    #[test]
    fn keys_are_kept_for_their_owner_alone_and_seen_by_others_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, other) = (KeyRing::of(folder.path()), KeyRing::of(folder.path()));
        assert!(other.list().unwrap().is_empty());
        let key = mine.create(true, 7).unwrap();
        assert_eq!((key.id.len(), key.secret.len(), key.read_only), (20, 40, true));
        let mode = fs::metadata(folder.path().join("keys.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(other.find(&key.id).unwrap().unwrap().secret, key.secret);
        mine.create(false, 8).unwrap();
        other.delete(&key.id).unwrap();
        assert!(mine.find(&key.id).unwrap().is_none());
        assert!(matches!(mine.delete(&key.id), Err(KeyRingError::Unknown(_))));
        assert!(!format!("{key:?}").contains(&key.secret));
    }
}
