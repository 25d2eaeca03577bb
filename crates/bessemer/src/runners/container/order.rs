//! What was decided about an attempt when it began: a file, `order.json`, written before anything runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::stage::host_name;

/// What the next server has to know of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// How many instances there are.
    pub(super) instances: usize,
}

const ORDER: &str = "order.json";
const OUTCOME: &str = "outcome.json";

impl Order {
    /// The order in an attempt's folder, if it came so far.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(ORDER)).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write(&folder.join(ORDER), &serde_json::to_vec(self)?)
    }

    /// The folders of the instances.
    pub(super) fn hosts(&self, folder: &Path) -> Vec<PathBuf> {
        (0..self.instances).map(|index| folder.join(host_name(index))).collect()
    }
}

/// What came of an attempt whose results are in place: they are not put there again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Concluded {
    /// The class and the message of a failure.
    pub(super) failure: Option<(String, String)>,
    /// Whether no attempt may follow.
    #[serde(default)]
    pub(super) is_final: bool,
    pub(super) result: Option<String>,
}

impl Concluded {
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(OUTCOME)).ok()?).ok()
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        write(&folder.join(OUTCOME), &serde_json::to_vec(self)?)
    }
}

/// Writes whole or not at all.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, path)
}
