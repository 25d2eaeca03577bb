//! Appends records to a log file.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use bessemer_domain::Clock;

use super::{LogReader, Record, Source, Window};

/// Appends to a log file. One at a time may write to a file.
pub struct LogWriter {
    file: File,
    clock: Arc<dyn Clock>,
    /// The time of the last record.
    last: u64,
    /// Bytes in the file.
    size: u64,
    /// Bytes that the file may have.
    max_bytes: u64,
    /// Records that wait to be written.
    buffer: Vec<u8>,
    /// Whether the file may end in part of a record, since a write failed.
    torn: bool,
    /// Bytes of records that could not be written since the last that could.
    lost: u64,
    /// Whether the file is full.
    full: bool,
}

impl LogWriter {
    /// Opens or makes `path` and its folder. Past `max_bytes`, records are dropped.
    pub fn open(path: &Path, max_bytes: u64, clock: Arc<dyn Clock>) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = File::options().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        let (mut last, mut torn) = (0, false);
        if let Some(mut reader) = LogReader::open(path)? {
            let end = reader.end()?;
            torn = end < size;
            let few = reader.backward(end, &Window { most: 100, ..Window::default() })?;
            // A torn record has no time of its own.
            last = few.records.iter().map(|record| record.millis).max().unwrap_or(0);
        }
        let (buffer, full) = (Vec::new(), size >= max_bytes);
        Ok(Self { file, clock, last, size, max_bytes, buffer, torn, lost: 0, full })
    }

    /// Adds a record of now. `text` holds no line end and is at most [`MAX_TEXT`] bytes long.
    /// It is in the file after [`Self::flush`].
    pub fn add(&mut self, source: Source, continues: bool, text: &[u8]) {
        let now = self.clock.now_millis();
        self.add_at(now, source, continues, text);
    }

    /// Adds a record of another time, which becomes that of the last record if it lies before it.
    pub fn add_at(&mut self, millis: u64, source: Source, continues: bool, text: &[u8]) {
        if self.full {
            return;
        }
        self.last = self.last.max(millis);
        Record::write(&mut self.buffer, self.last, source, continues, text);
        if self.size + self.buffer.len() as u64 > self.max_bytes {
            self.full = true;
            let note =
                format!("the log is full at {} bytes; what follows is dropped", self.max_bytes);
            Record::write(&mut self.buffer, self.last, Source::Platform, false, note.as_bytes());
        }
    }

    /// Writes what was added. A record that can't be written, for want of space, is lost; the next
    /// that can be is preceded by one that says so.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        if self.torn {
            bytes.push(b'\n');
        }
        if self.lost > 0 {
            let note = format!("{} bytes of log could not be written", self.lost);
            Record::write(&mut bytes, self.last, Source::Platform, false, note.as_bytes());
        }
        bytes.append(&mut self.buffer);
        let written = self.file.write_all(&bytes);
        self.torn = written.is_err();
        self.lost = if written.is_err() { self.lost + bytes.len() as u64 } else { 0 };
        self.size += bytes.len() as u64;
        written
    }

    /// Puts what was flushed on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use bessemer_domain::ManualClock;

    use super::*;

    #[test]
    fn times_never_go_back_and_a_torn_end_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.log");
        let clock = Arc::new(ManualClock::default());
        clock.advance(50);
        let mut writer = LogWriter::open(&path, 1 << 20, clock.clone()).unwrap();
        writer.add(Source::Output, false, b"one");
        writer.flush().unwrap();
        fs::write(&path, "50 o one\n50 o to").unwrap();
        let mut writer = LogWriter::open(&path, 1 << 20, Arc::new(ManualClock::default())).unwrap();
        writer.add(Source::Output, false, b"two");
        writer.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "50 o one\n50 o to\n50 o two\n");
    }

    #[test]
    fn a_full_log_says_so_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let mut writer = LogWriter::open(&path, 20, Arc::new(ManualClock::default())).unwrap();
        for _ in 0..5 {
            writer.add(Source::Error, false, b"0123456789");
            writer.flush().unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["0 e 0123456789", "0 e 0123456789"]);
        assert_eq!(lines[2], "0 p the log is full at 20 bytes; what follows is dropped");
        assert_eq!(lines.len(), 3);
    }
}
