//! What a file is: told by its first bytes, then by its name.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::json;

/// How records are laid out in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// One JSON value a line.
    #[serde(rename = "jsonl")]
    JsonLines,
    /// Comma-separated values (RFC 4180).
    Csv,
    /// Any text, one record a line.
    Lines,
}

/// How a text file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), one or more members.
    Gzip,
    /// Zstandard (RFC 8878), one or more frames.
    Zstd,
}

/// A word that names no format or compression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is none of {known}")]
pub struct ParseFormatError {
    given: String,
    known: &'static str,
}

impl Format {
    /// The format's name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::JsonLines => "jsonl",
            Self::Csv => "csv",
            Self::Lines => "lines",
        }
    }
}

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::Parquet, Self::JsonLines, Self::Csv, Self::Lines];
        let known = "`parquet`, `jsonl`, `csv`, `lines`";
        let found = all.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| ParseFormatError { given: text.to_owned(), known })
    }
}

impl Compression {
    /// The compression's name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// `bytes` uncompressed.
    pub(crate) fn decoder(self, bytes: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::None => bytes,
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes)?),
        })
    }

    /// The compression whose mark `head` begins with.
    pub(crate) fn of(head: &[u8]) -> Self {
        match head {
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

impl FromStr for Compression {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = "`none`, `gzip`, `zstd`";
        let found =
            [Self::None, Self::Gzip, Self::Zstd].into_iter().find(|one| one.as_str() == text);
        found.ok_or_else(|| ParseFormatError { given: text.to_owned(), known })
    }
}

/// Why a file cannot be told or cannot be what it is said to be.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The file cannot be read.
    #[error("read `{name}`")]
    Read {
        /// The file.
        name: String,
        /// The cause.
        source: io::Error,
    },
    /// It is said to be Parquet and does not begin with Parquet's mark.
    #[error("read `{name}` as Parquet: wrong magic, it begins with {seen} instead of `PAR1`")]
    WrongMagic {
        /// The file.
        name: String,
        /// Its first bytes, for people.
        seen: String,
    },
    /// It is Parquet and is said to be text, or is packed inside a compressed file.
    #[error("read `{name}` as {wanted}: it holds Parquet; {fix}")]
    IsParquet {
        /// The file.
        name: String,
        /// What it should have been.
        wanted: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// A kind of text that is not read.
    #[error("read `{name}`: it is {what}, which is not read; {fix}")]
    Unsupported {
        /// The file.
        name: String,
        /// The kind.
        what: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// Neither content nor name tell.
    #[error(
        "tell the format of `{name}`: it begins with {seen} and its name says nothing; \
         give `--input-format parquet`, `jsonl`, `csv` or `lines`"
    )]
    Unknown {
        /// The file.
        name: String,
        /// Its first bytes, for people.
        seen: String,
    },
}

/// So much of a file's beginning is looked at.
const HEAD: u64 = 64 * 1024;

/// The format and compression of the file at `path`. `name` is what the user calls it: its ending
/// counts where the content does not tell. `format` and `compression` are the user's word, if given.
pub fn detect(
    path: &Path,
    name: &str,
    format: Option<Format>,
    compression: Option<Compression>,
) -> Result<(Format, Compression), DetectError> {
    let read_error = |source| DetectError::Read { name: name.to_owned(), source };
    let raw = File::open(path).and_then(read_head).map_err(read_error)?;
    if is_bzip2(&raw) {
        let fix = "pack it by gzip or zstd instead";
        return Err(DetectError::Unsupported {
            name: name.to_owned(),
            what: "packed by bzip2",
            fix,
        });
    }
    let compression = compression.unwrap_or_else(|| Compression::of(&raw));
    let head = match compression {
        Compression::None => raw,
        packed => {
            let file = File::open(path).map_err(read_error)?;
            // A stream broken within its head is found by the reader, which says where.
            packed.decoder(Box::new(file)).and_then(read_head).unwrap_or_default()
        }
    };
    let format = format_of(&head, name, format, compression)?;
    if format != Format::Parquet && matches!(head.as_slice(), [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) {
        let fix = "convert it with `iconv -f UTF-16 -t UTF-8`";
        return Err(DetectError::Unsupported { name: name.to_owned(), what: "UTF-16 text", fix });
    }
    Ok((format, compression))
}

/// Whether `head` begins with the marks of bzip2 and of its first block, or of its end.
pub(crate) fn is_bzip2(head: &[u8]) -> bool {
    let block = head.strip_prefix(b"BZh").and_then(|rest| rest.split_first());
    let marks: [&[u8]; 2] =
        [&[0x31, 0x41, 0x59, 0x26, 0x53, 0x59], &[0x17, 0x72, 0x45, 0x38, 0x50, 0x90]];
    block.is_some_and(|(size, rest)| {
        size.is_ascii_digit() && marks.iter().any(|mark| rest.starts_with(mark))
    })
}

/// The beginning of `file`, up to an error that comes after some bytes.
fn read_head(file: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    match file.take(HEAD).read_to_end(&mut head) {
        Err(error) if head.is_empty() => Err(error),
        _ => Ok(head),
    }
}

fn format_of(
    head: &[u8],
    name: &str,
    format: Option<Format>,
    compression: Compression,
) -> Result<Format, DetectError> {
    let by_name = Named::of(name);
    if head.starts_with(b"PAR1") {
        let fix = match (format, compression) {
            (None | Some(Format::Parquet), Compression::None) => return Ok(Format::Parquet),
            (_, Compression::None) => "leave out `--input-format`",
            _ => "unpack it first: Parquet compresses its own columns",
        };
        let wanted = format.map_or("compressed text", Format::as_str);
        return Err(DetectError::IsParquet { name: name.to_owned(), wanted, fix });
    }
    if format == Some(Format::Parquet)
        || (format.is_none() && by_name == Named::Format(Format::Parquet))
    {
        if head.starts_with(b"PARE") {
            let (name, what) = (name.to_owned(), "encrypted Parquet");
            return Err(DetectError::Unsupported { name, what, fix: "decrypt it first" });
        }
        return Err(DetectError::WrongMagic { name: name.to_owned(), seen: describe(head) });
    }
    if let Some(format) = format {
        return Ok(format);
    }
    match by_name {
        // Such names are a stronger sign than a first byte.
        Named::Format(Format::Csv | Format::Lines) | Named::Tabs if first_line_is_json(head) => {
            Ok(Format::JsonLines)
        }
        Named::Format(format) => Ok(format),
        Named::Tabs => {
            let fix = "convert it to CSV, or give `--input-format lines` to pass its lines on as they are";
            Err(DetectError::Unsupported { name: name.to_owned(), what: "tab-separated text", fix })
        }
        Named::Nothing if matches!(first_byte(head), Some(b'{' | b'[')) => Ok(Format::JsonLines),
        Named::Nothing => Err(DetectError::Unknown { name: name.to_owned(), seen: describe(head) }),
    }
}

/// What a name's ending says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    Format(Format),
    Tabs,
    Nothing,
}

impl Named {
    fn of(name: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        let packings = [".gz", ".gzip", ".zst", ".zstd"];
        let stem = packings.iter().find_map(|end| lower.strip_suffix(end)).unwrap_or(&lower);
        match stem.rsplit_once('.').map(|(_, ending)| ending) {
            Some("parquet" | "parq" | "pq") => Self::Format(Format::Parquet),
            Some("jsonl" | "ndjson" | "jsonlines" | "json") => Self::Format(Format::JsonLines),
            Some("csv") => Self::Format(Format::Csv),
            Some("txt" | "text") => Self::Format(Format::Lines),
            Some("tsv" | "tab") => Self::Tabs,
            _ => Self::Nothing,
        }
    }
}

/// The first byte that is neither whitespace nor part of a byte order mark.
fn first_byte(head: &[u8]) -> Option<u8> {
    without_bom(head).trim_ascii_start().first().copied()
}

/// `text` without the UTF-8 byte order mark.
pub(crate) fn without_bom(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
}

/// Whether the first line is, as a whole, a JSON object or array.
fn first_line_is_json(head: &[u8]) -> bool {
    let text = without_bom(head).trim_ascii_start();
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(line.first(), Some(b'{' | b'[')) && json::is_value(line)
}

/// The first bytes, for people.
fn describe(head: &[u8]) -> String {
    if head.is_empty() {
        return "nothing (it is empty)".to_owned();
    }
    format!("`{}`", head[..head.len().min(12)].escape_ascii())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn told(name: &str, content: &[u8]) -> Result<(Format, Compression), String> {
        told_as(name, content, None)
    }

    fn told_as(
        name: &str,
        content: &[u8],
        format: Option<Format>,
    ) -> Result<(Format, Compression), String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(content).expect("write");
        detect(file.path(), name, format, None).map_err(|error| error.to_string())
    }

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).expect("write");
        encoder.finish().expect("finish")
    }

    #[test]
    fn content_comes_before_the_name() {
        let json = b" \n{\"a\": 1}\n";
        assert_eq!(told("x", b"PAR1...."), Ok((Format::Parquet, Compression::None)));
        assert_eq!(told("x.csv", b"PAR1...."), Ok((Format::Parquet, Compression::None)));
        assert_eq!(told("x", json), Ok((Format::JsonLines, Compression::None)));
        assert_eq!(told("x.csv", json), Ok((Format::JsonLines, Compression::None)));
        assert_eq!(told("part-0001", &gzip(json)), Ok((Format::JsonLines, Compression::Gzip)));
        let zstd = zstd::encode_all(&json[..], 1).expect("zstd");
        assert_eq!(told("part-0001", &zstd), Ok((Format::JsonLines, Compression::Zstd)));
        assert_eq!(told("x.jsonl.gz", json), Ok((Format::JsonLines, Compression::None)));
        assert_eq!(told("x", b"\xEF\xBB\xBF[1,2]"), Ok((Format::JsonLines, Compression::None)));
    }

    #[test]
    fn the_name_tells_where_the_content_does_not() {
        assert_eq!(told("X.CSV", b"a,b\n1,2\n"), Ok((Format::Csv, Compression::None)));
        assert_eq!(told("x.csv.gz", &gzip(b"a,b\n")), Ok((Format::Csv, Compression::Gzip)));
        assert_eq!(told("log.txt", b"[12:00] started\n"), Ok((Format::Lines, Compression::None)));
        assert_eq!(told("x.json", b""), Ok((Format::JsonLines, Compression::None)));
        assert_eq!(told("x.ndjson.gz", b""), Ok((Format::JsonLines, Compression::None)));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_the_fix() {
        let error = told("data", b"a,b\n").expect_err("unknown");
        assert!(error.contains("`a,b\\n`") && error.contains("--input-format"), "{error}");
        let error = told("x.parquet", b"{}").expect_err("wrong magic");
        assert!(error.contains("wrong magic") && error.contains("`{}`"), "{error}");
        assert!(told("x.parquet", b"").expect_err("empty").contains("wrong magic"));
        assert!(told("x.parquet", b"PARE..").expect_err("PARE").contains("encrypted Parquet"));
        assert!(told("x.tsv", b"a\tb\n").expect_err("tabs").contains("tab-separated"));
        assert!(told("x.csv", b"\xFF\xFEa\0").expect_err("UTF-16").contains("iconv"));
        let bzip2 = b"BZh91AY&SY\xcbS";
        assert!(told("x.csv.bz2", bzip2).expect_err("bzip2").contains("gzip or zstd"));
        assert!(told("x.csv", b"BZh91 is a word\n").is_ok());
        assert!(told("x.parquet.gz", &gzip(b"PAR1")).expect_err("packed").contains("unpack"));
        let error = told_as("x", b"PAR1", Some(Format::Csv)).expect_err("not CSV");
        assert!(error.contains("holds Parquet"), "{error}");
        assert!(told_as("x", b"abc", Some(Format::Parquet)).is_err());
    }

    #[test]
    fn names_read_back() {
        for format in [Format::Parquet, Format::JsonLines, Format::Csv, Format::Lines] {
            assert_eq!(format.as_str().parse(), Ok(format));
            let json = serde_json::to_string(&format).expect("JSON");
            assert_eq!(json, format!("\"{}\"", format.as_str()));
        }
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            assert_eq!(compression.as_str().parse(), Ok(compression));
        }
        assert!("tsv".parse::<Format>().is_err());
    }
}
