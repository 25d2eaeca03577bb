//! Where a record ends.
//!
//! CSV: a newline within a quoted cell does not end the record. A quoted cell that does not end as
//! RFC 4180 has it (no closing quote before the end of the file or within the largest record, or a
//! closing quote on a later line that neither a comma nor a line end follows) was never meant as one:
//! the record that opened it is bad, and reading resumes at the line after the one in which it
//! opened. So a stray quote costs one record, and memory stays bounded by the largest record.

use memchr::{memchr, memchr2};

use super::window::Window;

/// What comes next in the stream, which still stands at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// A record of `length` bytes, then a line end; `total` with it.
    Record { length: usize, total: usize },
    /// A CSV record whose quote does not close; only its first line is taken.
    OpenQuote { length: usize, total: usize },
    /// The record is longer than the largest allowed.
    TooLarge,
    /// Nothing.
    End,
}

/// Finds the end of the line that `window` begins with.
pub(super) fn next_line(window: &mut Window, max_record: usize) -> Next {
    let mut searched = 0;
    loop {
        let bytes = window.bytes();
        if let Some(at) = memchr(b'\n', &bytes[searched..]) {
            return line_record(bytes, searched + at, max_record);
        }
        searched = bytes.len();
        // A carriage return before the line end is no part of the record.
        if searched > max_record + 1 {
            return Next::TooLarge;
        }
        if !window.fill() {
            return last_record(window, max_record);
        }
    }
}

fn line_record(bytes: &[u8], newline: usize, max_record: usize) -> Next {
    let length = newline - usize::from(newline > 0 && bytes[newline - 1] == b'\r');
    if length > max_record {
        return Next::TooLarge;
    }
    Next::Record { length, total: newline + 1 }
}

/// The record that no line end follows. What a broken stream leaves of one is dropped.
fn last_record(window: &Window, max_record: usize) -> Next {
    let bytes = window.bytes();
    if bytes.is_empty() || window.has_failed() {
        return Next::End;
    }
    let length = bytes.len() - usize::from(bytes.ends_with(b"\r"));
    if length > max_record {
        return Next::TooLarge;
    }
    Next::Record { length, total: bytes.len() }
}

/// Finds the end of the CSV record that `window` begins with.
pub(super) fn next_csv_record(window: &mut Window, max_record: usize) -> Next {
    let line = next_line(window, max_record);
    let Next::Record { total, length } = line else { return line };
    if memchr(b'"', &window.bytes()[..length]).is_none() {
        return line;
    }
    let open_quote = Next::OpenQuote { length, total };
    let mut state = State::CellStart;
    let mut at = 0;
    loop {
        let bytes = window.bytes();
        match state.walk(bytes, &mut at, total) {
            Walk::RecordEnd if at <= max_record + 2 => {
                return line_record(bytes, at - 1, usize::MAX);
            }
            Walk::RecordEnd | Walk::Malformed => return open_quote,
            Walk::More => {}
        }
        if at > max_record {
            return open_quote;
        }
        if !window.fill() {
            return match state {
                _ if window.has_failed() => Next::End,
                State::InQuotes => open_quote,
                _ => last_record(window, usize::MAX),
            };
        }
    }
}

/// Where in a record the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    CellStart,
    InCell,
    InQuotes,
    /// After a quote that closes the cell or is the first of two.
    AfterQuote,
}

enum Walk {
    RecordEnd,
    Malformed,
    /// All bytes are walked.
    More,
}

impl State {
    /// Walks from `at` to behind the line end that ends the record. `first_line` is the length of
    /// the record's first line.
    fn walk(&mut self, bytes: &[u8], at: &mut usize, first_line: usize) -> Walk {
        while let Some(byte) = bytes.get(*at).copied() {
            match (*self, byte) {
                (Self::InQuotes, _) => {
                    let Some(quote) = memchr(b'"', &bytes[*at..]) else {
                        *at = bytes.len();
                        return Walk::More;
                    };
                    *at += quote;
                    *self = Self::AfterQuote;
                }
                (Self::CellStart | Self::AfterQuote, b'"') => *self = Self::InQuotes,
                (_, b',') => *self = Self::CellStart,
                (_, b'\n') => {
                    *at += 1;
                    return Walk::RecordEnd;
                }
                // Only a line end may follow, which the next byte tells.
                (Self::AfterQuote, b'\r') if bytes.get(*at + 1).is_none() => {
                    return Walk::More;
                }
                (Self::AfterQuote, b'\r') if bytes.get(*at + 1) == Some(&b'\n') => {}
                (Self::AfterQuote, _) if *at >= first_line => return Walk::Malformed,
                _ => {
                    *self = Self::InCell;
                    let Some(stop) = memchr2(b',', b'\n', &bytes[*at..]) else {
                        *at = bytes.len();
                        return Walk::More;
                    };
                    *at += stop;
                    continue;
                }
            }
            *at += 1;
        }
        Walk::More
    }
}
