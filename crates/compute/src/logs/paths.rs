//! Which file is which stream's.

use std::{
    fmt::Write,
    fs, io,
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

    /// The groups that something was logged to, in no order.
    pub fn groups(&self) -> io::Result<Vec<String>> {
        Ok(names(self.path(), "")?.unwrap_or_default())
    }

    /// The streams of a group, in no order; `None` if nothing was logged to the group. Names that
    /// had to be cut for their files are left out.
    pub fn streams(&self, group: &str) -> io::Result<Option<Vec<String>>> {
        names(&self.group(group), ".log")
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

/// The names that the entries of `folder` with `suffix` stand for; `None` if it isn't there.
fn names(folder: &Path, suffix: &str) -> io::Result<Option<Vec<String>>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        names.extend(name.to_str().and_then(|name| original(name.strip_suffix(suffix)?)));
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
        for file in files {
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
}
