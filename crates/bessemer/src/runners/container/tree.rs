//! Reading what a program left, or is still writing. **No link is followed**: every step goes from an
//! open folder to a name in it, so that a program can't have the server read a file of its choice.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat},
    io::Errno,
};

/// A folder with what is below it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// A regular file below a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TreeFile {
    /// Its path below the tree.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// When it was last changed, in nanoseconds since 1970.
    pub(crate) changed: i128,
    pub(crate) is_executable: bool,
}

const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Not waiting for who writes to a pipe.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl Tree {
    /// The folder `path` below `trusted`, which is our own; none if it isn't there or is none.
    pub(crate) fn open(trusted: &Path, path: &str) -> io::Result<Option<Self>> {
        let root = openat(CWD, trusted, FOLDER, Mode::empty())?;
        match walk_to(root, path) {
            Ok(root) => Ok(Some(Self { root })),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// All regular files whose names are text, in order.
    pub(crate) fn files(&self) -> io::Result<Vec<TreeFile>> {
        let mut files = Vec::new();
        let mut waiting = vec![(self.root.try_clone()?, String::new())];
        while let Some((folder, prefix)) = waiting.pop() {
            for entry in Dir::read_from(&folder)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().to_str() else { continue };
                if matches!(name, "." | "..") {
                    continue;
                }
                let path = format!("{prefix}{name}");
                // What went away meanwhile, or is a link, is not there.
                if let Ok(file) = openat(&folder, name, FILE, Mode::empty()) {
                    let stat = fstat(&file)?;
                    match FileType::from_raw_mode(stat.st_mode) {
                        FileType::Directory => waiting.push((file, format!("{path}/"))),
                        FileType::RegularFile => files.push(TreeFile {
                            path,
                            size: u64::try_from(stat.st_size).unwrap_or_default(),
                            changed: i128::from(stat.st_mtime) * 1_000_000_000
                                + i128::from(stat.st_mtime_nsec),
                            is_executable: stat.st_mode & 0o100 != 0,
                        }),
                        _ => {}
                    }
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// Opens the regular file `path`; none if it is no such file any more.
    pub(crate) fn file(&self, path: &str) -> io::Result<Option<File>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let opened = walk_to(self.root.try_clone()?, folder)
            .and_then(|folder| openat(&folder, name, FILE, Mode::empty()));
        match opened {
            Ok(file) => {
                let is_file =
                    FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile;
                Ok(is_file.then(|| File::from(file)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The text of the file `path`, `most` characters at most; none if it is empty or no file.
    pub(crate) fn text(&self, path: &str, most: usize) -> io::Result<Option<String>> {
        let Some(file) = self.file(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(4 * most as u64).read_to_end(&mut bytes)?;
        let text: String = String::from_utf8_lossy(&bytes).trim().chars().take(most).collect();
        Ok((!text.is_empty()).then_some(text))
    }
}

fn walk_to(mut folder: OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    for part in path.split('/').filter(|part| !part.is_empty()) {
        folder = openat(folder.as_fd(), part, FOLDER, Mode::empty())?;
    }
    Ok(folder)
}

/// The tree of `/opt/ml/<path>` of the host whose folder is `host`.
pub(crate) fn of_host(host: &Path, path: &str) -> io::Result<Option<Tree>> {
    let inside = PathBuf::from("ml").join(path.trim_start_matches('/'));
    Tree::open(host, &inside.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn nothing_is_read_through_links() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ml = folder.path().join("ml");
        fs::create_dir_all(ml.join("model/deep")).unwrap();
        fs::write(ml.join("model/deep/b"), "b").unwrap();
        fs::write(ml.join("model/a"), "a").unwrap();
        symlink(outside.path().join("secret"), ml.join("model/file")).unwrap();
        symlink(outside.path(), ml.join("model/folder")).unwrap();
        symlink(outside.path(), ml.join("linked")).unwrap();
        let tree = of_host(folder.path(), "model").unwrap().unwrap();
        let paths: Vec<String> = tree.files().unwrap().into_iter().map(|file| file.path).collect();
        assert_eq!(paths, ["a", "deep/b"]);
        assert_eq!(tree.text("deep/b", 10).unwrap().as_deref(), Some("b"));
        for path in ["file", "folder/secret", "deep", "none"] {
            assert!(tree.file(path).unwrap().is_none(), "{path}");
        }
        assert!(of_host(folder.path(), "linked").unwrap().is_none());
        assert!(of_host(folder.path(), "none").unwrap().is_none());
    }
}
