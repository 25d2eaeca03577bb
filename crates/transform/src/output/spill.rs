//! Encoded pages that wait for their row group: in memory up to a limit, then in a temporary file,
//! so that wide outputs over long row groups stay flat.

use std::{
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parquet::{
    column::page_store::{PageKey, PageStore, PageStoreArgs, PageStoreFactory},
    errors::{ParquetError, Result},
};

/// Makes page stores that share one limit of memory.
#[derive(Debug)]
pub(crate) struct SpillFactory {
    folder: PathBuf,
    limit: u64,
    resident: Arc<AtomicU64>,
}

impl SpillFactory {
    /// Stores that keep up to `limit` bytes in memory in all, the rest in files in `folder`.
    pub(crate) fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit, resident: Arc::default() }
    }
}

impl PageStoreFactory for SpillFactory {
    fn create(&self, _args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        Ok(Box::new(SpillStore {
            folder: self.folder.clone(),
            limit: self.limit,
            resident: Arc::clone(&self.resident),
            pages: Vec::new(),
            file: None,
        }))
    }
}

struct SpillStore {
    folder: PathBuf,
    limit: u64,
    resident: Arc<AtomicU64>,
    pages: Vec<Page>,
    /// The spilled pages and their length so far.
    file: Option<(std::fs::File, u64)>,
}

enum Page {
    Memory(Bytes),
    File { offset: u64, length: usize },
    Taken,
}

impl PageStore for SpillStore {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let length = value.len() as u64;
        let page = if self.resident.load(Ordering::Relaxed) + length <= self.limit {
            self.resident.fetch_add(length, Ordering::Relaxed);
            Page::Memory(value)
        } else {
            self.spill(&value)?
        };
        self.pages.push(page);
        Ok(PageKey::new(self.pages.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let place = key.get() as usize;
        let page = self.pages.get_mut(place).map(|page| std::mem::replace(page, Page::Taken));
        match page {
            Some(Page::Memory(bytes)) => {
                self.resident.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                Ok(bytes)
            }
            Some(Page::File { offset, length }) => self.read_back(offset, length),
            Some(Page::Taken) | None => {
                Err(ParquetError::General(format!("page {place} is not in the store")))
            }
        }
    }

    fn memory_size(&self) -> usize {
        let resident = |page: &Page| if let Page::Memory(bytes) = page { bytes.len() } else { 0 };
        self.pages.iter().map(resident).sum()
    }
}

impl SpillStore {
    fn spill(&mut self, value: &[u8]) -> Result<Page> {
        if self.file.is_none() {
            self.file = Some((tempfile::tempfile_in(&self.folder)?, 0));
        }
        let (file, end) = self.file.as_mut().expect("the file was made above");
        file.seek(SeekFrom::Start(*end))?;
        file.write_all(value)?;
        let offset = *end;
        *end += value.len() as u64;
        Ok(Page::File { offset, length: value.len() })
    }

    fn read_back(&mut self, offset: u64, length: usize) -> Result<Bytes> {
        let (file, _) = self.file.as_mut().expect("a spilled page has a file");
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

impl Drop for SpillStore {
    fn drop(&mut self) {
        self.resident.fetch_sub(self.memory_size() as u64, Ordering::Relaxed);
    }
}
