//! A moving view of a stream: as much as the record at hand needs, and no more.

use std::io::{self, Read};

/// Read at once.
const BLOCK: usize = 256 * 1024;

/// The unread part of a stream, of which the beginning is in memory.
pub(super) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    /// Bytes of `buffer` before this are used up.
    start: usize,
    /// Bytes of `buffer` from this on are not filled yet.
    filled: usize,
    /// Bytes used up so far, of the whole stream.
    offset: u64,
    ended: bool,
    has_failed: bool,
    failure: Option<io::Error>,
}

impl Window {
    pub(super) fn new(source: Box<dyn Read + Send>) -> Self {
        Self {
            source,
            buffer: Vec::new(),
            start: 0,
            filled: 0,
            offset: 0,
            ended: false,
            has_failed: false,
            failure: None,
        }
    }

    /// What is in memory and not used up.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.filled]
    }

    /// Where `bytes` begins, in bytes from the start of the stream.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Uses up the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        self.offset += count as u64;
        debug_assert!(self.start <= self.filled);
    }

    /// Reads on. False at the end of the stream, also an untimely one: then `failure` has the cause.
    pub(super) fn fill(&mut self) -> bool {
        if self.ended {
            return false;
        }
        self.make_room();
        loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Ok(0) => self.ended = true,
                Ok(count) => {
                    self.filled += count;
                    return true;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.failure = Some(error);
                    self.has_failed = true;
                    self.ended = true;
                }
            }
            return false;
        }
    }

    /// Whether the stream broke off.
    pub(super) fn has_failed(&self) -> bool {
        self.has_failed
    }

    /// Why the stream broke off, once.
    pub(super) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    fn make_room(&mut self) {
        if self.start > 0 && self.start >= self.filled - self.start {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.filled < BLOCK / 2 {
            let size = (self.buffer.len() * 2).max(BLOCK);
            self.buffer.resize(size, 0);
        } else if self.filled < BLOCK / 2 && self.buffer.len() > 8 * BLOCK {
            // One large record is over.
            self.buffer.truncate(BLOCK);
            self.buffer.shrink_to_fit();
        }
    }
}
