//! [`KeyRing`]: the access keys of a data directory, in a file that only its owner reads, and those of
//! the attempts that run, which are in no file: they follow from a seed and the attempt.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rand::RngExt;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What ids of keys are made of.
const ID: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Bytes of the seed.
const SEED: usize = 32;

/// The access keys in `keys.json`. The file is looked at again whenever it has changed, so that a key
/// that another process makes or deletes counts at once.
#[derive(Debug)]
pub struct KeyRing {
    path: PathBuf,
    seen: Mutex<Seen>,
    seed: OnceLock<[u8; SEED]>,
    /// Those of attempts and functions, by id.
    open: Mutex<HashMap<String, AccessKeyEntry>>,
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
        Self {
            path: directory.join("keys.json"),
            seen: Mutex::default(),
            seed: OnceLock::new(),
            open: Mutex::default(),
            others: Vec::new(),
        }
    }

    /// Takes these keys too, and keeps none of them.
    #[must_use]
    pub fn with(self, others: Vec<AccessKeyEntry>) -> Self {
        Self { others, ..self }
    }

    /// All keys of the file, oldest first.
    pub fn list(&self) -> Result<Vec<AccessKeyEntry>, KeyRingError> {
        self.with_keys(<[AccessKeyEntry]>::to_vec)
    }

    /// The key of that id, which may be an attempt's.
    pub fn find(&self, id: &str) -> Result<Option<AccessKeyEntry>, KeyRingError> {
        if let Some(key) = self.open().get(id) {
            return Ok(Some(key.clone()));
        }
        self.with_keys(|keys| keys.iter().chain(&self.others).find(|key| key.id == id).cloned())
    }

    /// Makes a key.
    pub fn create(&self, read_only: bool, now: u64) -> Result<AccessKeyEntry, KeyRingError> {
        let key = AccessKeyEntry::random(read_only, now);
        let _lock = self.lock()?;
        let mut keys = self.list()?;
        keys.push(key.clone());
        self.write(keys)?;
        Ok(key)
    }

    /// Makes a key that is in no file: it is accepted until [`Self::close`], or the end of this server.
    pub fn open_new(&self, now: u64) -> AccessKeyEntry {
        let key = AccessKeyEntry::random(false, now);
        self.open().insert(key.id.clone(), key.clone());
        key
    }

    /// A key that is in no file is accepted no more.
    pub fn close(&self, id: &str) {
        self.open().remove(id);
    }

    /// The key of attempt `number` at job `job`, which is accepted from now on until
    /// [`Self::close_for_attempt`], or the end of this server. It is the same whenever it is asked for:
    /// it follows from the data directory's seed, a file that is made if it isn't there.
    pub fn open_for_attempt(&self, job: i64, number: u32) -> Result<AccessKeyEntry, KeyRingError> {
        let seed = self.seed()?;
        let key = AccessKeyEntry {
            id: attempt_id(seed, job, number),
            // 40 characters.
            secret: BASE64_STANDARD_NO_PAD.encode(&derived(seed, "secret", job, number)[..30]),
            created_at: 0,
            read_only: false,
        };
        self.open().insert(key.id.clone(), key.clone());
        Ok(key)
    }

    /// The attempt's key is accepted no more.
    pub fn close_for_attempt(&self, job: i64, number: u32) {
        // Without a seed no key was ever opened.
        if let Some(seed) = self.seed.get() {
            self.open().remove(&attempt_id(seed, job, number));
        }
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

    fn open(&self) -> MutexGuard<'_, HashMap<String, AccessKeyEntry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the keys of attempts follow from.
    fn seed(&self) -> Result<&[u8; SEED], KeyRingError> {
        if let Some(seed) = self.seed.get() {
            return Ok(seed);
        }
        let _lock = self.lock()?;
        let path = self.path.with_extension("seed");
        let seed = match fs::read(&path).map(TryInto::try_into) {
            Ok(Ok(seed)) => seed,
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(KeyRingError::Io { verb: "read", path, source: error });
            }
            _ => {
                let seed = rand::random::<[u8; SEED]>();
                write_whole(&path, &seed).map_err(|source| KeyRingError::Io {
                    verb: "write",
                    path,
                    source,
                })?;
                seed
            }
        };
        Ok(self.seed.get_or_init(|| seed))
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
        write_whole(&self.path, &text).map_err(|error| self.failed("write", error))
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

impl AccessKeyEntry {
    fn random(read_only: bool, now: u64) -> Self {
        const SECRET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (id, secret) = (format!("AKIA{}", random(ID, 16)), random(SECRET, 40));
        Self { id, secret, created_at: now, read_only }
    }
}

impl std::fmt::Debug for AccessKeyEntry {
    /// Without the secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AccessKeyEntry").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Writes a file whole and durably, for its owner alone.
fn write_whole(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // Temporary files are the owner's alone.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    fs::File::open(folder)?.sync_all()
}

fn attempt_id(seed: &[u8; SEED], job: i64, number: u32) -> String {
    let characters =
        derived(seed, "id", job, number).map(|byte| char::from(ID[usize::from(byte % 32)]));
    format!("AKIA{}", characters[..16].iter().collect::<String>())
}

fn derived(seed: &[u8; SEED], what: &str, job: i64, number: u32) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(seed).expect("any length is a key");
    mac.update(format!("{what} of attempt {number} at job {job}").as_bytes());
    mac.finalize().into_bytes().into()
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
                scope.spawn(|| KeyRing::of(folder.path()).create(false, 1).unwrap());
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

    #[test]
    fn an_attempts_key_is_the_same_after_a_restart_and_none_when_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let first = KeyRing::of(folder.path());
        let key = first.open_for_attempt(7, 1).unwrap();
        assert_eq!((key.id.len(), key.secret.len()), (20, 40));
        assert_eq!(first.find(&key.id).unwrap().unwrap().secret, key.secret);
        let next = KeyRing::of(folder.path());
        assert!(next.find(&key.id).unwrap().is_none());
        let again = next.open_for_attempt(7, 1).unwrap();
        assert_eq!((&again.id, &again.secret), (&key.id, &key.secret));
        let others = [(7, 2), (8, 1)].map(|(job, number)| next.open_for_attempt(job, number));
        for other in others.map(Result::unwrap) {
            assert!(other.id != key.id && other.secret != key.secret);
        }
        next.close_for_attempt(7, 1);
        assert!(next.find(&key.id).unwrap().is_none());
        assert!(next.list().unwrap().is_empty());
        let mode = fs::metadata(folder.path().join("keys.seed")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
