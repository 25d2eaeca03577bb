//! Which file is which stream's.

use std::{
    fmt::Write,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bessemer_domain::hex;
use sha2::{Digest, Sha256};

/// Bytes of a file name that every file system takes, with room for an extension.
const NAME_MAX: usize = 200;

/// The folder of all log files: `<group>/<stream>.log`, names made safe.
#[derive(Debug, Clone)]
pub struct LogFolder(PathBuf);

impl LogFolder {
    /// The logs below `folder`.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self(folder.into())
    }

    /// The file of a stream. Different names have different files, and none is outside the folder.
    #[must_use]
    pub fn file(&self, group: &str, stream: &str) -> PathBuf {
        self.group(group).join(format!("{}.log", file_name(stream)))
    }

    /// The folder of a group.
    #[must_use]
    pub fn group(&self, group: &str) -> PathBuf {
        self.path().join(file_name(group))
    }

    /// The groups that were made or that something was logged to, in no order.
    pub fn groups(&self) -> io::Result<Vec<String>> {
        let full = |safe: &str| self.path().join(safe).join(NAME);
        Ok(names(self.path(), "", full)?.unwrap_or_default())
    }

    /// The streams of a group, in no order; `None` if there is no such group. Names that had to be
    /// cut for their files are left out, unless they were made by [`Self::create_stream`].
    pub fn streams(&self, group: &str) -> io::Result<Option<Vec<String>>> {
        let folder = self.group(group);
        names(&folder, ".log", |safe| folder.join(format!("{safe}.{NAME}")))
    }

    /// Makes a group; whether it was not there.
    pub fn create_group(&self, group: &str) -> io::Result<bool> {
        let folder = self.group(group);
        fs::create_dir_all(self.path())?;
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        if is_cut(&folder) {
            fs::write(folder.join(NAME), group)?;
            sync(&folder.join(NAME))?;
        }
        sync(&folder)?;
        sync(self.path())?;
        Ok(true)
    }

    /// Makes a stream without records in a group that is there; whether it was not there.
    pub fn create_stream(&self, group: &str, stream: &str) -> io::Result<bool> {
        let path = self.file(group, stream);
        if path.exists() {
            return Ok(false);
        }
        if is_cut(&path.with_extension("")) {
            let name = path.with_extension(NAME);
            fs::write(&name, stream)?;
            sync(&name)?;
        }
        match File::create_new(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(error),
        }
        sync(&self.group(group))?;
        Ok(true)
    }

    /// Removes a stream and its records; whether it was there.
    pub fn delete_stream(&self, group: &str, stream: &str) -> io::Result<bool> {
        let path = self.file(group, stream);
        let gone = removed(fs::remove_file(&path))?;
        removed(fs::remove_file(path.with_extension(NAME)))?;
        if gone {
            sync(&self.group(group))?;
        }
        Ok(gone)
    }

    /// Removes a group and its streams; whether it was there.
    pub fn delete_group(&self, group: &str) -> io::Result<bool> {
        let gone = removed(fs::remove_dir_all(self.group(group)))?;
        if gone {
            sync(self.path())?;
        }
        Ok(gone)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// A name as one that is safe for a file: letters, digits, `-`, `_` and inner dots as they are, all
/// else as `%` and hexadecimal; a long one is cut and ends in a hash of itself.
fn file_name(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => safe.push(byte as char),
            b'.' if index > 0 => safe.push('.'),
            _ => write!(safe, "%{byte:02x}").expect("writing to a string can't fail"),
        }
    }
    if safe.len() > NAME_MAX {
        let hash = hex(&Sha256::digest(name));
        safe.truncate(NAME_MAX - 40);
        safe.push('~'); // in no name that wasn't cut
        safe.push_str(&hash[..32]);
    }
    if safe.is_empty() { "%".to_owned() } else { safe }
}

/// The file beside a stream, or in a group, whose name had to be cut: it holds the name.
const NAME: &str = "name";

/// Whether the last part of `path` stands for a name that was cut.
fn is_cut(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().contains(&b'~'))
}

/// Whether something was removed that was there.
fn removed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The names that the entries of `folder` with `suffix` stand for; `None` if it isn't there. `full`
/// says which file holds the name of an entry that was cut.
fn names(
    folder: &Path,
    suffix: &str,
    full: impl Fn(&str) -> PathBuf,
) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let Some(safe) = name.to_str().and_then(|name| name.strip_suffix(suffix)) else { continue };
        names.extend(original(safe).or_else(|| fs::read_to_string(full(safe)).ok()));
    }
    Ok(Some(names))
}

/// The name that [`file_name`] made `safe` of; `None` if it was cut.
fn original(safe: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(safe.len());
    let mut rest = safe.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'~' => return None,
            b'%' if after.len() >= 2 => {
                let digits = std::str::from_utf8(&after[..2]).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            b'%' => {}
            byte => bytes.push(*byte),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_safe_and_told_apart() {
        let long = "x".repeat(500);
        let names = [
            "",
            "%",
            ".",
            "..",
            "../..",
            "a/b",
            "a%2fb",
            "a",
            "A",
            "a\0",
            "/aws/sagemaker/TrainingJobs",
            "job/algo-1-1700000000",
            &long,
            &long[1..],
            "ä",
            "~",
        ];
        let folder = LogFolder::new("/logs");
        let files: HashSet<PathBuf> = names.iter().map(|name| folder.file("g", name)).collect();
        assert_eq!(files.len(), names.len());
        for file in &files {
            assert_eq!(file.parent(), Some(Path::new("/logs/g")), "{}", file.display());
            assert!(file.file_name().unwrap().len() <= 255);
        }
        for name in names.iter().filter(|name| name.len() < 200) {
            assert_eq!(original(&file_name(name)).as_deref(), Some(*name));
        }
        assert_eq!(original(&file_name(&long)), None);
        let file = folder.file("/aws/sagemaker/TrainingJobs", "job/algo-1-17");
        assert_eq!(file, Path::new("/logs/%2faws%2fsagemaker%2fTrainingJobs/job%2falgo-1-17.log"));
    }

    #[test]
    fn names_that_were_cut_are_listed_and_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let folder = LogFolder::new(directory.path());
        let (group, stream) = ("/g".repeat(200), "s/".repeat(200));
        assert!(folder.create_group(&group).unwrap() && !folder.create_group(&group).unwrap());
        for name in [stream.as_str(), "short"] {
            assert!(folder.create_stream(&group, name).unwrap());
            assert!(!folder.create_stream(&group, name).unwrap());
        }
        assert_eq!(folder.groups().unwrap(), [group.as_str()]);
        let mut streams = folder.streams(&group).unwrap().unwrap();
        streams.sort();
        assert_eq!(streams, [stream.as_str(), "short"]);
        assert!(folder.delete_stream(&group, &stream).unwrap());
        assert!(!folder.delete_stream(&group, &stream).unwrap());
        assert_eq!(folder.streams(&group).unwrap().unwrap(), ["short"]);
        assert!(folder.delete_group(&group).unwrap() && !folder.delete_group(&group).unwrap());
        assert_eq!(folder.streams(&group).unwrap(), None);
    }
}
