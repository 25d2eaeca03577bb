//! Unpacks zip archives that nobody vouches for.

use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
};

use zip::{ZipArchive, read::ZipFile, result::ZipError};

/// How much an archive may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpackLimits {
    /// Entries.
    pub entries: usize,
    /// Bytes of all files together.
    pub bytes: u64,
    /// Bytes of content for each byte of the archive …
    pub ratio: u64,
    /// … once the content is larger than this.
    pub ratio_from: u64,
}

impl Default for UnpackLimits {
    /// What AWS lets code be, in a number of files that a file system bears.
    fn default() -> Self {
        Self { entries: 100_000, bytes: 262_144_000, ratio: 200, ratio_from: 32 << 20 }
    }
}

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is no zip archive, or damaged.
    #[error("Could not unzip uploaded file. Please check your file, then try to upload again.")]
    Damaged(#[source] ZipError),
    /// An entry is not allowed.
    #[error("the entry `{entry}` of the uploaded file {reason}")]
    Refused {
        /// Its name.
        entry: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// It has too many entries.
    #[error("the uploaded file has more than {0} entries")]
    TooMany(usize),
    /// Its content is too large.
    #[error("Unzipped size must be smaller than {0} bytes")]
    TooLarge(u64),
    /// Its content is suspiciously larger than it is.
    #[error("the content of the uploaded file is more than {0} times as large as the file")]
    TooDense(u64),
    /// An entry can't be written.
    #[error("write `{}`", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Unpacks `archive` over what is in the folder `target`, which holds nothing but files and folders
/// that this made. Everybody may read them. Returns how many bytes they are. On an error, `target` may
/// hold a part of the content.
pub fn unpack(archive: File, target: &Path, limits: &UnpackLimits) -> Result<u64, UnpackError> {
    let size = archive.metadata().map_err(|error| UnpackError::Damaged(error.into()))?.len();
    let reader = io::BufReader::new(archive);
    let mut archive = ZipArchive::new(reader).map_err(UnpackError::Damaged)?;
    if archive.len() > limits.entries {
        return Err(UnpackError::TooMany(limits.entries));
    }
    let dense = limits.ratio_from.max(size.saturating_mul(limits.ratio));
    let most = limits.bytes.min(dense);
    let mut left = most;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(UnpackError::Damaged)?;
        let Some(written) = put(&mut entry, target, left)? else {
            return Err(if limits.bytes <= dense {
                UnpackError::TooLarge(limits.bytes)
            } else {
                UnpackError::TooDense(limits.ratio)
            });
        };
        left -= written;
    }
    Ok(most - left)
}

/// Makes what an entry describes. Returns its bytes; none if they are more than `most`.
fn put(
    entry: &mut ZipFile<'_, impl Read>,
    target: &Path,
    most: u64,
) -> Result<Option<u64>, UnpackError> {
    let name = entry.name_raw().to_vec();
    let refuse = |reason| {
        let entry = String::from_utf8_lossy(&name).into_owned();
        UnpackError::Refused { entry, reason }
    };
    let mode = entry.unix_mode().unwrap_or(0o644);
    let is_folder = name.ends_with(b"/");
    check_mode(mode, is_folder).map_err(refuse)?;
    let inner = inner_path(&name).map_err(refuse)?;
    let path = target.join(&inner);
    let failed = |source| UnpackError::Write { path: path.clone(), source };
    if is_folder {
        make_folders(target, &inner).map_err(failed)?;
        return Ok(Some(0));
    }
    if inner.as_os_str().is_empty() {
        return Err(refuse("has no name"));
    }
    make_folders(target, inner.parent().unwrap_or(Path::new(""))).map_err(failed)?;
    let mut file = File::create(&path).map_err(failed)?;
    let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
    file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
    let mut content = entry.take(most.saturating_add(1));
    let written =
        io::copy(&mut content, &mut file).map_err(|error| match error.raw_os_error() {
            Some(_) => failed(error),
            None => UnpackError::Damaged(error.into()),
        })?;
    Ok((written <= most).then_some(written))
}

/// That an entry of this mode is a plain file or a folder.
fn check_mode(mode: u32, is_folder: bool) -> Result<(), &'static str> {
    match mode & 0o170_000 {
        0 | 0o100_000 => Ok(()),
        0o040_000 if is_folder => Ok(()),
        0o120_000 => Err("is a symbolic link"),
        0o020_000 | 0o060_000 => Err("is a device"),
        _ => Err("is neither a file nor a folder"),
    }
}

/// Makes the folders of `inner` below `target`, readable by everybody.
fn make_folders(target: &Path, inner: &Path) -> io::Result<()> {
    let mut folder = target.to_owned();
    for part in inner.components() {
        folder.push(part);
        match fs::create_dir(&folder) {
            Ok(()) => fs::set_permissions(&folder, Permissions::from_mode(0o755))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The path that an entry's name stands for, which stays below where it is joined to.
fn inner_path(name: &[u8]) -> Result<PathBuf, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "has a name that is not UTF-8")?;
    if name.contains('\0') {
        return Err("has a NUL in its name");
    }
    if name.contains('\\') {
        return Err("has a backslash in its name");
    }
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir => return Err("leads out of the archive (`..`)"),
            Component::RootDir | Component::Prefix(_) => return Err("is an absolute path"),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            let place = Self(tempfile::tempdir().unwrap());
            fs::create_dir(place.target()).unwrap();
            place
        }

        fn target(&self) -> PathBuf {
            self.0.path().join("target")
        }

        fn unpack(&self, archive: &[u8], limits: &UnpackLimits) -> Result<u64, UnpackError> {
            let path = self.0.path().join("code.zip");
            fs::write(&path, archive).unwrap();
            let unpacked = unpack(File::open(path).unwrap(), &self.target(), limits);
            assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), 2, "something is outside");
            unpacked
        }

        fn refusal(&self, archive: &[u8]) -> String {
            self.unpack(archive, &UnpackLimits::default()).unwrap_err().to_string()
        }
    }

    fn archive(entries: &[(&str, u32, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, mode, content) in entries {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .unix_permissions(*mode);
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// The same with `mode` as that of the first entry.
    fn with_mode(mut archive: Vec<u8>, mode: u32) -> Vec<u8> {
        let at = archive.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        archive[at + 5] = 3; // made on Unix
        archive[at + 38..at + 42].copy_from_slice(&(mode << 16).to_le_bytes());
        archive
    }

    #[test]
    fn files_and_folders_come_out_readable_by_all() {
        let place = Place::new();
        let entries: [(&str, u32, &[u8]); 3] =
            [("a/b/c.py", 0o600, b"code"), ("run.sh", 0o700, b"#!"), ("d", 0o644, b"")];
        assert_eq!(place.unpack(&archive(&entries), &UnpackLimits::default()).unwrap(), 6);
        let mode = |name: &str| {
            fs::metadata(place.target().join(name)).unwrap().permissions().mode() & 0o7777
        };
        let modes = ["a/b/c.py", "run.sh", "a", "d"].map(mode);
        assert_eq!(modes, [0o644, 0o755, 0o755, 0o644]);
        let setuid = with_mode(archive(&[("su", 0o755, b"")]), 0o106_755);
        place.unpack(&setuid, &UnpackLimits::default()).unwrap();
        assert_eq!(mode("su"), 0o755);
        let again = archive(&[("a/b/c.py", 0o644, b"over")]);
        place.unpack(&again, &UnpackLimits::default()).unwrap();
        assert_eq!(fs::read(place.target().join("a/b/c.py")).unwrap(), b"over");
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for (name, reason) in [
            ("../evil", "leads out of the archive (`..`)"),
            ("a/../../evil", "leads out of the archive (`..`)"),
            ("/tmp/bessemer-evil", "is an absolute path"),
            ("..\\evil", "has a backslash in its name"),
            (".", "has no name"),
        ] {
            let told = Place::new().refusal(&archive(&[(name, 0o644, b"evil")]));
            assert!(told.ends_with(reason), "{name}: {told}");
        }
        assert!(!Path::new("/tmp/bessemer-evil").exists());
    }

    #[test]
    fn links_and_devices_are_refused() {
        for (mode, reason) in [
            (0o120_777, "is a symbolic link"),
            (0o020_644, "is a device"),
            (0o060_644, "is a device"),
            (0o010_644, "is neither a file nor a folder"),
            (0o140_644, "is neither a file nor a folder"),
        ] {
            let place = Place::new();
            let told = place.refusal(&with_mode(archive(&[("x", 0o644, b"/etc/passwd")]), mode));
            assert!(told.ends_with(reason), "{mode:o}: {told}");
            assert_eq!(fs::read_dir(place.target()).unwrap().count(), 0);
        }
    }

    #[test]
    fn bombs_are_refused() {
        let limits = UnpackLimits { entries: 3, bytes: 1 << 20, ratio: 10, ratio_from: 64 << 10 };
        let refused = |entries: &[(&str, u32, &[u8])], limits: &UnpackLimits| {
            Place::new().unpack(&archive(entries), limits).unwrap_err()
        };
        let zeros = vec![0; 800 << 10];
        let dense = refused(&[("zeros", 0o644, &zeros)], &limits);
        assert!(matches!(dense, UnpackError::TooDense(10)), "{dense}");
        let roomy = UnpackLimits { ratio: u64::MAX, ..limits.clone() };
        let large = refused(&[("a", 0o644, &zeros), ("b", 0o644, &zeros)], &roomy);
        assert!(matches!(large, UnpackError::TooLarge(1_048_576)), "{large}");
        let many = ["a", "b", "c", "d"].map(|name| (name, 0o644, &b""[..]));
        assert!(matches!(refused(&many, &limits), UnpackError::TooMany(3)));
    }

    #[test]
    fn damage_is_noticed() {
        let whole = archive(&[("a", 0o644, &[7; 1000]), ("b", 0o644, b"b")]);
        for end in 0..whole.len() - 1 {
            let cut = Place::new().unpack(&whole[..end], &UnpackLimits::default());
            assert!(matches!(cut, Err(UnpackError::Damaged(_))), "{end}");
        }
        let mut flipped = whole;
        flipped[32] ^= 0xff;
        assert!(matches!(
            Place::new().unpack(&flipped, &UnpackLimits::default()),
            Err(UnpackError::Damaged(_))
        ));
        let told = Place::new().refusal(b"not a zip");
        assert!(told.starts_with("Could not unzip uploaded file."), "{told}");
    }
}
