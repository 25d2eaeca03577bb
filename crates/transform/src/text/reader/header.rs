//! What stands before the first record: a byte order mark, a CSV header, or a sign that the file is
//! no JSON Lines at all.

use super::{CsvHeader, Next, TextError, TextReader, split};
use crate::text::{
    csv,
    detect::without_bom,
    json::{self, Scanner, SyntaxError},
};

impl TextReader {
    pub(super) fn skip_bom(&mut self) {
        while self.window.bytes().len() < 3 && self.window.fill() {}
        let bytes = self.window.bytes();
        let bom = bytes.len() - without_bom(bytes).len();
        self.window.consume(bom);
    }

    /// Takes the header of a CSV file and learns how many columns there are.
    pub(super) fn read_header(&mut self, wanted: CsvHeader) {
        loop {
            let Next::Record { length, total } = self.next_record() else { return };
            let record = &self.window.bytes()[..length];
            if record.is_empty() {
                self.window.consume(total);
                continue;
            }
            let cells: Vec<String> = csv::cells(record)
                .map(|cell| String::from_utf8_lossy(&cell.text()).trim().to_owned())
                .collect();
            let found = match wanted {
                CsvHeader::Auto => is_header(&cells),
                CsvHeader::Yes => true,
                CsvHeader::No => false,
            };
            self.columns = Some(cells.len());
            if found {
                self.header = Some(cells);
                self.window.consume(total);
            }
            return;
        }
    }

    /// Refuses a file that is one JSON array or object instead of one value a line. Lines that are
    /// arrays of features are records.
    pub(super) fn refuse_document(&mut self) -> Result<(), TextError> {
        loop {
            let next = split::next_line(&mut self.window, self.max_record);
            let Next::Record { length, total } = next else {
                let start = self.window.bytes().trim_ascii_start();
                return match (next, start.strip_prefix(b"[").map(<[u8]>::trim_ascii_start)) {
                    (Next::TooLarge, Some([b'{', ..])) => Err(self.one_document("array", ".[]")),
                    _ => Ok(()),
                };
            };
            let line = self.window.bytes()[..length].trim_ascii();
            let Some((open, rest)) = line.split_first() else {
                self.window.consume(total);
                continue;
            };
            let first = rest.trim_ascii_start().first();
            let (what, filter) = match (open, first) {
                (b'{', None) => ("object", "."),
                (b'[', None | Some(b'{' | b'[')) if json::is_cut(line) => ("array", ".[]"),
                (b'[', Some(b'{')) if holds_objects(line) => {
                    if !self.is_last_line(total) {
                        return Ok(());
                    }
                    ("array", ".[]")
                }
                _ => return Ok(()),
            };
            return Err(self.one_document(what, filter));
        }
    }

    fn one_document(&self, what: &'static str, filter: &'static str) -> TextError {
        TextError::OneDocument { path: self.path.clone(), what, filter }
    }

    /// Whether only whitespace follows the line of `total` bytes.
    fn is_last_line(&mut self, total: usize) -> bool {
        while self.window.bytes()[total..].trim_ascii().is_empty() {
            if !self.window.fill() {
                return true;
            }
        }
        false
    }
}

/// Whether `line` is a JSON array of objects only.
fn holds_objects(line: &[u8]) -> bool {
    let all_objects = |mut scanner: Scanner<'_>| -> Result<bool, SyntaxError> {
        scanner.open_array()?;
        let mut first = true;
        while scanner.next_element(&mut first)? {
            if scanner.peek() != Some(b'{') {
                return Ok(false);
            }
            scanner.skip_value()?;
        }
        scanner.finish()?;
        Ok(true)
    };
    all_objects(Scanner::new(line)).unwrap_or(false)
}

/// Whether these are names: none empty, none a number, no two the same.
fn is_header(cells: &[String]) -> bool {
    let mut seen = std::collections::HashSet::new();
    cells.iter().all(|cell| {
        !cell.is_empty() && json::parse_f64(cell.as_bytes()).is_none() && seen.insert(cell.as_str())
    })
}
