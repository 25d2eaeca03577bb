//! One record of a log file, and its text form.

/// Bytes of text in a record, at most.
pub const MAX_TEXT: usize = 256 * 1024;

/// Where a record's text comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The process's standard output.
    Output,
    /// The process's standard error.
    Error,
    /// A client of the Logs API.
    Client,
    /// Bessemer itself.
    Platform,
}

impl Source {
    /// The letter of this source in a file.
    #[must_use]
    pub fn letter(self) -> u8 {
        match self {
            Self::Output => b'o',
            Self::Error => b'e',
            Self::Client => b'c',
            Self::Platform => b'p',
        }
    }

    fn of_letter(letter: u8) -> Option<Self> {
        [Self::Output, Self::Error, Self::Client, Self::Platform]
            .into_iter()
            .find(|source| source.letter() == letter)
    }
}

/// One record of a log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The byte of the file at which it begins.
    pub position: u64,
    /// Milliseconds since 1970.
    pub millis: u64,
    /// Where the text comes from.
    pub source: Source,
    /// Whether the line goes on in the next record of the same source.
    pub continues: bool,
    /// The text, without a line end. What is not UTF-8 is replaced.
    pub text: String,
}

impl Record {
    /// Appends a record as a line of a file to `line`. `text` holds no line end, unless it is a
    /// client's: then `\n` and `\\` stand for line ends and backslashes in the file.
    pub(super) fn write(
        line: &mut Vec<u8>,
        millis: u64,
        source: Source,
        continues: bool,
        text: &[u8],
    ) {
        line.extend_from_slice(millis.to_string().as_bytes());
        line.extend_from_slice(&[b' ', source.letter(), if continues { b'+' } else { b' ' }]);
        if source == Source::Client {
            escape(line, text);
        } else {
            line.extend_from_slice(text);
        }
        line.push(b'\n');
    }

    /// A record from a line of a file, without its line end. What is torn, as a power cut can leave
    /// it, becomes text of [`Source::Platform`] at time `before`, that of the record before it.
    pub(super) fn read(line: &[u8], position: u64, before: u64) -> Self {
        Self::parts(line).map_or_else(
            || Self {
                position,
                millis: before,
                source: Source::Platform,
                continues: false,
                text: String::from_utf8_lossy(line).into_owned(),
            },
            |(millis, source, continues, text)| Self {
                position,
                millis,
                source,
                continues,
                text: match source {
                    Source::Client => unescaped(&String::from_utf8_lossy(text)),
                    _ => String::from_utf8_lossy(text).into_owned(),
                },
            },
        )
    }

    /// The time of a line, if it is a record.
    pub(super) fn time(line: &[u8]) -> Option<u64> {
        Self::parts(line).map(|(millis, ..)| millis)
    }

    fn parts(line: &[u8]) -> Option<(u64, Source, bool, &[u8])> {
        let space = line.iter().take(21).position(|byte| *byte == b' ')?;
        let millis = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
        let [letter, mark, text @ ..] = &line[space + 1..] else { return None };
        let continues = match mark {
            b' ' => false,
            b'+' => true,
            _ => return None,
        };
        Some((millis, Source::of_letter(*letter)?, continues, text))
    }
}

fn escape(line: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\\' => line.extend_from_slice(b"\\\\"),
            byte => line.push(*byte),
        }
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        match (next, rest.as_str().chars().next()) {
            ('\\', Some('n')) => {
                plain.push('\n');
                rest.next();
            }
            ('\\', Some('\\')) => {
                plain.push('\\');
                rest.next();
            }
            (other, _) => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_text_may_have_line_ends() {
        for text in ["one\ntwo\n", "\\n", "\\", "a\\\nb\\\\n", "\n\n"] {
            let mut line = Vec::new();
            Record::write(&mut line, 1, Source::Client, false, text.as_bytes());
            assert!(!line[..line.len() - 1].contains(&b'\n'), "{text:?}");
            assert_eq!(Record::read(&line[..line.len() - 1], 0, 0).text, text);
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut line = Vec::new();
        Record::write(&mut line, 12, Source::Error, true, "größe  x".as_bytes());
        assert_eq!(line, "12 e+größe  x\n".as_bytes());
        let record = Record::read(&line[..line.len() - 1], 7, 0);
        let text = "größe  x".to_owned();
        let want = Record { position: 7, millis: 12, source: Source::Error, continues: true, text };
        assert_eq!(record, want);
    }

    #[test]
    fn torn_lines_are_kept_as_text() {
        for torn in ["", "12", "12 x hello", "12 o", "12 oohello", "twelve o hello"] {
            let record = Record::read(torn.as_bytes(), 0, 99);
            assert_eq!((record.millis, record.source), (99, Source::Platform), "{torn}");
            assert_eq!(record.text, torn);
        }
    }
}
