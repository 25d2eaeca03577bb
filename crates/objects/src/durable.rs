//! Changes to local files that outlive a power cut: what these functions report as done is on disk.
//!
//! A failed fsync is never retried: the kernel may already have dropped the pages that it could not
//! write, and a second fsync would report success for data that is lost.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tempfile::{NamedTempFile, TempPath};

use crate::error::ObjectsError;

/// How many fsyncs of a batch run at once. File systems gather concurrent ones into one commit.
const SYNCS_AT_ONCE: usize = 16;

/// Puts the names in `dir` (new, renamed and removed files) on disk.
pub fn sync_dir(dir: &Path) -> Result<(), ObjectsError> {
    match File::open(dir).and_then(|dir| dir.sync_all()) {
        // Some network file systems can't sync a folder; their renames are durable or nothing is.
        Err(error)
            if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) =>
        {
            Ok(())
        }
        done => done.map_err(|source| ObjectsError::io("sync the folder", dir, source)),
    }
}

/// Puts the content of `path` on disk.
pub fn sync_file(path: &Path) -> Result<(), ObjectsError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| ObjectsError::io("sync", path, source))
}

/// Makes `dir` and what is missing above it.
pub fn create_dir_durable(dir: &Path) -> Result<(), ObjectsError> {
    let mut touched = BTreeSet::new();
    create_dir(dir, &mut touched)?;
    sync_dirs(&touched)
}

/// Renames `from` to `to`, on the same file system, replacing what is there: content first, then the
/// name.
pub fn rename_durable(from: &Path, to: &Path) -> Result<(), ObjectsError> {
    sync_file(from)?;
    fs::rename(from, to).map_err(|source| ObjectsError::io("put into place", to, source))?;
    sync_dir(parent_of(to))
}

/// Adds `bytes` at the end of `path`, which is made if it is missing. If it fails, the file is cut
/// back to what it held, as far as that is possible; a power cut can leave part of `bytes`.
pub fn append_durable(path: &Path, bytes: &[u8]) -> Result<(), ObjectsError> {
    let failed = |source| ObjectsError::io("append to", path, source);
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    let before = file.metadata().map_err(failed)?.len();
    if let Err(error) = file.write_all(bytes) {
        // The write's own failure is what the caller must hear of.
        let _ = file.set_len(before);
        return Err(failed(error));
    }
    file.sync_data().map_err(|source| ObjectsError::io("sync", path, source))?;
    if is_new { sync_dir(parent_of(path)) } else { Ok(()) }
}

/// Puts many finished files into their places: all contents go to disk, then all files get their
/// names, then each folder is synced once. Each file appears whole or not at all; when this fails,
/// some may be in place. Missing folders are made.
pub fn publish_many(moves: &[(PathBuf, PathBuf)]) -> Result<(), ObjectsError> {
    in_parallel(moves, |(from, _)| sync_file(from))?;
    let mut touched = BTreeSet::new();
    for (from, to) in moves {
        put_in_place(from, to, &mut touched)?;
    }
    sync_dirs(&touched)
}

/// Writes `bytes` to `path`, whole or not at all.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ObjectsError> {
    let mut touched = BTreeSet::new();
    create_dir(parent_of(path), &mut touched)?;
    let (mut file, temp) = temp_beside(path)?;
    file.write_all(bytes).map_err(|source| ObjectsError::io("write", path, source))?;
    finish_temp(&file, temp, path, &mut touched)?;
    sync_dirs(&touched)
}

/// Copies `from` to `to`, whole or not at all.
pub(crate) fn copy_whole(from: &Path, to: &Path) -> Result<(), ObjectsError> {
    let mut touched = BTreeSet::new();
    create_dir(parent_of(to), &mut touched)?;
    copy_in_place(from, to, &mut touched)?;
    sync_dirs(&touched)
}

/// A new, hidden file in the folder of `path`, which goes away unless it is finished.
pub(crate) fn temp_beside(path: &Path) -> Result<(File, TempPath), ObjectsError> {
    temp_in(parent_of(path)).map(NamedTempFile::into_parts)
}

/// A new, hidden file in `dir`, which goes away when dropped.
pub(crate) fn temp_in(dir: &Path) -> Result<NamedTempFile, ObjectsError> {
    let mut builder = tempfile::Builder::new();
    // The umask takes from these, as it does from those of any new file.
    builder.prefix(".bessemer-").suffix(".tmp").permissions(Permissions::from_mode(0o666));
    builder.tempfile_in(dir).map_err(|source| ObjectsError::io("make a file in", dir, source))
}

/// The folder that holds `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Renames `from`, which is on disk, to `to`, or copies it there when that is another file system.
fn put_in_place(
    from: &Path,
    to: &Path,
    touched: &mut BTreeSet<PathBuf>,
) -> Result<(), ObjectsError> {
    let dir = parent_of(to);
    if !touched.contains(dir) {
        create_dir(dir, touched)?;
        touched.insert(dir.to_owned());
    }
    match fs::rename(from, to) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_in_place(from, to, touched)?;
            fs::remove_file(from).map_err(|source| ObjectsError::io("remove", from, source))
        }
        Err(error) => Err(ObjectsError::io("put into place", to, error)),
    }
}

fn copy_in_place(
    from: &Path,
    to: &Path,
    touched: &mut BTreeSet<PathBuf>,
) -> Result<(), ObjectsError> {
    let (mut file, temp) = temp_beside(to)?;
    let mut source = File::open(from).map_err(|source| ObjectsError::io("read", from, source))?;
    io::copy(&mut source, &mut file).map_err(|source| ObjectsError::io("copy to", to, source))?;
    finish_temp(&file, temp, to, touched)
}

/// Gives a temporary file its name; its folder remains to be synced.
pub(crate) fn finish_temp(
    file: &File,
    temp: TempPath,
    to: &Path,
    touched: &mut BTreeSet<PathBuf>,
) -> Result<(), ObjectsError> {
    file.sync_all().map_err(|source| ObjectsError::io("sync", &temp, source))?;
    temp.persist(to).map_err(|error| ObjectsError::io("put into place", to, error.error))?;
    touched.insert(parent_of(to).to_owned());
    Ok(())
}

/// Makes `dir`; the folders that got a new name in them are added to `touched`.
fn create_dir(dir: &Path, touched: &mut BTreeSet<PathBuf>) -> Result<(), ObjectsError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|a| !a.as_os_str().is_empty() && !a.exists()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(|source| ObjectsError::io("make the folder", dir, source))?;
    touched.extend(missing.into_iter().map(|made| parent_of(made).to_owned()));
    Ok(())
}

pub(crate) fn sync_dirs(dirs: &BTreeSet<PathBuf>) -> Result<(), ObjectsError> {
    let dirs: Vec<&PathBuf> = dirs.iter().collect();
    in_parallel(&dirs, |dir| sync_dir(dir))
}

/// Does `work` on every item, a few at once; the first failure stops the rest.
fn in_parallel<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), ObjectsError> + Sync,
) -> Result<(), ObjectsError> {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    if items.len() < 2 {
        return run();
    }
    thread::scope(|scope| {
        let threads = SYNCS_AT_ONCE.min(items.len());
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a sync does not panic"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectsErrorKind;

    #[test]
    fn a_write_replaces_the_whole_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/deep/x");
        write_whole(&path, b"first, and longer").unwrap();
        write_whole(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(parent_of(&path)).unwrap().count(), 1);
    }

    #[test]
    fn new_files_have_the_rights_of_any_new_file() {
        let dir = tempfile::tempdir().unwrap();
        write_whole(&dir.path().join("ours"), b"").unwrap();
        fs::write(dir.path().join("plain"), b"").unwrap();
        let mode = |name| fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode("ours"), mode("plain"));
    }

    #[test]
    fn a_failed_write_leaves_the_old_content() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        let error = write_whole(&dir.path().join("taken"), b"x").unwrap_err();
        assert!(error.to_string().starts_with("put into place `"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn appends_add_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        append_durable(&path, b"a\n").unwrap();
        append_durable(&path, b"b\n").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"a\nb\n");
    }

    #[test]
    fn a_batch_is_put_into_place() {
        let dir = tempfile::tempdir().unwrap();
        let moves: Vec<(PathBuf, PathBuf)> = (0..100)
            .map(|n| {
                let from = dir.path().join(format!("tmp-{n}"));
                fs::write(&from, n.to_string()).unwrap();
                (from, dir.path().join(format!("out/part={}/{n}", n % 7)))
            })
            .collect();
        publish_many(&moves).unwrap();
        for (n, (from, to)) in moves.iter().enumerate() {
            assert!(!from.exists());
            assert_eq!(fs::read_to_string(to).unwrap(), n.to_string());
        }
    }

    #[test]
    fn a_batch_with_a_missing_file_fails_before_any_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let there = dir.path().join("there");
        fs::write(&there, b"x").unwrap();
        let moves = [
            (there.clone(), dir.path().join("out/a")),
            (dir.path().join("gone"), dir.path().join("out/b")),
        ];
        assert_eq!(publish_many(&moves).unwrap_err().kind(), ObjectsErrorKind::NotFound);
        assert!(there.exists() && !dir.path().join("out").exists());
    }
}
