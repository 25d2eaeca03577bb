//! A pull parser for one JSON record: no tree, no allocation, nesting bounded. It accepts what
//! RFC 8259 accepts and nothing else.

mod number;
mod string;

use std::fmt;

pub(crate) use number::{Number, parse_f64};
pub(crate) use string::{Text, write_string};

/// How deeply arrays and objects may nest.
pub(crate) const MAX_DEPTH: usize = 128;

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Where, in bytes from the record's start.
    pub(crate) at: usize,
    /// What the grammar asks for there.
    pub(crate) expected: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed JSON: {} at byte {}", self.expected, self.at)
    }
}

/// Walks through one JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Where the scanner stands, in bytes from the start.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Goes back to an earlier `position`.
    pub(crate) fn rewind(&mut self, position: usize) {
        self.at = position;
    }

    /// The text from `start` to where the scanner stands.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        &self.bytes[start..self.at]
    }

    pub(crate) fn error(&self, expected: &'static str) -> SyntaxError {
        SyntaxError { at: self.at, expected }
    }

    /// The next byte that is no whitespace, which is not taken.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes `byte` if it comes next.
    #[inline]
    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Checks that nothing but whitespace is left.
    pub(crate) fn finish(&mut self) -> Result<(), SyntaxError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("expected the end of the record")),
        }
    }

    /// Takes the `{` of an object.
    pub(crate) fn open_object(&mut self) -> Result<(), SyntaxError> {
        if self.take(b'{') { Ok(()) } else { Err(self.error("expected `{`")) }
    }

    /// Takes the `[` of an array.
    pub(crate) fn open_array(&mut self) -> Result<(), SyntaxError> {
        if self.take(b'[') { Ok(()) } else { Err(self.error("expected `[`")) }
    }

    /// The name of an object's next member, up to and with the `:`; `None` takes the `}`. `first`
    /// starts as true.
    #[inline]
    pub(crate) fn next_member(
        &mut self,
        first: &mut bool,
    ) -> Result<Option<Text<'a>>, SyntaxError> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !std::mem::take(first) && !self.take(b',') {
            return Err(self.error("expected `,` or `}`"));
        }
        if self.peek() != Some(b'"') {
            return Err(self.error("expected a member's name in quotes"));
        }
        let name = self.string()?;
        if !self.take(b':') {
            return Err(self.error("expected `:`"));
        }
        Ok(Some(name))
    }

    /// Whether an array has a next element; if not, takes the `]`. `first` starts as true.
    #[inline]
    pub(crate) fn next_element(&mut self, first: &mut bool) -> Result<bool, SyntaxError> {
        if std::mem::take(first) {
            return Ok(!self.take(b']'));
        }
        if self.take(b',') {
            return Ok(true);
        }
        if self.take(b']') { Ok(false) } else { Err(self.error("expected `,` or `]`")) }
    }

    /// Takes `null`, `true` or `false`.
    pub(crate) fn literal(&mut self, literal: &'static str) -> Result<(), SyntaxError> {
        self.peek();
        if self.bytes[self.at..].starts_with(literal.as_bytes()) {
            self.at += literal.len();
            return Ok(());
        }
        Err(self.error("expected a value"))
    }

    /// Takes a value of any kind and checks it, as deep as `MAX_DEPTH`.
    pub(crate) fn skip_value(&mut self) -> Result<(), SyntaxError> {
        // One bit a level: set where the level is an object.
        let mut objects = 0_u128;
        let mut depth = 0;
        loop {
            let mut first = match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(self.error("nested deeper than 128 levels"));
                    }
                    self.at += 1;
                    objects = objects << 1 | u128::from(open == b'{');
                    depth += 1;
                    true
                }
                Some(start) => {
                    self.skip_scalar(start)?;
                    false
                }
                None => return Err(self.error("expected a value")),
            };
            // Closes the levels that end here, up to the next value.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let more = if objects & 1 == 1 {
                    self.next_member(&mut first)?.is_some()
                } else {
                    self.next_element(&mut first)?
                };
                if more {
                    break;
                }
                objects >>= 1;
                depth -= 1;
                first = false;
            }
        }
    }

    /// Takes the string, number or literal that begins with `start`.
    #[inline]
    fn skip_scalar(&mut self, start: u8) -> Result<(), SyntaxError> {
        match start {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number().map(drop),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.error("expected a value")),
        }
    }
}

/// Whether `text` is exactly one JSON value.
pub(crate) fn is_value(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.skip_value().and_then(|()| scanner.finish()).is_ok()
}

/// How many elements the JSON array `text` has.
pub(crate) fn count_elements(text: &[u8]) -> Result<usize, SyntaxError> {
    let mut json = Scanner::new(text);
    json.open_array()?;
    let mut first = true;
    let mut count = 0;
    while json.next_element(&mut first)? {
        json.skip_value()?;
        count += 1;
    }
    json.finish()?;
    Ok(count)
}

/// Whether `text` is the beginning of a JSON value, well formed as far as it goes.
pub(crate) fn is_cut(text: &[u8]) -> bool {
    Scanner::new(text).skip_value().is_err_and(|error| error.at == text.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str) -> Result<(), SyntaxError> {
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.skip_value()?;
        scanner.finish()
    }

    #[test]
    fn well_formed_texts_pass() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "{\"a\":1}",
            "[1,[2,{\"b\":[]}],\"x\\n\\u00e9\"]",
            "-0.5e+10",
            "true",
            "\"\\ud83d\\ude00\"",
            "0",
            "{\"a\":{\"b\":{}},\"c\":null}",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn malformed_texts_are_refused_where_they_break() {
        for (text, at) in [
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\" 1}", 5),
            ("{,}", 1),
            ("[1 2]", 3),
            ("01", 1),
            ("1.", 2),
            ("\"a", 2),
            ("\"\u{1}\"", 1),
            ("\"\\x\"", 2),
            ("nul", 0),
            ("NaN", 0),
            ("[1}", 2),
            ("1 2", 2),
            ("{\"a\":1,}", 7),
            ("", 0),
            ("-", 1),
            ("1e", 2),
            ("\"\\u12g4\"", 5),
        ] {
            assert_eq!(check(text).map_err(|error| error.at), Err(at), "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_an_overflow() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(check(&deep).expect_err("too deep").expected, "nested deeper than 128 levels");
        let fine = "[".repeat(128) + &"]".repeat(128);
        assert_eq!(check(&fine), Ok(()));
    }

    proptest! {
        #[test]
        fn it_accepts_what_serde_json_accepts(text in "[\\[\\]{}\",:0-9eE.+\\-ntrufalse\\\\ d]{0,24}") {
            let ours = check(&text).is_ok();
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut scanner = Scanner::new(&bytes);
            let _ = scanner.skip_value();
        }
    }
}
