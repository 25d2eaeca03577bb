//! Reads log files from any place, forward and backward.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use super::{MAX_TEXT, Record};

/// Bytes that are read at once. A record always fits.
const CHUNK: u64 = 2 * MAX_TEXT as u64;

/// Which records are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Records of this millisecond and later.
    pub from_millis: u64,
    /// Records before this millisecond.
    pub until_millis: u64,
    /// Records at most.
    pub most: usize,
    /// Bytes of text at most; one record is always given.
    pub most_bytes: usize,
}

impl Default for Window {
    /// As many as one call of CloudWatch Logs gives: 10,000 records or 1 MB.
    fn default() -> Self {
        Self { from_millis: 0, until_millis: u64::MAX, most: 10_000, most_bytes: 1_000_000 }
    }
}

/// Some records in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The records.
    pub records: Vec<Record>,
    /// The position to read backward from to get what is before.
    pub start: u64,
    /// The position to read forward from to get what is after, now or later.
    pub end: u64,
}

/// Reads a log file, which may grow meanwhile. Positions are bytes at which records begin; they mean
/// the same for every reader of the file.
#[derive(Debug)]
pub struct LogReader {
    file: File,
}

impl LogReader {
    /// Opens `path`; `None` if nothing was logged yet.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self { file })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The position after the last record.
    pub fn end(&mut self) -> io::Result<u64> {
        let size = self.file.metadata()?.len();
        let mut at = size;
        while at > 0 {
            let start = at.saturating_sub(CHUNK);
            if let Some(last) = memchr_last(&self.bytes(start, at)?) {
                return Ok(start + last as u64 + 1);
            }
            at = start;
        }
        Ok(0)
    }

    /// Records that begin at `position` or after it.
    pub fn forward(&mut self, position: u64, window: &Window) -> io::Result<Page> {
        let start = self.next_start(position)?.max(self.first_at(window.from_millis)?);
        let mut page = Page { records: Vec::new(), start, end: start };
        let (mut bytes, mut before) = (0, window.from_millis);
        while page.records.len() < window.most {
            let chunk = self.whole_lines(page.end)?;
            if chunk.is_empty() {
                break;
            }
            for line in chunk.split_inclusive(|byte| *byte == b'\n') {
                let record = Record::read(&line[..line.len() - 1], page.end, before);
                bytes += record.text.len();
                let full = page.records.len() >= window.most
                    || bytes > window.most_bytes && !page.records.is_empty();
                if full || record.millis >= window.until_millis {
                    return Ok(page);
                }
                before = record.millis;
                page.end += line.len() as u64;
                page.records.push(record);
            }
        }
        Ok(page)
    }

    /// The last records that end at or before `position`.
    pub fn backward(&mut self, position: u64, window: &Window) -> io::Result<Page> {
        let end = position.min(self.first_at(window.until_millis)?);
        let end = self.line_start(end, 0)?;
        let floor = self.first_at(window.from_millis)?;
        let mut page = Page { records: Vec::new(), start: end, end };
        let mut bytes = 0;
        'pages: while page.start > floor && page.records.len() < window.most {
            let from = self.line_start(page.start.saturating_sub(CHUNK).max(floor), floor)?;
            let chunk = self.bytes(from, page.start)?;
            let mut rest = &chunk[..];
            while !rest.is_empty() {
                let at = memchr_last(&rest[..rest.len() - 1]).map_or(0, |end| end + 1);
                let record = Record::read(&rest[at..rest.len() - 1], from + at as u64, 0);
                bytes += record.text.len();
                let full = page.records.len() >= window.most
                    || bytes > window.most_bytes && !page.records.is_empty();
                if full {
                    break 'pages;
                }
                page.start = record.position;
                page.records.push(record);
                rest = &rest[..at];
            }
        }
        page.records.reverse();
        Ok(page)
    }

    /// The position of the first record of `millis` or later; [`Self::end`] if there is none.
    /// Times never go back in a file, so this takes a few reads however long it is.
    pub fn first_at(&mut self, millis: u64) -> io::Result<u64> {
        if millis == 0 {
            return Ok(0);
        }
        // The record wanted begins at or after `low`, and at or before `high`.
        let (mut low, mut high) = (0, self.end()?);
        if millis == u64::MAX {
            return Ok(high);
        }
        while low < high {
            let middle = self.line_start(low + (high - low) / 2, low)?;
            let line = self.line(middle)?;
            let next = middle + line.len() as u64;
            if line.is_empty()
                || Record::time(&line[..line.len() - 1]).is_some_and(|at| at >= millis)
            {
                high = middle;
            } else {
                low = next;
            }
        }
        Ok(low)
    }

    /// The start of the line that `position` is in, not before `floor`, where a line starts.
    fn line_start(&mut self, position: u64, floor: u64) -> io::Result<u64> {
        let mut at = position;
        while at > floor {
            let from = at.saturating_sub(4096).max(floor);
            if let Some(end) = memchr_last(&self.bytes(from, at)?) {
                return Ok(from + end as u64 + 1);
            }
            at = from;
        }
        Ok(floor)
    }

    /// The start of the first line that begins at `position` or after it.
    fn next_start(&mut self, position: u64) -> io::Result<u64> {
        if position == 0 || self.bytes(position - 1, position)? == b"\n" {
            return Ok(position);
        }
        let line = self.line(position)?;
        if line.is_empty() { self.end() } else { Ok(position + line.len() as u64) }
    }

    /// The line at `position`, with its end; empty if it has none.
    fn line(&mut self, position: u64) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            let at = position + line.len() as u64;
            let chunk = self.bytes(at, at + 4096)?;
            if let Some(end) = chunk.iter().position(|byte| *byte == b'\n') {
                line.extend_from_slice(&chunk[..=end]);
                return Ok(line);
            }
            if chunk.is_empty() {
                return Ok(Vec::new());
            }
            line.extend(chunk);
        }
    }

    /// Whole lines from `position`, at least one if there is one.
    fn whole_lines(&mut self, position: u64) -> io::Result<Vec<u8>> {
        let mut bytes = self.bytes(position, position + CHUNK)?;
        match memchr_last(&bytes) {
            Some(end) => bytes.truncate(end + 1),
            None if bytes.len() as u64 == CHUNK => return self.line(position),
            None => bytes.clear(),
        }
        Ok(bytes)
    }

    fn bytes(&mut self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        (&self.file).take(to.saturating_sub(from)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The last line end in `bytes`.
fn memchr_last(bytes: &[u8]) -> Option<usize> {
    bytes.iter().rposition(|byte| *byte == b'\n')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn reader(text: &[u8]) -> LogReader {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        fs::write(&path, text).unwrap();
        LogReader::open(&path).unwrap().unwrap()
    }

    fn texts(page: &Page) -> Vec<&str> {
        page.records.iter().map(|record| record.text.as_str()).collect()
    }

    const FIVE: &[u8] = b"10 o a\n20 e b\n20 o c\n30 o d\n40 o e\n50 o unfinish";

    #[test]
    fn pages_lead_forward_and_back() {
        let mut log = reader(FIVE);
        let two = Window { most: 2, ..Window::default() };
        let first = log.forward(0, &two).unwrap();
        assert_eq!(texts(&first), ["a", "b"]);
        let second = log.forward(first.end, &two).unwrap();
        assert_eq!(texts(&second), ["c", "d"]);
        assert_eq!(log.backward(second.start, &two).unwrap(), first);
        let last = log.backward(u64::MAX, &two).unwrap();
        assert_eq!(texts(&last), ["d", "e"]);
        let after = log.forward(last.end, &two).unwrap();
        assert!(after.records.is_empty() && after.end == last.end);
        assert!(log.backward(0, &two).unwrap().records.is_empty());
    }

    #[test]
    fn times_bound_both_directions() {
        let mut log = reader(FIVE);
        let window = Window { from_millis: 15, until_millis: 40, ..Window::default() };
        assert_eq!(texts(&log.forward(0, &window).unwrap()), ["b", "c", "d"]);
        assert_eq!(texts(&log.backward(u64::MAX, &window).unwrap()), ["b", "c", "d"]);
        let late = Window { from_millis: 41, ..Window::default() };
        assert!(log.forward(0, &late).unwrap().records.is_empty());
        assert!(log.backward(u64::MAX, &late).unwrap().records.is_empty());
    }

    #[test]
    fn a_stream_without_a_file_is_empty() {
        assert!(LogReader::open(Path::new("/nowhere/x.log")).unwrap().is_none());
    }

    #[test]
    fn a_page_of_bytes_has_one_record_at_least() {
        let mut log = reader(FIVE);
        let small = Window { most_bytes: 0, ..Window::default() };
        assert_eq!(texts(&log.forward(0, &small).unwrap()), ["a"]);
        assert_eq!(texts(&log.backward(u64::MAX, &small).unwrap()), ["e"]);
    }

    #[test]
    fn a_position_within_a_record_leads_to_its_neighbours() {
        let mut log = reader(FIVE);
        let second = log.forward(1, &Window { most: 1, ..Window::default() }).unwrap();
        assert_eq!(texts(&second), ["b"]);
        assert_eq!(texts(&log.backward(second.end - 1, &Window::default()).unwrap()), ["a"]);
        assert!(log.forward(FIVE.len() as u64 - 3, &Window::default()).unwrap().records.is_empty());
    }

    proptest! {
        /// Page by page, in either direction, with any window: what a scan of the file finds.
        #[test]
        fn every_walk_finds_the_same(
            steps in prop::collection::vec((0_u64..3, 0_usize..6000), 0..30),
            from in 0_u64..40, length in 0_u64..40, most in 1_usize..5,
        ) {
            let (mut text, mut millis, mut all) = (Vec::new(), 1, Vec::new());
            for (index, (step, size)) in steps.iter().enumerate() {
                millis += step;
                let line = format!("{index}{}", "x".repeat(*size));
                text.extend(format!("{millis} o {line}\n").into_bytes());
                if (from..from + length).contains(&millis) {
                    all.push(line);
                }
            }
            let mut log = reader(&text);
            let window = Window { from_millis: from, until_millis: from + length, most,
                ..Window::default() };
            let (mut forward, mut at) = (Vec::new(), 0);
            loop {
                let page = log.forward(at, &window).unwrap();
                if page.records.is_empty() { break; }
                at = page.end;
                forward.extend(page.records.into_iter().map(|record| record.text));
            }
            prop_assert_eq!(&forward, &all);
            let (mut backward, mut at) = (Vec::new(), u64::MAX);
            loop {
                let mut page = log.backward(at, &window).unwrap();
                if page.records.is_empty() { break; }
                at = page.start;
                page.records.reverse();
                backward.extend(page.records.into_iter().map(|record| record.text));
            }
            backward.reverse();
            prop_assert_eq!(&backward, &all);
        }
    }
}
