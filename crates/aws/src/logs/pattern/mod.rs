//! Filter patterns: words, JSON selectors and columns. See "Filter pattern syntax" of the CloudWatch
//! Logs user guide.

mod columns;
mod json;
mod scanner;
mod test;
mod words;

use columns::Columns;
use json::Selector;
use scanner::Scanner;
use words::Words;

/// A filter pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    /// `ERROR -"exit code 0"`: what the text holds.
    Words(Words),
    /// `{ $.level = "ERROR" && $.took > 3 }`: what the text's JSON holds.
    Json(Selector),
    /// `[ip, user, status = 4*]`: what the text's words are, each at its place.
    Columns(Columns),
}

impl Pattern {
    /// Reads a pattern. The error says what can't be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut scanner = Scanner::new(text);
        if scanner.eat("{") {
            return Ok(Self::Json(Selector::parse(&mut scanner)?));
        }
        if scanner.eat("[") {
            return Ok(Self::Columns(Columns::parse(&mut scanner)?));
        }
        Ok(Self::Words(Words::parse(&mut scanner)?))
    }

    /// Whether `text` is what the pattern asks for. Case counts.
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Words(words) => words.matches(text),
            Self::Json(selector) => {
                serde_json::from_str(text).is_ok_and(|value| selector.matches(&value))
            }
            Self::Columns(columns) => columns.matches(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    /// That `pattern` matches the first texts and not the others.
    pub(super) fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        let parsed = Pattern::parse(pattern).unwrap();
        for (texts, want) in [(yes, true), (no, false)] {
            for text in texts {
                assert_eq!(parsed.matches(text), want, "`{pattern}` on `{text}`");
            }
        }
    }

    #[test]
    fn what_can_not_be_read_is_said() {
        for wrong in [
            "\"open",
            "%open",
            "%(%",
            "{",
            "{}",
            "{ $.a }",
            "{ $.a = }",
            "{ $.a > x }",
            "{ a = 1 }",
            "{ $.a = 1",
            "{ ($.a = 1 }",
            "{ $.a = 1 } x",
            "{ $.a = 1 && }",
            "{ $.a[x] = 1 }",
            "{ $.a IS 3 }",
            "[a",
            "[a, ..., b, ...]",
            "[a > x]",
            "[a b]",
            "[a] x",
            "[]",
        ] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }
}
