//! Files below a folder of this machine.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{
    find::{Input, InputOptions, local_version},
    pattern::{Pattern, Progress},
};
use crate::{error::ObjectsError, location::Location};

/// A folder's identity, whatever its name.
type FileId = (u64, u64);

/// The files below `root` that `pattern` takes, in no particular order. Symbolic links are followed.
pub(crate) fn walk(
    root: &Path,
    pattern: &Pattern,
    options: &InputOptions,
) -> Result<Vec<Input>, ObjectsError> {
    let metadata = fs::metadata(root).map_err(|source| ObjectsError::io("read", root, source))?;
    let excluded = options.exclude.iter().filter_map(Location::as_local);
    let excluded = excluded.filter_map(|path| fs::metadata(path).ok()).map(|found| id_of(&found));
    let mut walk = Walk { pattern, excluded: excluded.collect(), above: vec![], inputs: vec![] };
    walk.folder(root, id_of(&metadata), "", &pattern.start())?;
    Ok(walk.inputs)
}

struct Walk<'a> {
    pattern: &'a Pattern,
    excluded: Vec<FileId>,
    /// The folders from the root down to the current one, to notice links that lead back up.
    above: Vec<FileId>,
    inputs: Vec<Input>,
}

impl Walk<'_> {
    fn folder(
        &mut self,
        path: &Path,
        id: FileId,
        prefix: &str,
        at: &Progress,
    ) -> Result<(), ObjectsError> {
        if self.above.contains(&id) {
            let message =
                format!("read folder `{}`: a link in it leads back to it", path.display());
            return Err(ObjectsError::invalid(message));
        }
        self.above.push(id);
        let failed = |source| ObjectsError::io("read folder", path, source);
        for entry in fs::read_dir(path).map_err(failed)? {
            self.entry(&entry.map_err(failed)?.path(), prefix, at)?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, path: &Path, prefix: &str, at: &Progress) -> Result<(), ObjectsError> {
        let name = path.file_name().unwrap_or_default();
        let at = self.pattern.step(at, &name.to_string_lossy());
        if at.is_dead() {
            return Ok(());
        }
        let metadata =
            fs::metadata(path).map_err(|source| ObjectsError::io("read", path, source))?;
        let taken = metadata.is_file() && at.is_complete();
        if !metadata.is_dir() && !taken {
            return Ok(());
        }
        let name = name.to_str().ok_or_else(|| {
            ObjectsError::invalid(format!("use the name of `{}`: it is not UTF-8", path.display()))
        })?;
        if metadata.is_dir() {
            let id = id_of(&metadata);
            if self.excluded.contains(&id) {
                return Ok(());
            }
            return self.folder(path, id, &format!("{prefix}{name}/"), &at);
        }
        self.inputs.push(Input {
            location: Location::Local(path.to_owned()),
            relative: format!("{prefix}{name}"),
            size: metadata.len(),
            version: local_version(&metadata),
        });
        Ok(())
    }
}

fn id_of(metadata: &fs::Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// Every file below `root`, hidden ones too, with its relative name and size, sorted by name. Links
/// to folders are not followed. None if `root` is not there.
pub(crate) fn list(root: &Path) -> Result<Vec<(PathBuf, String, u64)>, ObjectsError> {
    let mut files = Vec::new();
    let mut folders = vec![(root.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        let failed = |source| ObjectsError::io("read folder", &folder, source);
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let path = entry.path();
            let Ok(name) = entry.file_name().into_string() else {
                let message = format!("use the name of `{}`: it is not UTF-8", path.display());
                return Err(ObjectsError::invalid(message));
            };
            let is_folder = entry.file_type().map_err(failed)?.is_dir();
            if is_folder {
                folders.push((path, format!("{prefix}{name}/")));
            } else if let Ok(metadata) = fs::metadata(&path).or_else(|_| entry.metadata()) {
                files.push((path, format!("{prefix}{name}"), metadata.len()));
            }
        }
    }
    files.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(files)
}
