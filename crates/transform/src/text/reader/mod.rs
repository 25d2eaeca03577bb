//! Reads text files record by record, in chunks, in memory that the largest record bounds.

mod header;
mod split;
mod window;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    str::FromStr,
};

use bessemer_domain::{ByteSize, RejectClass};

use crate::records::{Lines, LinesBuilder};
use split::Next;
use window::Window;

use super::{
    csv::count_cells,
    detect::{Compression, Format},
};

/// Whether a CSV file's first row names its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CsvHeader {
    /// It does if all its cells are there, differ from each other and none is a number.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It does not.
    No,
}

impl FromStr for CsvHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "yes" => Ok(Self::Yes),
            "no" => Ok(Self::No),
            _ => Err(format!("`{text}` is none of `auto`, `yes`, `no`")),
        }
    }
}

/// How to read a text file.
#[derive(Debug, Clone)]
pub struct TextOptions {
    /// A text format; not Parquet.
    pub format: Format,
    /// How the file is compressed.
    pub compression: Compression,
    /// Whether a CSV file has a header.
    pub csv_header: CsvHeader,
    /// Bytes of the largest record that is read whole; at most 1 GiB.
    pub max_record: usize,
}

/// Consecutive records of a file.
#[derive(Debug, Clone)]
pub struct TextChunk {
    /// The records. Those in `bad` are here too: as lossy text, the too large ones cut.
    pub lines: Lines,
    /// The number of the first record in the file, from 0.
    pub first_row: u64,
    /// Where each record begins, in bytes of the uncompressed text.
    pub byte_offsets: Vec<u64>,
    /// The records that are not well formed, in order.
    pub bad: Vec<BadRecord>,
}

/// A record that is not well formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// Which of the chunk's records.
    pub index: usize,
    /// `Parse` or `TooLarge`.
    pub class: RejectClass,
    /// What is wrong.
    pub message: String,
}

/// Why a file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file cannot be opened.
    #[error("open `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file breaks off or its compression is damaged.
    #[error("read `{}` after {rows} records, at byte {offset} of its text", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Records read before.
        rows: u64,
        /// Bytes of text read before.
        offset: u64,
        /// The cause.
        source: io::Error,
    },
    /// The file is one JSON document instead of one a line.
    #[error(
        "read `{}` as JSON Lines: it is one JSON {what}, not one record a line; \
         convert it with `jq -c '{filter}' FILE > FILE.jsonl`",
        path.display()
    )]
    OneDocument {
        /// The file.
        path: PathBuf,
        /// `array` or `object`.
        what: &'static str,
        /// What `jq` must do.
        filter: &'static str,
    },
}

/// Of a record that is too large, so much is kept.
const KEPT: usize = 4 * 1024;
/// Neither a record nor a chunk may be larger: lossy text may triple it, and offsets have 32 bits.
const MOST_BYTES: usize = 1 << 30;

/// Reads the records of one text file.
pub struct TextReader {
    path: PathBuf,
    window: Window,
    format: Format,
    header: Option<Vec<String>>,
    /// Cells a CSV record must have, once known.
    columns: Option<usize>,
    max_record: usize,
    next_row: u64,
}

impl TextReader {
    /// Opens a file and reads its header, if it has one.
    pub fn open(path: &Path, options: &TextOptions) -> Result<Self, TextError> {
        let open_error = |source| TextError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(open_error)?;
        let empty = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
        // No bytes at all are an empty text in every compression.
        let compression = if empty { Compression::None } else { options.compression };
        let source = compression.decoder(Box::new(file)).map_err(open_error)?;
        let mut reader = Self {
            path: path.to_owned(),
            window: Window::new(source),
            format: options.format,
            header: None,
            columns: None,
            max_record: options.max_record.clamp(1, MOST_BYTES),
            next_row: 0,
        };
        reader.skip_bom();
        match reader.format {
            Format::Csv => reader.read_header(options.csv_header),
            Format::JsonLines => reader.refuse_document()?,
            Format::Lines | Format::Parquet => {}
        }
        Ok(reader)
    }

    /// The columns' names, if a CSV file has them.
    pub fn header(&self) -> Option<&[String]> {
        self.header.as_deref()
    }

    /// How many cells a CSV record has: as many as the header, else as the first row. `None` for
    /// other formats and for a file without rows.
    pub fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// The next records: at most `max_rows`, and no more than `max_bytes` of text unless the first
    /// alone is larger. `None` at the end of the file. Of a damaged file, the records before the
    /// damage come first, then the error.
    pub fn next_chunk(
        &mut self,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<Option<TextChunk>, TextError> {
        let mut chunk = Chunk::default();
        let max_bytes = max_bytes.min(MOST_BYTES);
        while chunk.lines.len() < max_rows.max(1) {
            let next = self.next_record();
            let room = max_bytes.saturating_sub(chunk.lines.size());
            match next {
                Next::End => break,
                Next::Record { length, .. } | Next::OpenQuote { length, .. }
                    if length >= room && !chunk.lines.is_empty() =>
                {
                    break;
                }
                Next::Record { length, total } => {
                    if self.is_blank(length) {
                        self.window.consume(total);
                        continue;
                    }
                    if let Some(message) = self.column_error(length) {
                        chunk.bad(RejectClass::Parse, message);
                    }
                    self.take(&mut chunk, length, total);
                }
                Next::OpenQuote { length, total } => {
                    let message = "a quote opens and does not close as CSV asks".to_owned();
                    chunk.bad(RejectClass::Parse, message);
                    self.take(&mut chunk, length, total);
                }
                Next::TooLarge => self.take_too_large(&mut chunk),
            }
        }
        if chunk.lines.is_empty() {
            return match self.window.take_failure() {
                None => Ok(None),
                Some(source) => Err(TextError::Broken {
                    path: self.path.clone(),
                    rows: self.next_row,
                    offset: self.window.offset(),
                    source,
                }),
            };
        }
        let first_row = self.next_row;
        self.next_row += chunk.lines.len() as u64;
        Ok(Some(chunk.finish(first_row)))
    }

    fn next_record(&mut self) -> Next {
        match self.format {
            Format::Csv => split::next_csv_record(&mut self.window, self.max_record),
            _ => split::next_line(&mut self.window, self.max_record),
        }
    }

    /// Whether the record of `length` is no record: a blank line in JSON Lines or CSV.
    fn is_blank(&self, length: usize) -> bool {
        let record = &self.window.bytes()[..length];
        match self.format {
            Format::Csv => record.is_empty(),
            Format::JsonLines => record.trim_ascii().is_empty(),
            Format::Lines | Format::Parquet => false,
        }
    }

    /// What is wrong with the number of cells of the CSV record of `length`. The first record sets
    /// how many there must be.
    fn column_error(&mut self, length: usize) -> Option<String> {
        if self.format != Format::Csv {
            return None;
        }
        let count = count_cells(&self.window.bytes()[..length])?;
        let columns = *self.columns.get_or_insert(count);
        let source = if self.header.is_some() { "the header" } else { "the first row" };
        (count != columns).then(|| format!("the row has {count} cells, {source} has {columns}"))
    }

    fn take(&mut self, chunk: &mut Chunk, length: usize, total: usize) {
        chunk.offsets.push(self.window.offset());
        chunk.lines.push(&self.window.bytes()[..length]);
        self.window.consume(total);
    }

    /// Keeps the beginning of the line at hand and skips the rest without holding it.
    fn take_too_large(&mut self, chunk: &mut Chunk) {
        let max_record = ByteSize(self.max_record as u64);
        chunk.bad(RejectClass::TooLarge, format!("the record is larger than {max_record}"));
        chunk.offsets.push(self.window.offset());
        let bytes = self.window.bytes();
        let line = &bytes[..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())];
        chunk.lines.push(cut(line, KEPT.min(self.max_record)));
        loop {
            let bytes = self.window.bytes();
            if let Some(at) = memchr::memchr(b'\n', bytes) {
                self.window.consume(at + 1);
                return;
            }
            self.window.consume(bytes.len());
            if !self.window.fill() {
                return;
            }
        }
    }
}

/// The first `most` bytes of `text`, or a few less where a character would be cut.
fn cut(text: &[u8], most: usize) -> &[u8] {
    let Some(mut end) = (text.len() > most).then_some(most) else { return text };
    let is_continuation = |byte: &u8| byte & 0xC0 == 0x80;
    while end > most.saturating_sub(4) && end > 0 && text.get(end).is_some_and(is_continuation) {
        end -= 1;
    }
    &text[..end]
}

/// A chunk in the making.
#[derive(Default)]
struct Chunk {
    lines: LinesBuilder,
    offsets: Vec<u64>,
    bad: Vec<BadRecord>,
}

impl Chunk {
    /// Marks the record that is added next.
    fn bad(&mut self, class: RejectClass, message: String) {
        self.bad.push(BadRecord { index: self.lines.len(), class, message });
    }

    fn finish(self, first_row: u64) -> TextChunk {
        let Self { lines, offsets: byte_offsets, mut bad } = self;
        let mut lines = lines.finish();
        if std::str::from_utf8(&lines.text()).is_err() {
            mark_broken_utf8(&lines, &mut bad);
            lines =
                lines.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect();
        }
        TextChunk { lines, first_row, byte_offsets, bad }
    }
}

/// Adds the records with broken UTF-8 to `bad`, where they are not there already.
fn mark_broken_utf8(lines: &Lines, bad: &mut Vec<BadRecord>) {
    for (index, record) in lines.iter().enumerate() {
        let Err(error) = std::str::from_utf8(record) else { continue };
        let place = bad.partition_point(|earlier| earlier.index < index);
        if bad.get(place).is_some_and(|same| same.index == index) {
            continue;
        }
        let message = format!("broken UTF-8 at byte {} of the record", error.valid_up_to());
        bad.insert(place, BadRecord { index, class: RejectClass::Parse, message });
    }
}

#[cfg(test)]
mod tests;
