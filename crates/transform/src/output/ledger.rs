//! The ledger: which inputs are finished, so that a run can go on after a kill or a power cut.

use std::{collections::BTreeMap, path::PathBuf};

use bessemer_domain::hex;
use bessemer_objects::{Location, Objects, durable::append_durable};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{error::TransformError, input::internal};

/// One finished input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The input, by its name below the input folder.
    pub(crate) file: String,
    /// What of the input was read: size and time, or its `ETag`.
    pub(crate) version: String,
    /// The output, by its name below the output folder; none if the input can't be read.
    pub(crate) output: Option<String>,
    pub(crate) rows: u64,
    pub(crate) rejected: u64,
    pub(crate) bytes: u64,
}

/// The ledger of an output folder. Local: lines of a file, each durable before the next batch of
/// outputs. Remote, where nothing can be appended to: one object an entry.
#[derive(Debug)]
pub(crate) enum Ledger {
    Local(PathBuf),
    Remote(Location, Objects),
}

impl Ledger {
    pub(crate) fn new(folder: &Location, objects: &Objects) -> Self {
        match folder.join("_bessemer/ledger.jsonl") {
            Location::Local(path) => Self::Local(path),
            Location::S3 { .. } => Self::Remote(folder.join("_bessemer/done"), objects.clone()),
        }
    }

    /// The finished inputs. A torn last line, of a power cut, counts as absent.
    pub(crate) fn read(&self) -> Result<BTreeMap<String, Entry>, TransformError> {
        let mut entries = BTreeMap::new();
        let mut add = |text: &[u8]| {
            if let Ok(entry) = serde_json::from_slice::<Entry>(text) {
                entries.insert(entry.file.clone(), entry);
            }
        };
        match self {
            Self::Local(path) => match std::fs::read(path) {
                Ok(text) => text.split(|byte| *byte == b'\n').for_each(&mut add),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(TransformError::io("read", path)(error)),
            },
            Self::Remote(folder, objects) => {
                for listed in objects.list(folder)? {
                    if let Some(text) = objects.read(&listed.location)? {
                        add(&text);
                    }
                }
            }
        }
        Ok(entries)
    }

    /// Adds entries, durably.
    pub(crate) fn append(&self, entries: &[Entry]) -> Result<(), TransformError> {
        match self {
            Self::Local(path) => {
                let mut text = Vec::new();
                for entry in entries {
                    // A line of its own, whatever a power cut left in front of it.
                    text.push(b'\n');
                    serde_json::to_writer(&mut text, entry).map_err(internal)?;
                    text.push(b'\n');
                }
                Ok(append_durable(path, &text)?)
            }
            Self::Remote(folder, objects) => {
                for entry in entries {
                    let name = hex(&Sha256::digest(entry.file.as_bytes()));
                    let text = serde_json::to_vec(entry).map_err(internal)?;
                    objects.write(&folder.join(&format!("{name}.json")), &text)?;
                }
                Ok(())
            }
        }
    }
}
