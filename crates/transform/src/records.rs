//! Records in the two forms that models take: Arrow columns, or lines of text.

use std::{ops::Range, sync::Arc};

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

/// A block of consecutive records, cut for one call.
#[derive(Debug, Clone)]
pub enum Records {
    /// One row a record.
    Columns(RecordBatch),
    /// One line a record.
    Lines(Lines),
}

impl Records {
    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Columns(batch) => batch.num_rows(),
            Self::Lines(lines) => lines.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records of `rows`, without copying. `rows` must lie within the block.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        match self {
            Self::Columns(batch) => Self::Columns(batch.slice(rows.start, rows.len())),
            Self::Lines(lines) => Self::Lines(lines.slice(rows)),
        }
    }
}

/// Consecutive text records in one buffer. Each record ends with exactly one `\n`, which is no part
/// of it; a record may hold other newlines (a quoted CSV field).
#[derive(Debug, Clone)]
pub struct Lines {
    bytes: Bytes,
    /// Record `i` of the whole buffer is `bytes[offsets[i]..offsets[i + 1] - 1]`.
    offsets: Arc<[u32]>,
    range: Range<usize>,
}

impl Lines {
    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Record `index`, without its line end.
    #[must_use]
    pub fn record(&self, index: usize) -> &[u8] {
        let at = self.range.start + index;
        &self.bytes[self.offsets[at] as usize..self.offsets[at + 1] as usize - 1]
    }

    /// The records in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.record(index))
    }

    /// The records of `rows`, without copying.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Self {
        assert!(rows.end <= self.len(), "rows {rows:?} of {}", self.len());
        let range = self.range.start + rows.start..self.range.start + rows.end;
        Self { bytes: self.bytes.clone(), offsets: Arc::clone(&self.offsets), range }
    }

    /// All records as one text, each with its `\n`, without copying.
    #[must_use]
    pub fn text(&self) -> Bytes {
        let from = self.offsets[self.range.start] as usize;
        let to = self.offsets[self.range.end] as usize;
        self.bytes.slice(from..to)
    }
}

impl Default for Lines {
    fn default() -> Self {
        LinesBuilder::default().finish()
    }
}

impl<T: AsRef<[u8]>> FromIterator<T> for Lines {
    fn from_iter<I: IntoIterator<Item = T>>(records: I) -> Self {
        let mut builder = LinesBuilder::default();
        for record in records {
            builder.push(record.as_ref());
        }
        builder.finish()
    }
}

/// Puts `Lines` together, record by record.
#[derive(Debug)]
pub struct LinesBuilder {
    bytes: Vec<u8>,
    offsets: Vec<u32>,
}

impl Default for LinesBuilder {
    fn default() -> Self {
        Self { bytes: Vec::new(), offsets: vec![0] }
    }
}

impl LinesBuilder {
    /// Adds one record. `record` has no line end.
    pub fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.end_record();
    }

    /// Where the bytes of the next record go; `end_record` ends it.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the record whose bytes were written to `buffer`.
    pub fn end_record(&mut self) {
        self.bytes.push(b'\n');
        let end = u32::try_from(self.bytes.len()).expect("a block of lines stays under 4 GiB");
        self.offsets.push(end);
    }

    /// How many records there are so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is none yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes so far, line ends included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The records.
    #[must_use]
    pub fn finish(self) -> Lines {
        let range = 0..self.offsets.len() - 1;
        Lines { bytes: self.bytes.into(), offsets: self.offsets.into(), range }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_share_the_text() {
        let lines: Lines = ["a", "", "c\nd", "e"].into_iter().collect();
        assert_eq!(lines.len(), 4);
        let middle = lines.slice(1..3);
        assert_eq!(middle.iter().collect::<Vec<_>>(), [b"".as_slice(), b"c\nd"]);
        assert_eq!(middle.text(), "\nc\nd\n");
        assert_eq!(middle.slice(1..2).record(0), b"c\nd");
    }
}
