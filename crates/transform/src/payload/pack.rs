//! Records into payloads. Pure but for the reading.

use std::io::BufRead;

use bytes::Bytes;

use super::{Split, split::Records};
use crate::model::CallError;

/// The payloads of one file, one after another.
pub(super) struct Payloads<R> {
    records: Records<R>,
    /// Whether each record goes alone.
    single: bool,
    is_lines: bool,
    /// Bytes of a payload, at most.
    most: usize,
    /// A record that the last payload had no room for.
    waiting: Option<Vec<u8>>,
}

impl<R: BufRead> Payloads<R> {
    pub(super) fn new(input: R, split: Split, single: bool, most: u64) -> Self {
        Self {
            records: Records::new(input, split, most),
            single,
            is_lines: split == Split::Line,
            most: usize::try_from(most).unwrap_or(usize::MAX),
            waiting: None,
        }
    }

    /// The next payload with the number of its records; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Bytes, u64)>, CallError> {
        let first = match self.waiting.take() {
            Some(record) => Some(record),
            None => self.records.next()?,
        };
        let Some(mut payload) = first else { return Ok(None) };
        if self.single {
            // A record that goes alone needs no line end.
            if self.is_lines && payload.ends_with(b"\n") {
                payload.pop();
            }
            return Ok(Some((payload.into(), 1)));
        }
        let mut count = 1;
        while let Some(record) = self.records.next()? {
            if payload.len() + record.len() > self.most {
                self.waiting = Some(record);
                break;
            }
            payload.extend_from_slice(&record);
            count += 1;
        }
        Ok(Some((payload.into(), count)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payloads(text: &str, single: bool, most: u64) -> Vec<String> {
        let mut payloads = Payloads::new(text.as_bytes(), Split::Line, single, most);
        let mut found = Vec::new();
        while let Some((payload, _)) = payloads.next().unwrap() {
            found.push(String::from_utf8(payload.to_vec()).unwrap());
        }
        found
    }

    #[test]
    fn as_many_records_as_fit_go_together() {
        assert_eq!(payloads("a\nb\nccc\nd", false, 4), ["a\nb\n", "ccc\n", "d"]);
        assert_eq!(payloads("a\nb\nccc\nd", false, 5), ["a\nb\n", "ccc\nd"]);
        assert_eq!(payloads("a\nb\n", true, 100), ["a", "b"]);
        assert_eq!(payloads("", false, 100), Vec::<String>::new());
    }
}
