//! The one handle through which inputs are found and read and outputs are put into place.

use std::{
    collections::HashMap,
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use tempfile::TempPath;

use crate::{
    durable,
    error::{ObjectsError, ObjectsErrorKind},
    inputs::{self, Input, InputOptions},
    location::Location,
    s3::Remote,
};

/// Reads and writes locations. A cheap clone shares connections with its original.
///
/// All calls block. The machinery for S3 (a tokio runtime, HTTP clients) starts with the first call
/// that needs it, so purely local work never pays for it. Not to be called from async code.
#[derive(Clone)]
pub struct Objects(Arc<Shared>);

struct Shared {
    /// The environment to configure S3 from; that of the process if `None`.
    variables: Option<HashMap<String, String>>,
    remote: Mutex<Option<Arc<Remote>>>,
}

/// A file found by [`Objects::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub location: Location,
    /// Its name below the folder that was listed.
    pub relative: String,
    /// Its length in bytes.
    pub size: u64,
}

/// An input's content as a local file.
#[derive(Debug)]
pub struct LocalCopy {
    path: PathBuf,
    /// Present if the file is a download, which goes away with this value.
    _download: Option<TempPath>,
}

impl LocalCopy {
    /// The file. It is there as long as this value is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Objects {
    /// Configured by the process's environment, when S3 is first used.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared { variables: None, remote: Mutex::default() }))
    }

    /// Configured by these environment variables instead of the process's.
    #[must_use]
    pub fn with_variables(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables = Some(variables.into_iter().collect());
        Self(Arc::new(Shared { variables, remote: Mutex::default() }))
    }

    /// The files that `given` stands for: files, folders, globs (`*`, `?`, `[a-z]`, `**`), `s3://`
    /// objects, prefixes and globs, and `SageMaker` manifests. They come in the order given, those of
    /// one argument sorted by relative name (those of a manifest in its order). A file given twice
    /// comes once. It is an error if an argument stands for nothing, or if two files would get the
    /// same relative name.
    pub fn inputs(
        &self,
        given: &[String],
        options: &InputOptions,
    ) -> Result<Vec<Input>, ObjectsError> {
        inputs::find_all(self, given, options)
    }

    /// The content of `input` as a local file: itself if it is local, else a download in the folder
    /// `scratch`. An input that is no longer what was listed is an error.
    pub fn fetch(&self, input: &Input, scratch: &Path) -> Result<LocalCopy, ObjectsError> {
        let (bucket, key) = match &input.location {
            Location::Local(path) => {
                check_unchanged(input, path)?;
                return Ok(LocalCopy { path: path.clone(), _download: None });
            }
            Location::S3 { bucket, key } => (bucket, key),
        };
        fs::create_dir_all(scratch)
            .map_err(|source| ObjectsError::io("make the folder", scratch, source))?;
        let (file, download) = durable::temp_in(scratch)?.into_parts();
        self.remote()?.download(bucket, key, &input.version, input.size, &file)?;
        Ok(LocalCopy { path: download.to_path_buf(), _download: Some(download) })
    }

    /// The content of the file at `location` as it is now, as a local file: itself if it is local,
    /// else a download in the folder `scratch`.
    pub fn fetch_now(
        &self,
        location: &Location,
        scratch: &Path,
    ) -> Result<LocalCopy, ObjectsError> {
        match location {
            Location::Local(path) => Ok(LocalCopy { path: path.clone(), _download: None }),
            Location::S3 { bucket, key } => {
                let file = self.remote()?.head_existing(bucket, key)?;
                let relative = location.name().to_owned();
                self.fetch(&inputs::s3_file(bucket, file, relative), scratch)
            }
        }
    }

    /// The whole content of a small file; `None` if it is not there.
    pub fn read(&self, location: &Location) -> Result<Option<Vec<u8>>, ObjectsError> {
        match location {
            Location::Local(path) => match fs::read(path) {
                Ok(content) => Ok(Some(content)),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(ObjectsError::io("read", path, error)),
            },
            Location::S3 { bucket, key } => self.remote()?.read(bucket, key),
        }
    }

    /// Writes a small file, whole or not at all, replacing what is there.
    pub fn write(&self, location: &Location, content: &[u8]) -> Result<(), ObjectsError> {
        match location {
            Location::Local(path) => durable::write_whole(path, content),
            Location::S3 { bucket, key } => self.remote()?.write(bucket, key, content),
        }
    }

    /// Moves the finished file `local_file` to `location`, whole or not at all, replacing what is
    /// there. Missing folders are made.
    pub fn publish(&self, local_file: &Path, location: &Location) -> Result<(), ObjectsError> {
        match location {
            Location::Local(path) => {
                durable::publish_many(&[(local_file.to_owned(), path.clone())])
            }
            Location::S3 { bucket, key } => {
                self.remote()?.upload(local_file, bucket, key)?;
                fs::remove_file(local_file)
                    .map_err(|source| ObjectsError::io("remove", local_file, source))
            }
        }
    }

    /// Every file below `folder`, hidden ones too, sorted by relative name; none if it is not there.
    pub fn list(&self, folder: &Location) -> Result<Vec<Listed>, ObjectsError> {
        match folder {
            Location::Local(path) => {
                let files = inputs::list_local(path)?.into_iter();
                Ok(files
                    .map(|(path, relative, size)| Listed {
                        location: Location::Local(path),
                        relative,
                        size,
                    })
                    .collect())
            }
            Location::S3 { bucket, key } => {
                let prefix = inputs::folder_key(key);
                let files = self.remote()?.list(bucket, &prefix, &|_| true)?;
                let mut listed: Vec<Listed> = files
                    .into_iter()
                    .map(|file| Listed {
                        relative: file.key.strip_prefix(&prefix).unwrap_or(&file.key).to_owned(),
                        location: Location::S3 { bucket: bucket.clone(), key: file.key },
                        size: file.size,
                    })
                    .collect();
                listed.sort_by(|a, b| a.relative.cmp(&b.relative));
                Ok(listed)
            }
        }
    }

    /// Removes a file, or an empty folder of this machine. It is no error if it is not there.
    pub fn delete(&self, location: &Location) -> Result<(), ObjectsError> {
        match location {
            Location::Local(path) => match fs::remove_file(path) {
                Err(error) if is_missing(&error) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                    fs::remove_dir(path).map_err(|source| ObjectsError::io("remove", path, source))
                }
                done => done.map_err(|source| ObjectsError::io("remove", path, source)),
            },
            Location::S3 { bucket, key } => {
                self.remote()?.delete_many(bucket, std::slice::from_ref(key))
            }
        }
    }

    /// Removes many files; on S3 a thousand a request.
    pub fn delete_many(&self, locations: &[Location]) -> Result<(), ObjectsError> {
        let mut keys: HashMap<&str, Vec<String>> = HashMap::new();
        for location in locations {
            match location {
                Location::Local(_) => self.delete(location)?,
                Location::S3 { bucket, key } => keys.entry(bucket).or_default().push(key.clone()),
            }
        }
        keys.iter().try_for_each(|(bucket, keys)| self.remote()?.delete_many(bucket, keys))
    }

    /// Copies a file, whole or not at all, replacing what is there.
    pub fn copy(&self, from: &Location, to: &Location) -> Result<(), ObjectsError> {
        match (from, to) {
            (Location::Local(from), Location::Local(to)) => durable::copy_whole(from, to),
            (Location::Local(from), Location::S3 { bucket, key }) => {
                self.remote()?.upload(from, bucket, key)
            }
            (Location::S3 { bucket, key }, Location::Local(to)) => {
                let remote = self.remote()?;
                let object = remote.head_existing(bucket, key)?;
                durable::create_dir_durable(durable::parent_of(to))?;
                let (file, temp) = durable::temp_beside(to)?;
                remote.download(bucket, key, &object.version, object.size, &file)?;
                drop(file);
                durable::publish_many(&[(temp.to_path_buf(), to.clone())])
            }
            (Location::S3 { bucket, key }, Location::S3 { bucket: to_bucket, key: to_key }) => {
                self.remote()?.copy((bucket, key), (to_bucket, to_key))
            }
        }
    }

    /// Whether a file or folder is there; on S3, an object of that name or any below it.
    pub fn exists(&self, location: &Location) -> Result<bool, ObjectsError> {
        match location {
            Location::Local(path) => {
                path.try_exists().map_err(|source| ObjectsError::io("look for", path, source))
            }
            Location::S3 { bucket, key } => self.remote()?.exists(bucket, key),
        }
    }

    /// The first bytes of `input`, at most `most`.
    pub(crate) fn read_head(&self, input: &Input, most: u64) -> Result<Vec<u8>, ObjectsError> {
        match &input.location {
            Location::Local(path) => {
                let mut head = Vec::new();
                File::open(path)
                    .and_then(|file| file.take(most).read_to_end(&mut head))
                    .map_err(|source| ObjectsError::io("read", path, source))?;
                Ok(head)
            }
            Location::S3 { bucket, key } => {
                self.remote()?.read_range(bucket, key, 0..most.min(input.size))
            }
        }
    }

    /// What speaks to S3, started if it is not yet.
    pub(crate) fn remote(&self) -> Result<Arc<Remote>, ObjectsError> {
        let mut slot = self.0.remote.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(remote) = &*slot {
            return Ok(Arc::clone(remote));
        }
        let variables = self.0.variables.clone().unwrap_or_else(|| {
            // What is not UTF-8 is none of S3's variables.
            let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
                Some((name.into_string().ok()?, value.into_string().ok()?))
            };
            std::env::vars_os().filter_map(text).collect()
        });
        let remote = Arc::new(Remote::start(variables)?);
        *slot = Some(Arc::clone(&remote));
        Ok(remote)
    }
}

impl Default for Objects {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects").finish_non_exhaustive()
    }
}

fn check_unchanged(input: &Input, path: &Path) -> Result<(), ObjectsError> {
    let metadata = fs::metadata(path).map_err(|source| ObjectsError::io("read", path, source))?;
    if inputs::local_version(&metadata) == input.version {
        return Ok(());
    }
    let message = format!("read `{}`: it changed after the inputs were listed", path.display());
    Err(ObjectsError::new(ObjectsErrorKind::Changed, message)
        .with_hint("run again when nothing writes to it"))
}

/// Whether `error` says that a path is not there.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_work_starts_nothing_for_s3() {
        let dir = tempfile::tempdir().unwrap();
        let objects = Objects::new();
        let place = Location::Local(dir.path().join("x"));
        objects.write(&place, b"x").unwrap();
        let given = [dir.path().display().to_string()];
        let found = objects.inputs(&given, &InputOptions::default()).unwrap();
        objects.fetch(&found[0], dir.path()).unwrap();
        assert!(objects.0.remote.lock().unwrap().is_none());
    }
}
