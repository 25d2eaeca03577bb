//! One CSV record (RFC 4180): its cells, and how a cell is written.
//!
//! A quote opens a quoted cell only at the cell's start; elsewhere it is text. What follows a closing
//! quote within the same line is text too, as Python's and most other readers have it.

use std::borrow::Cow;

/// One cell as it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell<'a> {
    raw: &'a [u8],
    quoted: bool,
}

impl<'a> Cell<'a> {
    /// Whether the cell is written in quotes.
    pub(crate) fn is_quoted(&self) -> bool {
        self.quoted
    }

    /// The cell's text, without quotes.
    #[inline]
    pub(crate) fn text(&self) -> Cow<'a, [u8]> {
        if !self.quoted {
            return Cow::Borrowed(self.raw);
        }
        let end = quoted_end(self.raw);
        let inner = &self.raw[1..end.unwrap_or(self.raw.len())];
        let tail = end.map_or(&[][..], |end| &self.raw[end + 1..]);
        if tail.is_empty() && memchr::memchr(b'"', inner).is_none() {
            return Cow::Borrowed(inner);
        }
        let mut text = Vec::with_capacity(self.raw.len());
        let mut rest = inner;
        while let Some(at) = memchr::memchr(b'"', rest) {
            // Of a doubled quote, one stays.
            text.extend_from_slice(&rest[..=at]);
            rest = rest.get(at + 2..).unwrap_or(&[]);
        }
        text.extend_from_slice(rest);
        text.extend_from_slice(tail);
        Cow::Owned(text)
    }
}

/// Where the closing quote of `cell`, which begins with a quote, stands.
fn quoted_end(cell: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        at += memchr::memchr(b'"', cell.get(at..)?)?;
        if cell.get(at + 1) != Some(&b'"') {
            return Some(at);
        }
        at += 2;
    }
}

/// The cells of a record.
#[derive(Debug, Clone)]
pub(crate) struct Cells<'a> {
    rest: Option<&'a [u8]>,
}

/// The cells of `record`, which has no line end. There is always one.
pub(crate) fn cells(record: &[u8]) -> Cells<'_> {
    Cells { rest: Some(record) }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Cell<'a>;

    #[inline]
    fn next(&mut self) -> Option<Cell<'a>> {
        let rest = self.rest?;
        let quoted = rest.first() == Some(&b'"');
        let from = if quoted { quoted_end(rest).unwrap_or(rest.len()) } else { 0 };
        let comma = memchr::memchr(b',', &rest[from..]).map(|at| from + at);
        self.rest = comma.map(|at| &rest[at + 1..]);
        Some(Cell { raw: &rest[..comma.unwrap_or(rest.len())], quoted })
    }
}

/// How many cells `record` has; `None` if a quote stays open.
pub(crate) fn count_cells(record: &[u8]) -> Option<usize> {
    if memchr::memchr(b'"', record).is_none() {
        return Some(memchr::memchr_iter(b',', record).count() + 1);
    }
    let mut count = 0;
    for cell in cells(record) {
        if cell.quoted && quoted_end(cell.raw).is_none() {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// Writes one cell, quoted where it must be. An empty text is written as `""`: without quotes it
/// would read as null.
pub(crate) fn write_cell(text: &[u8], out: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
    if !text.is_empty() && !text.iter().any(special) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    let mut from = 0;
    for at in memchr::memchr_iter(b'"', text) {
        out.extend_from_slice(&text[from..=at]);
        out.push(b'"');
        from = at + 1;
    }
    out.extend_from_slice(&text[from..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(record: &str) -> Vec<String> {
        cells(record.as_bytes())
            .map(|cell| String::from_utf8_lossy(&cell.text()).into_owned())
            .collect()
    }

    #[test]
    fn cells_are_split_and_unquoted() {
        assert_eq!(texts("a,b,,c"), ["a", "b", "", "c"]);
        assert_eq!(texts(""), [""]);
        assert_eq!(texts("\"a,b\",\"x\"\"y\",\"\""), ["a,b", "x\"y", ""]);
        assert_eq!(texts("\"a\nb\",c"), ["a\nb", "c"]);
        assert_eq!(texts("5\" disk,\"5\" disk"), ["5\" disk", "5 disk"]);
        assert_eq!(texts("\"open,a"), ["open,a"]);
        assert_eq!(texts("\"\"\"\"\"\""), ["\"\""]);
    }

    #[test]
    fn an_open_quote_has_no_count() {
        assert_eq!(count_cells(b"a,\"b"), None);
        assert_eq!(count_cells(b"a,\"b\"\""), None);
        assert_eq!(count_cells(b"a,\"b,c\",d"), Some(3));
        assert_eq!(count_cells(b""), Some(1));
    }

    proptest! {
        #[test]
        fn any_cells_read_back(wanted in proptest::collection::vec("[a\",\\n\\r é]{0,6}", 1..5)) {
            let mut record = Vec::new();
            for (index, cell) in wanted.iter().enumerate() {
                if index > 0 {
                    record.push(b',');
                }
                write_cell(cell.as_bytes(), &mut record);
            }
            prop_assert_eq!(count_cells(&record), Some(wanted.len()));
            prop_assert_eq!(texts(std::str::from_utf8(&record).expect("UTF-8")), wanted);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            let found: Vec<_> = cells(&bytes).map(|cell| cell.text().into_owned()).collect();
            prop_assert!(count_cells(&bytes).is_none_or(|count| count == found.len()));
        }
    }
}
