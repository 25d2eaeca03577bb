//! The output folder: who owns it, where unfinished files wait, how an old run makes way for a new.
//!
//! `<output>/<name>` are outputs, `_rejects/` the rejects, `_SUCCESS` comes last, `_bessemer/` holds
//! `run.json` (what the run was asked), `columns.json` (the output columns), the ledger and `tmp/`.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use bessemer_objects::{Location, Objects};
use rustix::fs::{FlockOperation, RenameFlags, flock, renameat_with};
use serde_json::Value;

use crate::error::TransformError;

/// Where rejects are, below the output folder.
pub(crate) const REJECTS: &str = "_rejects";

/// What to do with an output folder that is not empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Refuse it.
    New,
    /// Go on with the run that it holds.
    Resume,
    /// Replace the run that it holds, once the new one is whole.
    Overwrite,
}

/// An output folder, owned by this process.
#[derive(Debug)]
pub struct Folder {
    /// Where the output is in the end.
    place: Location,
    /// Where it is put together: the same, unless an old output stays readable meanwhile.
    root: Location,
    scratch: PathBuf,
    objects: Objects,
    _scratch_guard: Option<tempfile::TempDir>,
    _lock: Option<File>,
}

const SUCCESS: &str = "_SUCCESS";
const RUN: &str = "_bessemer/run.json";
const COLUMNS: &str = "_bessemer/columns.json";

impl Folder {
    /// Takes the output folder `place` for a run.
    pub fn open(place: &Location, mode: Mode, objects: &Objects) -> Result<Self, TransformError> {
        let holds_run = objects.exists(&place.join(RUN))?;
        if !holds_run && !is_empty(place, objects)? {
            return Err(TransformError::output(format!(
                "the output `{place}` holds files that are no run of bessemer's"
            ))
            .with_hint("choose another output"));
        }
        if holds_run && mode == Mode::New {
            return Err(TransformError::output(format!("the output `{place}` holds another run"))
                .with_hint(
                    "go on with it by `--resume`, replace it by `--overwrite`, or choose another",
                ));
        }
        let replaces = holds_run && mode == Mode::Overwrite;
        let lock = lock(place)?;
        let root = if replaces { staging(place, objects)? } else { place.clone() };
        sweep(&root)?;
        let (scratch, guard) = scratch(&root)?;
        Ok(Self {
            place: place.clone(),
            root,
            scratch,
            objects: objects.clone(),
            _scratch_guard: guard,
            _lock: lock,
        })
    }

    /// Where unfinished files wait.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The place of an output file while the run goes on.
    pub fn output(&self, relative: &str) -> Location {
        self.root.join(relative)
    }

    pub(crate) fn root(&self) -> &Location {
        &self.root
    }

    /// What the run that the folder holds was asked, if it holds one.
    pub fn run(&self) -> Result<Option<Value>, TransformError> {
        self.read(RUN)
    }

    pub(crate) fn write_run(&self, run: &Value) -> Result<(), TransformError> {
        self.write(RUN, run)
    }

    pub(crate) fn columns(&self) -> Result<Option<Value>, TransformError> {
        self.read(COLUMNS)
    }

    pub(crate) fn write_columns(&self, columns: &Value) -> Result<(), TransformError> {
        self.write(COLUMNS, columns)
    }

    /// Marks the output as whole and, if it was put together elsewhere, puts it in place.
    pub(crate) fn succeed(&self, summary: &Value) -> Result<(), TransformError> {
        self.write("_bessemer/summary.json", summary)?;
        self.objects.write(&self.root.join(SUCCESS), b"")?;
        if self.root == self.place {
            return Ok(());
        }
        match (&self.root, &self.place) {
            (Location::Local(root), Location::Local(place)) => exchange(root, place),
            _ => self.replace_remote(),
        }
    }

    /// Removes what is unfinished, as far as it can be; the next run would, too.
    pub(crate) fn clear_scratch(&self) {
        let _ = std::fs::remove_dir_all(&self.scratch);
    }

    /// Whether the run is whole.
    pub(crate) fn is_done(&self) -> Result<bool, TransformError> {
        Ok(self.objects.exists(&self.root.join(SUCCESS))?)
    }

    fn read(&self, name: &str) -> Result<Option<Value>, TransformError> {
        let location = self.root.join(name);
        let Some(text) = self.objects.read(&location)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            TransformError::output(format!("`{location}` is damaged: {error}"))
                .with_hint("start anew with `--overwrite`")
        })
    }

    fn write(&self, name: &str, value: &Value) -> Result<(), TransformError> {
        Ok(self.objects.write(&self.root.join(name), format!("{value:#}\n").as_bytes())?)
    }

    /// Copies the new output over the old, object by object, `_SUCCESS` last, and deletes what the
    /// old one had more.
    fn replace_remote(&self) -> Result<(), TransformError> {
        let new = self.objects.list(&self.root)?;
        let (marker, files): (Vec<_>, Vec<_>) =
            new.iter().partition(|listed| listed.relative == SUCCESS);
        self.objects.delete(&self.place.join(SUCCESS))?;
        for listed in files.iter().chain(&marker) {
            self.objects.copy(&listed.location, &self.place.join(&listed.relative))?;
        }
        for old in self.objects.list(&self.place)? {
            if !new.iter().any(|listed| listed.relative == old.relative) {
                self.objects.delete(&old.location)?;
            }
        }
        Ok(())
    }
}

fn is_empty(place: &Location, objects: &Objects) -> Result<bool, TransformError> {
    match place {
        Location::Local(path) => match std::fs::read_dir(path) {
            // `_bessemer` alone: a run that was killed before it wrote anything.
            Ok(entries) => Ok(entries
                .flatten()
                .all(|entry| entry.file_name().to_string_lossy() == "_bessemer")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(TransformError::io("read", path)(error)),
        },
        Location::S3 { .. } => Ok(objects.list(place)?.is_empty()),
    }
}

/// Keeps a second process out of a local folder.
fn lock(place: &Location) -> Result<Option<File>, TransformError> {
    let Location::Local(path) = place else { return Ok(None) };
    let folder = path.join("_bessemer");
    std::fs::create_dir_all(&folder).map_err(TransformError::io("create", &folder))?;
    let path = folder.join("lock");
    let file = File::create(&path).map_err(TransformError::io("create", &path))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        TransformError::output(format!("another bessemer is writing to `{place}`"))
            .with_hint("wait for its end, or choose another output")
    })?;
    Ok(Some(file))
}

/// Where a new run is put together while the old output stays readable.
fn staging(place: &Location, objects: &Objects) -> Result<Location, TransformError> {
    let Location::Local(path) = place else {
        let root = place.join("_bessemer/next");
        for listed in objects.list(&root)? {
            objects.delete(&listed.location)?;
        }
        return Ok(root);
    };
    let path = path.canonicalize().map_err(TransformError::io("read", path))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let next = path.with_file_name(format!(".{name}.bessemer-next"));
    match std::fs::remove_dir_all(&next) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(TransformError::io("remove", &next)(error));
        }
        _ => {}
    }
    Ok(Location::Local(next))
}

/// Removes the temporary files of writes that a kill cut off.
fn sweep(root: &Location) -> Result<(), TransformError> {
    let Location::Local(path) = root else { return Ok(()) };
    for folder in [path.clone(), path.join("_bessemer")] {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(".bessemer-") && name.ends_with(".tmp") {
                std::fs::remove_file(entry.path())
                    .map_err(TransformError::io("remove", entry.path()))?;
            }
        }
    }
    Ok(())
}

fn scratch(root: &Location) -> Result<(PathBuf, Option<tempfile::TempDir>), TransformError> {
    match root {
        Location::Local(path) => {
            let scratch = path.join("_bessemer/tmp");
            // What a killed run left behind.
            match std::fs::remove_dir_all(&scratch) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(TransformError::io("remove", &scratch)(error));
                }
                _ => {}
            }
            std::fs::create_dir_all(&scratch).map_err(TransformError::io("create", &scratch))?;
            Ok((scratch, None))
        }
        Location::S3 { .. } => {
            let guard = tempfile::Builder::new()
                .prefix("bessemer-")
                .tempdir()
                .map_err(TransformError::io("create", std::env::temp_dir()))?;
            Ok((guard.path().to_owned(), Some(guard)))
        }
    }
}

/// Exchanges two folders in one step, then removes the one that is now at `new`.
fn exchange(new: &Path, old: &Path) -> Result<(), TransformError> {
    renameat_with(rustix::fs::CWD, new, rustix::fs::CWD, old, RenameFlags::EXCHANGE)
        .map_err(|error| TransformError::io("put in place", old)(error.into()))?;
    if let Some(parent) = new.parent() {
        bessemer_objects::durable::sync_dir(parent)?;
    }
    std::fs::remove_dir_all(new).map_err(TransformError::io("remove", new))
}
