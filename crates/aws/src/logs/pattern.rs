//! Filter patterns over unstructured text: words that must all be there, `?word` of which one must
//! be, `-word` that must not be, and quoted phrases. See "Filter pattern syntax" of the CloudWatch
//! Logs user guide.

/// A filter pattern.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// Reads a pattern. The error says what can't be read.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut pattern = Self::default();
        let mut rest = text.trim();
        if let Some(kind) = rest.chars().next().filter(|first| "{[%".contains(*first)) {
            return Err(format!("filter patterns that begin with `{kind}` are not supported"));
        }
        while !rest.is_empty() {
            let (into, after) = match rest.as_bytes()[0] {
                b'?' => (&mut pattern.any, &rest[1..]),
                b'-' => (&mut pattern.none, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (word, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').ok_or("a quotation mark is not closed")?,
                None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            };
            into.push(word.to_owned());
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    /// Whether `text` is what the pattern asks for. Case counts.
    pub(super) fn matches(&self, text: &str) -> bool {
        let has = |word: &String| text.contains(word.as_str());
        self.all.iter().all(has)
            && (self.any.is_empty() || self.any.iter().any(has))
            && !self.none.iter().any(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_phrases_and_their_signs() {
        let matches = |pattern: &str, text: &str| Pattern::parse(pattern).unwrap().matches(text);
        assert!(matches("", "anything"));
        assert!(matches("ERROR", "an ERROR here"));
        assert!(!matches("ERROR", "an error here"));
        assert!(matches("one two", "two and one"));
        assert!(!matches("one two", "one"));
        assert!(matches("\"exit code\" -0", "exit code 1"));
        assert!(!matches("\"exit code\" -0", "exit code 0"));
        assert!(matches("?WARN ?ERROR", "WARN"));
        assert!(!matches("?WARN ?ERROR", "INFO"));
        for unknown in ["{ $.a = 1 }", "[a, b]", "%x%", "\"open"] {
            assert!(Pattern::parse(unknown).is_err(), "{unknown}");
        }
    }
}
