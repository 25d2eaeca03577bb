//! The bytes of a Parquet file: in memory if it is small, so that thousands of small files don't drown
//! in system calls, else read by position, so that threads can share it.

use std::{
    fs::File,
    io::{BufReader, Read},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use bytes::{Buf, Bytes, buf};
use parquet::file::reader::{ChunkReader, Length};

/// Files up to this size are held in memory while they are worked on.
const SMALL: u64 = 1 << 20;

/// The bytes of a file.
#[derive(Debug, Clone)]
pub(crate) enum ParquetSource {
    Memory(Bytes),
    File { file: Arc<File>, length: u64 },
}

impl ParquetSource {
    pub(crate) fn open(path: &Path) -> std::io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        if length > SMALL {
            return Ok(Self::File { file: Arc::new(file), length });
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.read_to_end(&mut bytes)?;
        Ok(Self::Memory(bytes.into()))
    }
}

impl Length for ParquetSource {
    fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
        }
    }
}

impl ChunkReader for ParquetSource {
    type T = SourceReader;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match self {
            Self::Memory(bytes) => {
                let start = (start as usize).min(bytes.len());
                SourceReader::Memory(bytes.slice(start..).reader())
            }
            Self::File { file, .. } => {
                let file = Arc::clone(file);
                SourceReader::File(BufReader::new(FileAt { file, offset: start }))
            }
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        match self {
            Self::Memory(bytes) => bytes.get_bytes(start, length),
            Self::File { file, .. } => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
        }
    }
}

/// Reads a [`ParquetSource`] from some place on.
pub(crate) enum SourceReader {
    Memory(buf::Reader<Bytes>),
    File(BufReader<FileAt>),
}

impl Read for SourceReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Memory(reader) => reader.read(buffer),
            Self::File(reader) => reader.read(buffer),
        }
    }
}

/// A file and a place in it, of no concern to others who read it.
pub(crate) struct FileAt {
    file: Arc<File>,
    offset: u64,
}

impl Read for FileAt {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read from `start` on, and the two bytes there.
    fn reads(length: usize, start: u64) -> (Vec<u8>, Option<Bytes>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        std::fs::write(file.path(), &content).unwrap();
        let source = ParquetSource::open(file.path()).unwrap();
        assert_eq!(matches!(source, ParquetSource::Memory(_)), length <= SMALL as usize);
        assert_eq!(source.len(), length as u64);
        let mut rest = Vec::new();
        source.get_read(start).unwrap().read_to_end(&mut rest).unwrap();
        assert_eq!(rest, content[(start as usize).min(length)..]);
        (rest, source.get_bytes(start, 2).ok())
    }

    #[test]
    fn small_and_large_files_read_alike() {
        for length in [5, SMALL as usize + 5] {
            let (rest, two) = reads(length, length as u64 - 3);
            assert_eq!(rest.len(), 3);
            assert_eq!(two.as_deref(), Some(&rest[..2]));
            assert_eq!(reads(length, length as u64 - 1).1, None);
            assert_eq!(reads(length, length as u64 + 1), (Vec::new(), None));
        }
    }
}
