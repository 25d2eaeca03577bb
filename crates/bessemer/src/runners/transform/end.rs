//! How the child process ended: a file, `end.json`, which it writes last.

use std::{fs, io, path::Path};

use bessemer_objects::{Location, Objects};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Failed;

const NAME: &str = "end.json";

/// The end of a child process's work.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct End {
    /// The exit code of `bessemer transform`.
    pub(crate) code: i32,
    /// What went wrong, if it could not go on.
    pub(crate) message: Option<String>,
    /// The summary, if it came so far.
    pub(crate) summary: Option<Value>,
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

/// How the work in `folder` ended.
pub(super) fn read(folder: &Path) -> Result<End, Failed> {
    let text = match fs::read(folder.join(NAME)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let written = fs::read_to_string(folder.join("process.log")).unwrap_or_default();
            let last = written.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            let said = if last.is_empty() { String::new() } else { format!(": {last}") };
            return Err(Failed::infrastructure(format!("the engine was killed or crashed{said}")));
        }
        Err(error) => return Err(Failed::infrastructure(error)),
    };
    serde_json::from_slice(&text)
        .map_err(|error| Failed::infrastructure(format!("read how the engine ended: {error}")))
}
