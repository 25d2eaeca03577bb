//! JSON strings: found eight bytes at a time, unescaped only where someone asks for the text.

use std::borrow::Cow;

use super::{Scanner, SyntaxError};

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The text as written, if it holds no escapes.
    #[inline]
    pub(crate) fn plain(&self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }

    /// The text that is meant; `None` if it is no valid Unicode (broken UTF-8, half a surrogate pair).
    pub(crate) fn unescape(&self) -> Option<Cow<'a, str>> {
        if !self.escaped {
            return std::str::from_utf8(self.raw).ok().map(Cow::Borrowed);
        }
        let mut text = String::with_capacity(self.raw.len());
        let mut rest = std::str::from_utf8(self.raw).ok()?;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            text.push_str(&rest[..at]);
            let escape = *rest.as_bytes().get(at + 1)?;
            rest = &rest[at + 2..];
            text.push(match escape {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'u' => take_unicode(&mut rest)?,
                other => char::from(other),
            });
        }
        text.push_str(rest);
        Some(Cow::Owned(text))
    }
}

/// The character after `\u`: four hex digits, or two such escapes for a surrogate pair.
fn take_unicode(rest: &mut &str) -> Option<char> {
    let first = take_hex(rest)?;
    if !(0xD800..0xE000).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix("\\u")?;
    let second = take_hex(rest)?;
    if first >= 0xDC00 || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}

fn take_hex(rest: &mut &str) -> Option<u32> {
    let digits = rest.get(..4)?;
    *rest = &rest[4..];
    u32::from_str_radix(digits, 16).ok()
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte of `word` that is a quote, a backslash or a control character. Only
/// the lowest set bit is certain.
#[inline]
fn stops(word: u64) -> u64 {
    let quote = word ^ (ONES * u64::from(b'"'));
    let slash = word ^ (ONES * u64::from(b'\\'));
    let equal = (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (equal | control) & HIGHS
}

impl<'a> Scanner<'a> {
    /// Takes a string.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Text<'a>, SyntaxError> {
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a string"));
        }
        self.at += 1;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.skip_plain();
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let raw = self.since(start);
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.skip_escape()?;
                }
                Some(_) => return Err(self.error("expected no raw control character")),
                None => return Err(self.error("expected the string's closing quote")),
            }
        }
    }

    /// Stops at the next quote, backslash or control character.
    #[inline]
    fn skip_plain(&mut self) {
        while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
            let stops = stops(u64::from_le_bytes(*chunk));
            if stops != 0 {
                self.at += stops.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        while let Some(byte) = self.bytes.get(self.at) {
            if matches!(byte, b'"' | b'\\' | 0..0x20) {
                return;
            }
            self.at += 1;
        }
    }

    /// Takes a backslash and what it escapes.
    fn skip_escape(&mut self) -> Result<(), SyntaxError> {
        self.at += 1;
        match self.bytes.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.bytes.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                        return Err(self.error("expected four hex digits"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.error("expected an escape such as `\\n`")),
        }
        Ok(())
    }
}

/// Writes `text` as a JSON string. Broken UTF-8 becomes U+FFFD.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        write_escaped(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
        }
    }
    out.push(b'"');
}

fn write_escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for (at, byte) in text.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0..0x20 => 0,
            _ => continue,
        };
        out.extend_from_slice(&text[from..at]);
        from = at + 1;
        if short == 0 {
            let hex = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&text[from..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Option<String> {
        let text = Scanner::new(text.as_bytes()).string().expect("a string");
        text.unescape().map(Cow::into_owned)
    }

    #[test]
    fn escapes_are_read_and_half_surrogates_refused() {
        assert_eq!(
            read(r#""a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00b""#).as_deref(),
            Some("a\"\\/\u{8}\u{c}\n\r\té😀b")
        );
        assert_eq!(read(r#""\ud83d""#), None);
        assert_eq!(read(r#""\ude00\ud83d""#), None);
        assert_eq!(read(r#""\ud83dx""#), None);
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let mut written = Vec::new();
            write_string(text.as_bytes(), &mut written);
            let written = String::from_utf8(written).expect("UTF-8");
            prop_assert_eq!(serde_json::from_str::<String>(&written).expect("JSON"), text.clone());
            prop_assert_eq!(read(&written), Some(text.clone()));
            let theirs = serde_json::to_string(&text).expect("JSON");
            prop_assert_eq!(read(&theirs), Some(text));
        }
    }
}
