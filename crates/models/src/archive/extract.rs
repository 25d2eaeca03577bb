//! Unpacks archives that nobody vouches for.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use bessemer_domain::ByteSize;
use flate2::bufread::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::ArchiveError;

/// How much an archive may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Entries.
    pub entries: u64,
    /// Bytes of all entries together, headers included.
    pub bytes: u64,
    /// Bytes of content for each byte of the archive …
    pub ratio: u64,
    /// … once the content is larger than this.
    pub ratio_from: u64,
}

impl Default for ArchiveLimits {
    /// Room for large models with their code; far from what a bomb unfolds to.
    fn default() -> Self {
        Self { entries: 100_000, bytes: 64 << 30, ratio: 200, ratio_from: 256 << 20 }
    }
}

/// Bytes of a name or of extended attributes, at most.
const LONGEST_NAME: u64 = 64 << 10;

/// Whether the file at `path` is a tar archive, gzipped or not. Told by its content.
pub fn is_archive(path: &Path) -> Result<bool, ArchiveError> {
    let read_failed = |source| ArchiveError::Read { path: path.to_owned(), source };
    let mut start = Vec::new();
    let file = File::open(path).map_err(read_failed)?;
    file.take(512).read_to_end(&mut start).map_err(read_failed)?;
    Ok(is_gzip(&start) || start.get(257..262) == Some(b"ustar"))
}

fn is_gzip(start: &[u8]) -> bool {
    start.starts_with(&[0x1f, 0x8b])
}

/// Unpacks the archive at `path` into the folder `target`, which must be the caller's own and empty. On an
/// error `target` may hold a part of the content.
pub fn extract(path: &Path, target: &Path, limits: &ArchiveLimits) -> Result<(), ArchiveError> {
    let read_failed = |source| ArchiveError::Read { path: path.to_owned(), source };
    let mut file = io::BufReader::new(File::open(path).map_err(read_failed)?);
    let size = file.get_ref().metadata().map_err(read_failed)?.len();
    let gzip = is_gzip(io::BufRead::fill_buf(&mut file).map_err(read_failed)?);
    let content: Box<dyn Read> =
        if gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    // One byte more than allowed may be read, to notice that there is more.
    let dense = limits.ratio_from.max(size.saturating_mul(limits.ratio));
    let mut extraction = Extraction { path, target, limits, bytes: 0, entries: 0, dense };
    let mut archive = Archive::new(content.take(limits.bytes.min(dense).saturating_add(1)));
    let result = extraction.run(&mut archive);
    let mut rest = archive.into_inner();
    // What follows the last entry is read too: the checksum of gzip stands at the very end.
    let result = result.and_then(|()| {
        io::copy(&mut rest, &mut io::sink()).map_err(|source| extraction.damaged(source))
    });
    match result {
        // Whatever the reader made of it, the content did not end within the limit.
        Ok(_) | Err(ArchiveError::Damaged { .. }) if rest.limit() == 0 => {
            Err(extraction.too_large())
        }
        other => other.map(drop),
    }
}

struct Extraction<'a> {
    path: &'a Path,
    target: &'a Path,
    limits: &'a ArchiveLimits,
    entries: u64,
    bytes: u64,
    /// Bytes from which on the content is suspiciously large.
    dense: u64,
}

impl Extraction<'_> {
    fn run<R: Read>(&mut self, archive: &mut Archive<R>) -> Result<(), ArchiveError> {
        let damaged = |source| ArchiveError::Damaged { archive: self.path.to_owned(), source };
        // Raw: names that are too long for a header come as entries of their own, whose size we check
        // before we read them.
        let entries = archive.entries().map_err(damaged)?.raw(true);
        let mut long_name = None;
        for entry in entries {
            let mut entry = entry.map_err(|source| self.damaged(source))?;
            self.entries += 1;
            if self.entries > self.limits.entries {
                let most = self.limits.entries;
                return Err(ArchiveError::TooMany { archive: self.path.to_owned(), most });
            }
            self.bytes = self.bytes.saturating_add(entry.size()).saturating_add(512);
            if self.bytes > self.limits.bytes.min(self.dense) {
                return Err(self.too_large());
            }
            match entry.header().entry_type() {
                EntryType::XGlobalHeader => {
                    self.read_name(&mut entry)?;
                }
                EntryType::GNULongName => {
                    let mut name = self.read_name(&mut entry)?;
                    name.truncate(name.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
                    long_name = Some(name);
                }
                EntryType::XHeader => {
                    let attributes = self.read_name(&mut entry)?;
                    long_name = self.pax_path(&attributes)?.or(long_name);
                }
                _ => {
                    let name = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
                    self.put(&mut entry, &name)?;
                }
            }
        }
        Ok(())
    }

    /// Creates what an entry describes.
    fn put<R: Read>(&self, entry: &mut Entry<R>, name: &[u8]) -> Result<(), ArchiveError> {
        let shown = String::from_utf8_lossy(name).into_owned();
        let refuse = |reason| ArchiveError::Refused {
            archive: self.path.to_owned(),
            entry: shown.clone(),
            reason,
        };
        let write_failed = |source| ArchiveError::Write {
            archive: self.path.to_owned(),
            entry: shown.clone(),
            source,
        };
        let header = entry.header();
        let kind = header.entry_type();
        let is_folder = match kind {
            EntryType::Directory => true,
            EntryType::Regular | EntryType::Continuous => false,
            EntryType::Symlink => return Err(refuse("is a symbolic link")),
            EntryType::Link => return Err(refuse("is a hard link")),
            EntryType::Char | EntryType::Block => return Err(refuse("is a device")),
            EntryType::Fifo => return Err(refuse("is a pipe")),
            _ => return Err(refuse("is neither a file nor a folder")),
        };
        if !is_folder && header.mode().is_ok_and(|mode| mode & 0o6000 != 0) {
            return Err(refuse("would run as another user (setuid or setgid)"));
        }
        let target = self.target.join(inner_path(name).map_err(refuse)?);
        if is_folder || name.ends_with(b"/") {
            return fs::create_dir_all(&target).map_err(write_failed);
        }
        if target == self.target {
            return Err(refuse("has no name"));
        }
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).map_err(write_failed)?;
        }
        let mut file = File::create_new(&target).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => refuse("is there twice"),
            _ => write_failed(error),
        })?;
        let size = entry.size();
        let copied = copy(entry, &mut file).map_err(|error| match error {
            Copy::Read(source) => self.damaged(source),
            Copy::Write(source) => write_failed(source),
        })?;
        if copied < size {
            return Err(self.damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(())
    }

    /// The content of an entry that holds the next entry's name or attributes.
    fn read_name<R: Read>(&self, entry: &mut Entry<R>) -> Result<Vec<u8>, ArchiveError> {
        if entry.size() > LONGEST_NAME {
            return Err(ArchiveError::Refused {
                archive: self.path.to_owned(),
                entry: String::from_utf8_lossy(&entry.path_bytes()).into_owned(),
                reason: "has a name of more than 64 KiB",
            });
        }
        let mut name = Vec::new();
        entry.read_to_end(&mut name).map_err(|source| self.damaged(source))?;
        Ok(name)
    }

    /// The path among POSIX extended attributes.
    ///
    /// A size among them is for entries of more than 8 GiB. The reader, left raw, does not heed it, so
    /// such an archive is refused rather than misread.
    fn pax_path(&self, attributes: &[u8]) -> Result<Option<Vec<u8>>, ArchiveError> {
        let mut path = None;
        for attribute in PaxExtensions::new(attributes) {
            let attribute = attribute.map_err(|source| self.damaged(source))?;
            match attribute.key_bytes() {
                b"path" => path = Some(attribute.value_bytes().to_vec()),
                b"size" => {
                    return Err(ArchiveError::Refused {
                        archive: self.path.to_owned(),
                        entry: String::from_utf8_lossy(&path.unwrap_or_default()).into_owned(),
                        reason: "states its size in an extended header; pack it with --format=gnu",
                    });
                }
                _ => {}
            }
        }
        Ok(path)
    }

    fn damaged(&self, source: io::Error) -> ArchiveError {
        ArchiveError::Damaged { archive: self.path.to_owned(), source }
    }

    fn too_large(&self) -> ArchiveError {
        let archive = self.path.to_owned();
        if self.dense < self.limits.bytes {
            return ArchiveError::TooDense { archive, most: self.limits.ratio };
        }
        ArchiveError::TooLarge { archive, most: ByteSize(self.limits.bytes) }
    }
}

/// Which side of a copy failed.
enum Copy {
    Read(io::Error),
    Write(io::Error),
}

fn copy(from: &mut impl Read, to: &mut impl io::Write) -> Result<u64, Copy> {
    let mut buffer = vec![0; 128 << 10];
    let mut copied = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => {
                to.write_all(&buffer[..count]).map_err(Copy::Write)?;
                copied += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Copy::Read(error)),
        }
    }
}

/// The path that an entry's name stands for, which stays below where it is joined to.
fn inner_path(name: &[u8]) -> Result<PathBuf, &'static str> {
    let name = std::str::from_utf8(name).map_err(|_| "has a name that is not UTF-8")?;
    if name.contains('\0') {
        return Err("has a NUL in its name");
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
#[path = "extract_tests.rs"]
mod tests;
