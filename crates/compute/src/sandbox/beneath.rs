//! Makes places below a folder without ever following a link, since user code may have left some
//! there.

use std::{
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, mkdirat, openat, statat, symlinkat},
    io::Errno,
};

const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);
const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder that places are made below.
#[derive(Debug)]
pub(super) struct Beneath(OwnedFd);

/// A file or folder below it.
#[derive(Debug)]
pub(super) struct Place {
    parent: OwnedFd,
    name: PathBuf,
}

impl Beneath {
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, folder, PATH_ONLY | OFlags::DIRECTORY, Mode::empty())?))
    }

    /// The folder `path`, made with those above it where they aren't there.
    pub(super) fn folder(&self, path: &Path) -> io::Result<Place> {
        let place = self.place(path)?;
        match mkdirat(&place.parent, &place.name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EXIST) => Ok(place),
            Err(error) => Err(error.into()),
        }
    }

    /// The file `path`, made empty if it isn't there.
    pub(super) fn file(&self, path: &Path) -> io::Result<Place> {
        let place = self.place(path)?;
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if statat(&place.parent, &place.name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            openat(&place.parent, &place.name, flags, FILE_MODE)?;
        }
        Ok(place)
    }

    /// Writes the file `path`.
    pub(super) fn write(&self, path: &Path, text: impl AsRef<[u8]>) -> io::Result<()> {
        let place = self.place(path)?;
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::TRUNC;
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&place.parent, &place.name, flags, FILE_MODE)?;
        io::Write::write_all(&mut std::fs::File::from(file), text.as_ref())
    }

    /// Makes the link `path` to `target`.
    pub(super) fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        let place = self.place(path)?;
        match symlinkat(target, &place.parent, &place.name) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The place that an absolute `path` names, the folders above it made where they aren't there.
    fn place(&self, path: &Path) -> io::Result<Place> {
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(name) => names.push(name),
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::Error::other("a path inside can't have `..`"));
                }
            }
        }
        let Some((last, above)) = names.split_last() else {
            return Err(io::Error::other("the root itself can't be replaced"));
        };
        let mut parent = self.0.try_clone()?;
        for name in above {
            let open = |parent: &OwnedFd| {
                openat(parent, name.as_bytes(), PATH_ONLY | OFlags::DIRECTORY, Mode::empty())
            };
            parent = match open(&parent) {
                Err(Errno::NOENT) => {
                    mkdirat(&parent, name.as_bytes(), FOLDER_MODE)?;
                    open(&parent)?
                }
                opened => opened?,
            };
        }
        Ok(Place { parent, name: PathBuf::from(last) })
    }
}

impl Place {
    /// Opens the place: what is mounted there, if something is. A link is refused.
    pub(super) fn open(&self) -> io::Result<OwnedFd> {
        let flags = PATH_ONLY;
        let stat = statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_symlink() {
            return Err(io::Error::other("a link is in the way"));
        }
        Ok(openat(&self.parent, &self.name, flags, Mode::empty())?)
    }
}

/// A path that names an open file, for calls that only take paths.
pub(super) fn path_of(file: &impl AsFd) -> String {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_are_never_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        symlink(outside.path(), folder.path().join("link")).unwrap();
        let beneath = Beneath::open(folder.path()).unwrap();
        assert!(beneath.folder(Path::new("/link/a")).is_err());
        assert!(beneath.write(Path::new("/link/a"), "x").is_err());
        assert!(beneath.write(Path::new("/link"), "x").is_err());
        assert!(beneath.folder(Path::new("/link")).unwrap().open().is_err());
        assert!(beneath.folder(Path::new("/a/../b")).is_err());
        assert!(beneath.folder(Path::new("/")).is_err());
        assert!(fs::read_dir(outside.path()).unwrap().next().is_none());
    }

    #[test]
    fn folders_and_files_are_made() {
        let folder = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(folder.path()).unwrap();
        beneath.folder(Path::new("/opt/ml/input")).unwrap();
        beneath.write(Path::new("/etc/hosts"), "127.0.0.1 localhost\n").unwrap();
        assert!(folder.path().join("opt/ml/input").is_dir());
        let text = fs::read_to_string(folder.path().join("etc/hosts")).unwrap();
        assert_eq!(text, "127.0.0.1 localhost\n");
    }
}
