//! Where records end in a file.

use std::io::{self, BufRead, Read};

use bessemer_domain::ByteSize;

use super::{Split, too_large, unreadable};
use crate::model::CallError;

/// The first bytes of each part of a `RecordIO` record.
const RECORD_IO: u32 = 0xced7_230a;
/// Bytes of a `TFRecord`'s frame before and after its content.
const TF_FRAME: (usize, usize) = (12, 4);

/// The records of one file, one after another.
pub(super) struct Records<R> {
    input: R,
    split: Split,
    /// Bytes of a record, at most.
    most: u64,
    is_done: bool,
}

impl<R: BufRead> Records<R> {
    pub(super) fn new(input: R, split: Split, most: u64) -> Self {
        Self { input, split, most, is_done: false }
    }

    /// The next record with all that frames it; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        if self.is_done {
            return Ok(None);
        }
        let record = match self.split {
            Split::None => {
                self.is_done = true;
                self.take(u64::MAX).map(Some)
            }
            Split::Line => self.line(),
            Split::RecordIo => self.record_io(),
            Split::TfRecord => self.tf_record(),
        };
        self.is_done |= !matches!(record, Ok(Some(_)));
        record
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let mut line = Vec::new();
        let most = self.most.saturating_add(1);
        (&mut self.input).take(most).read_until(b'\n', &mut line).map_err(unreadable)?;
        self.check(line.len() as u64)?;
        Ok((!line.is_empty()).then_some(line))
    }

    /// Parts of a record: an integer that marks each, and one of three bits that tell whether it is
    /// whole (0), the first (1), a middle one (2) or the last (3), and of its length; the content is
    /// filled up to four bytes.
    fn record_io(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let mut record = Vec::new();
        loop {
            let mut head = [0; 8];
            if !self.fill(&mut head)? {
                return if record.is_empty() { Ok(None) } else { Err(cut("RecordIO")) };
            }
            let number = |at: usize| {
                u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]])
            };
            if number(0) != RECORD_IO {
                return Err(unreadable("it is no RecordIO: a record does not begin with its mark"));
            }
            let (part, length) = (number(4) >> 29, u64::from(number(4) & 0x1fff_ffff));
            record.extend_from_slice(&head);
            self.append(&mut record, length.next_multiple_of(4), "RecordIO")?;
            if matches!(part, 0 | 3) {
                return Ok(Some(record));
            }
        }
    }

    /// Eight bytes of length, four of its checksum, the content, four of its checksum.
    fn tf_record(&mut self) -> Result<Option<Vec<u8>>, CallError> {
        let mut head = [0; TF_FRAME.0];
        if !self.fill(&mut head)? {
            return Ok(None);
        }
        let mut length = [0; 8];
        length.copy_from_slice(&head[..8]);
        let length = u64::from_le_bytes(length);
        let mut record = head.to_vec();
        self.append(&mut record, length.saturating_add(TF_FRAME.1 as u64), "TFRecord")?;
        Ok(Some(record))
    }

    /// Reads `length` more bytes of a record.
    fn append(&mut self, record: &mut Vec<u8>, length: u64, format: &str) -> Result<(), CallError> {
        self.check((record.len() as u64).saturating_add(length))?;
        let read = (&mut self.input).take(length).read_to_end(record).map_err(unreadable)?;
        if read as u64 == length { Ok(()) } else { Err(cut(format)) }
    }

    /// Fills `head`; false at the end of the file.
    fn fill(&mut self, head: &mut [u8]) -> Result<bool, CallError> {
        if self.input.fill_buf().map_err(unreadable)?.is_empty() {
            return Ok(false);
        }
        match self.input.read_exact(head) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(unreadable("it ends in the middle of a record's frame"))
            }
            Err(error) => Err(unreadable(error)),
        }
    }

    fn take(&mut self, length: u64) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::new();
        let most = self.most.saturating_add(1).min(length);
        (&mut self.input).take(most).read_to_end(&mut bytes).map_err(unreadable)?;
        self.check(bytes.len() as u64)?;
        Ok(bytes)
    }

    fn check(&self, length: u64) -> Result<(), CallError> {
        if length <= self.most {
            return Ok(());
        }
        let (what, most) = (if self.split == Split::None { "file" } else { "record" }, self.most);
        Err(too_large(format!(
            "a {what} is larger than MaxPayloadInMB allows ({})",
            ByteSize(most)
        )))
    }
}

fn cut(format: &str) -> CallError {
    unreadable(format!("it is no whole {format}: it ends in the middle of a record"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(bytes: &[u8], split: Split, most: u64) -> Result<Vec<Vec<u8>>, String> {
        let mut records = Records::new(bytes, split, most);
        let mut found = Vec::new();
        while let Some(record) = records.next().map_err(|error| error.message)? {
            found.push(record);
        }
        Ok(found)
    }

    fn record_io(part: u32, content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap();
        let mut record = RECORD_IO.to_le_bytes().to_vec();
        record.extend((part << 29 | length).to_le_bytes());
        record.extend(content);
        record.resize(record.len().next_multiple_of(4), 0);
        record
    }

    fn tf_record(content: &[u8]) -> Vec<u8> {
        let mut record = (content.len() as u64).to_le_bytes().to_vec();
        record.extend([1, 2, 3, 4]);
        record.extend(content);
        record.extend([5, 6, 7, 8]);
        record
    }

    #[test]
    fn lines_keep_their_ends() {
        let lines = records(b"a\n\nbc", Split::Line, 10).unwrap();
        assert_eq!(lines, [b"a\n".to_vec(), b"\n".to_vec(), b"bc".to_vec()]);
        assert_eq!(records(b"", Split::Line, 10), Ok(vec![]));
        assert!(records(b"a\nlong line\n", Split::Line, 5).unwrap_err().contains("(5 B)"));
    }

    #[test]
    fn a_file_is_one_record_even_if_it_is_empty() {
        assert_eq!(records(b"a\nb", Split::None, 3), Ok(vec![b"a\nb".to_vec()]));
        assert_eq!(records(b"", Split::None, 3), Ok(vec![vec![]]));
        assert!(records(b"a\nb\n", Split::None, 3).unwrap_err().contains("a file is larger"));
    }

    #[test]
    fn framed_records_come_with_their_frames() {
        let whole = [record_io(0, b"abc"), record_io(0, b""), record_io(0, b"abcd")];
        assert_eq!(records(&whole.concat(), Split::RecordIo, 100), Ok(whole.to_vec()));
        let parts = [record_io(1, b"ab"), record_io(2, b"c"), record_io(3, b"d")].concat();
        assert_eq!(records(&parts, Split::RecordIo, 100), Ok(vec![parts.clone()]));
        let tf = [tf_record(b"x"), tf_record(&[0; 300])];
        assert_eq!(records(&tf.concat(), Split::TfRecord, 1000), Ok(tf.to_vec()));
    }

    #[test]
    fn what_is_cut_or_something_else_is_refused() {
        for (bytes, split) in [
            (b"no record at all".to_vec(), Split::RecordIo),
            (record_io(0, b"abcd")[..10].to_vec(), Split::RecordIo),
            (record_io(1, b"abcd"), Split::RecordIo),
            (tf_record(b"abcd")[..18].to_vec(), Split::TfRecord),
            (tf_record(b"abcd")[..5].to_vec(), Split::TfRecord),
        ] {
            let message = records(&bytes, split, 1000).unwrap_err();
            assert!(message.starts_with("it is no") || message.starts_with("it ends"), "{message}");
        }
        let large = records(&tf_record(&[0; 50]), Split::TfRecord, 40).unwrap_err();
        assert!(large.contains("a record is larger"), "{large}");
        // A length that nothing could hold is no reason to reserve it.
        let mut bomb = u64::MAX.to_le_bytes().to_vec();
        bomb.extend([0; 8]);
        assert!(records(&bomb, Split::TfRecord, 1 << 30).is_err());
    }
}
