//! How the child process ended: a file, `end.json`, which it writes last.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use bessemer_objects::{Location, Objects};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failed;

const NAME: &str = "end.json";

/// What SageMaker says of a record that its model refuses.
pub(super) const BAD_RECORD: &str = "ClientError: 400";

/// Bytes of an end and of a process's log that are read, at most.
const LONGEST: u64 = 256 << 20;

/// The end of a child process's work.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct End {
    /// The exit code of `bessemer transform`.
    pub(crate) code: i32,
    /// What went wrong, if it could not go on.
    pub(crate) message: Option<String>,
    /// The summary, if it came so far.
    pub(crate) summary: Option<Value>,
    /// What the data log says of the settings.
    #[serde(default)]
    pub(crate) settings: Option<String>,
    /// Every finished file.
    pub(crate) files: Vec<FileEnd>,
}

/// What became of an input.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct FileEnd {
    /// Its name below the inputs.
    pub(crate) file: String,
    /// The output below the output folder; none if the input can't be read.
    pub(crate) output: Option<String>,
    /// Its rejected records.
    #[serde(default)]
    pub(crate) rejected: u64,
    /// Why the first of them was, or why the file can't be read.
    #[serde(default)]
    pub(crate) reason: Option<String>,
    /// What SageMaker says of such a failure. None: [`BAD_RECORD`].
    #[serde(default)]
    pub(crate) status: Option<String>,
}

impl End {
    /// Whether it left anything to put in place.
    pub(super) fn may_publish(&self) -> bool {
        self.summary.is_some()
    }
}

/// Writes the end of the work in `folder`, whole or not at all.
pub(crate) fn write_end(folder: &Path, end: &End) -> io::Result<()> {
    let text = serde_json::to_vec(end)?;
    Objects::new().write(&Location::Local(folder.join(NAME)), &text).map_err(io::Error::other)
}

/// Whether the work in `folder` has come to its own end.
pub(super) fn has_ended(folder: &Path) -> bool {
    folder.join(NAME).exists()
}

/// Forgets an earlier attempt's end.
pub(super) fn forget(folder: &Path) -> io::Result<()> {
    match fs::remove_file(folder.join(NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The regular file `name` in `folder`, reached through no link: the folder may be a sandbox's.
pub(super) fn open_beneath(folder: &Path, name: &str) -> io::Result<File> {
    let top = File::open(folder)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = File::from(openat2(top, name, flags, Mode::empty(), resolve)?);
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other(format!("`{name}` is no regular file")))
}

/// What is in a file that [`open_beneath`] opens.
pub(super) fn read_beneath(folder: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_beneath(folder, name)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// How the work in `folder` ended.
pub(super) fn read(folder: &Path) -> Result<End, Failed> {
    let text = match read_beneath(folder, NAME) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let written = read_beneath(folder, "process.log").unwrap_or_default();
            let written = String::from_utf8_lossy(&written);
            let last = written.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let said = if last.is_empty() { String::new() } else { format!(": {last}") };
            return Err(Failed::infrastructure(format!("the engine was killed or crashed{said}")));
        }
        Err(error) => return Err(Failed::infrastructure(error)),
    };
    serde_json::from_slice(&text)
        .map_err(|error| Failed::infrastructure(format!("read how the engine ended: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_through_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        fs::create_dir_all(work.join("in")).unwrap();
        fs::write(folder.path().join("secret"), "x").unwrap();
        fs::write(work.join("in/plain"), "y").unwrap();
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, work.join(name)).unwrap();
        };
        link("../secret", "file");
        link("..", "folder");
        assert_eq!(read_beneath(&work, "in/plain").unwrap(), b"y");
        for name in ["file", "folder/secret", "../secret", "/etc/passwd", "in"] {
            assert!(read_beneath(&work, name).is_err(), "{name}");
        }
    }
}
