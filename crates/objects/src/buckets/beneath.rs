//! Opening and making files and folders beneath a folder, and never anywhere else.
//!
//! Names come from [`super::key`] and hold neither slashes nor `..`; here no symbolic link is
//! followed either, at any depth.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, fstat, mkdirat, openat},
    io::Errno,
};

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Non-blocking, since opening a pipe would wait for its other end.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// The folder `names` beneath `top`.
pub(super) fn open_folder(top: impl AsFd, names: &[String]) -> Result<OwnedFd, Errno> {
    open(top.as_fd(), names, FOLDER)
}

/// The regular file `name` in the folder `folders` beneath `top`; `None` if there is none, or if
/// it is a folder, a link or anything else.
pub(super) fn open_file(
    top: impl AsFd,
    folders: &[String],
    name: &str,
) -> Result<Option<File>, Errno> {
    let names: Vec<String> = folders.iter().cloned().chain([name.to_owned()]).collect();
    let file = match open(top.as_fd(), &names, FILE) {
        Ok(file) => file,
        Err(error) if is_absent(error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let kind = FileType::from_raw_mode(fstat(&file)?.st_mode);
    Ok((kind == FileType::RegularFile).then(|| File::from(file)))
}

/// Whether an error says that there is no such file, or that something else is in its place.
pub(super) fn is_absent(error: Errno) -> bool {
    // NXIO: a socket, or a device without a driver.
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO)
}

/// A folder that was opened or made, and the folders above it that hold a new name.
#[derive(Debug)]
pub(super) struct MadeFolder {
    pub(super) folder: OwnedFd,
    pub(super) touched: Vec<OwnedFd>,
}

/// Why a folder can't be made.
#[derive(Debug)]
pub(super) enum MakeError {
    /// The name at this index is taken by something that is no folder.
    Taken(usize),
    Failed(Errno),
}

/// Opens the folder `names` beneath `top`, and makes what is missing of it.
pub(super) fn make_folder(top: impl AsFd, names: &[String]) -> Result<MadeFolder, MakeError> {
    match open_folder(&top, names) {
        Ok(folder) => return Ok(MadeFolder { folder, touched: Vec::new() }),
        Err(error) if is_absent(error) => {}
        Err(error) => return Err(MakeError::Failed(error)),
    }
    let mut folder = open_folder(&top, &[]).map_err(MakeError::Failed)?;
    let mut touched = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let made = match mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(error) => return Err(MakeError::Failed(error)),
        };
        let inner = match openat(&folder, name, FOLDER, Mode::empty()) {
            Ok(inner) => inner,
            Err(Errno::NOTDIR | Errno::LOOP) => return Err(MakeError::Taken(index)),
            Err(error) => return Err(MakeError::Failed(error)),
        };
        let outer = std::mem::replace(&mut folder, inner);
        if made {
            touched.push(outer);
        }
    }
    Ok(MadeFolder { folder, touched })
}

/// Puts the names in a folder on disk.
pub(super) fn sync_folder(folder: impl AsFd) -> io::Result<()> {
    match rustix::fs::fsync(folder) {
        // Some network file systems can't sync a folder; their renames are durable or nothing is.
        Ok(()) | Err(Errno::INVAL | Errno::NOTSUP) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(target_os = "linux")]
fn open(top: BorrowedFd<'_>, names: &[String], flags: OFlags) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};

    let path = if names.is_empty() { ".".to_owned() } else { names.join("/") };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(top, path, flags, Mode::empty(), resolve) {
        // Kernels before 5.6, and sandboxes that don't know the call.
        Err(Errno::NOSYS | Errno::PERM) => open_stepwise(top, names, flags),
        opened => opened,
    }
}

#[cfg(not(target_os = "linux"))]
fn open(top: BorrowedFd<'_>, names: &[String], flags: OFlags) -> Result<OwnedFd, Errno> {
    open_stepwise(top, names, flags)
}

/// Does what `openat2` does, name by name.
fn open_stepwise(top: BorrowedFd<'_>, names: &[String], flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut folder = openat(top, ".", FOLDER, Mode::empty())?;
    let Some((last, folders)) = names.split_last() else { return Ok(folder) };
    for name in folders {
        folder = openat(&folder, name, FOLDER, Mode::empty())?;
    }
    openat(&folder, last, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn names(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn both_ways_of_opening_follow_no_link() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "s").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b")).unwrap();
        fs::write(top.join("a/b/file"), "f").unwrap();
        symlink(outside.path(), top.join("out")).unwrap();
        symlink(outside.path().join("secret"), top.join("leaf")).unwrap();
        symlink("a/b/file", top.join("within")).unwrap();
        let top = File::open(&top).unwrap();
        for open in [open, open_stepwise] {
            assert!(open(top.as_fd(), &names("a/b/file"), FILE).is_ok());
            for path in ["out/secret", "leaf", "within", "a/missing", "a/b/file/x"] {
                let error = open(top.as_fd(), &names(path), FILE).unwrap_err();
                assert!(is_absent(error), "{path}: {error}");
            }
        }
    }

    #[test]
    fn what_is_no_regular_file_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join("pipe"), Mode::RWXU).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
        let top = File::open(dir.path()).unwrap();
        for name in ["folder", "pipe", "socket"] {
            assert!(open_file(&top, &[], name).unwrap().is_none(), "{name}");
        }
    }

    #[test]
    fn makes_missing_folders_and_says_what_is_in_the_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "f").unwrap();
        let top = File::open(dir.path()).unwrap();
        assert_eq!(make_folder(&top, &names("a/b/c")).unwrap().touched.len(), 3);
        assert_eq!(make_folder(&top, &names("a/b/d")).unwrap().touched.len(), 1);
        assert_eq!(make_folder(&top, &names("a/b/d")).unwrap().touched.len(), 0);
        let error = make_folder(&top, &names("file/x")).unwrap_err();
        assert!(matches!(error, MakeError::Taken(0)), "{error:?}");
    }
}
