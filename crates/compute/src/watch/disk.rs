//! The disk that a sandbox fills, looked at again and again: there is no quota for a folder that
//! every file system has.

use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::processes;

/// The time between two looks, at least; more if a look takes long.
const EVERY: Duration = Duration::from_secs(1);
/// So many times as long as a look takes is the pause after it.
const SHARE: u32 = 20;

/// Looks after the disk.
#[derive(Debug)]
pub(super) struct DiskWatch {
    limit: u64,
    folders: Vec<PathBuf>,
    root: u32,
    next: Instant,
}

impl DiskWatch {
    /// A watch over `folders`, and over files that were removed there and that the process `root` or
    /// its descendants still hold open.
    pub(super) fn new(limit: u64, folders: Vec<PathBuf>, root: u32) -> Self {
        Self { limit, folders, root, next: Instant::now() + EVERY }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time. Whether there is too much.
    pub(super) fn exceeded(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        let exceeded = self.exceeded_at_last();
        self.next = Instant::now() + EVERY.max(now.elapsed() * SHARE);
        exceeded
    }

    /// Looks once more, when all processes are gone. Whether there is too much.
    pub(super) fn exceeded_at_last(&self) -> bool {
        self.used().is_none_or(|bytes| bytes > self.limit)
    }

    /// Bytes that are taken; `None` if folders are nested deeper than can be looked at.
    fn used(&self) -> Option<u64> {
        let mut count = Count::default();
        for folder in &self.folders {
            count.folder(folder)?;
        }
        for pid in processes::tree(self.root) {
            count.removed(pid);
        }
        Some(count.bytes)
    }
}

#[derive(Debug, Default)]
struct Count {
    bytes: u64,
    seen: HashSet<(u64, u64)>,
    devices: HashSet<u64>,
}

impl Count {
    fn add(&mut self, entry: &fs::Metadata) {
        let name = (entry.dev(), entry.ino());
        if entry.nlink() == 1 || entry.is_dir() || self.seen.insert(name) {
            self.bytes += entry.blocks() * 512;
        }
    }

    fn folder(&mut self, folder: &Path) -> Option<()> {
        self.devices.extend(fs::metadata(folder).ok().map(|entry| entry.dev()));
        let mut waiting = vec![folder.to_owned()];
        while let Some(folder) = waiting.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::InvalidFilename => return None,
                Err(_) => continue, // gone meanwhile
            };
            for entry in entries.flatten() {
                let Ok(metadata) = entry.metadata() else { continue };
                self.add(&metadata);
                if metadata.is_dir() {
                    waiting.push(entry.path());
                }
            }
        }
        Some(())
    }

    /// Counts the files that `pid` holds open and that have no name any more.
    fn removed(&mut self, pid: u32) {
        for file in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let Ok(file) = fs::metadata(file.path()) else { continue };
            let counts = file.is_file() && file.nlink() == 0 && self.devices.contains(&file.dev());
            if counts && self.seen.insert((file.dev(), file.ino())) {
                self.bytes += file.blocks() * 512;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn files_count_once_and_removed_ones_while_they_are_open() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::File::create(&path).and_then(|mut file| file.write_all(&vec![1; 1 << 20])).unwrap();
        fs::hard_link(&path, folder.path().join("b")).unwrap();
        // Holds `a` open, removes both names, says so, and waits.
        let mut holder = Command::new("sh")
            .args(["-c", "exec 3<a; read go; rm a b; echo removed; read go"])
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let watch = DiskWatch::new(0, vec![folder.path().to_owned()], holder.id());
        let named = watch.used().unwrap();
        assert!((1 << 20..3 << 19).contains(&named), "{named}");
        writeln!(holder.stdin.as_mut().unwrap(), "go").unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!((line.as_str(), path.exists()), ("removed\n", false));
        assert_eq!(watch.used().unwrap(), named);
        drop(holder.stdin.take());
        holder.wait().unwrap();
        assert_eq!(watch.used().unwrap(), 0);
    }
}
