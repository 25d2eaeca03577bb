//! Comparing one value with what a pattern says of it.

use regex::Regex;
use serde_json::Value;

use super::scanner::Scanner;

/// `= 4*`, `> 3`, `!= %^a%`.
#[derive(Debug)]
pub(crate) struct Test {
    comparison: Comparison,
    operand: Operand,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug)]
enum Operand {
    /// The parts between asterisks.
    Text(Vec<String>),
    /// A number, and the text that it was.
    Number(f64, String),
    Regex(Regex),
}

const COMPARISONS: [(&str, Comparison); 6] = [
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("=", Comparison::Equal),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl Test {
    /// The test that is next, if one is. `ends` are the characters that a bare operand ends at.
    pub(super) fn parse(scanner: &mut Scanner<'_>, ends: &str) -> Result<Option<Self>, String> {
        let found = COMPARISONS.into_iter().find(|(sign, _)| scanner.eat(sign));
        let Some((sign, comparison)) = found else { return Ok(None) };
        let operand = operand(scanner, ends)?;
        let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if is_order && !matches!(operand, Operand::Number(..)) {
            return Err(format!("`{sign}` takes a number"));
        }
        Ok(Some(Self { comparison, operand }))
    }

    pub(super) fn holds_for_text(&self, text: &str) -> bool {
        match (&self.operand, text.parse::<f64>()) {
            (Operand::Number(wanted, _), Ok(found)) => self.compare(found, *wanted),
            _ => self.is_as_wanted(self.operand.is(text)),
        }
    }

    pub(super) fn holds_for_json(&self, value: &Value) -> bool {
        match (value, &self.operand) {
            (Value::Number(found), Operand::Number(wanted, _)) => {
                found.as_f64().is_some_and(|found| self.compare(found, *wanted))
            }
            (Value::String(found), _) => self.is_as_wanted(self.operand.is(found)),
            (Value::Number(_) | Value::Bool(_), _) => {
                self.is_as_wanted(self.operand.is(&value.to_string()))
            }
            (Value::Null | Value::Array(_) | Value::Object(_), _) => false,
        }
    }

    /// Texts have no order.
    fn is_as_wanted(&self, is_equal: bool) -> bool {
        match self.comparison {
            Comparison::Equal => is_equal,
            Comparison::NotEqual => !is_equal,
            _ => false,
        }
    }

    #[expect(clippy::float_cmp, reason = "the pattern asks for this very number")]
    fn compare(&self, found: f64, wanted: f64) -> bool {
        match self.comparison {
            Comparison::Equal => found == wanted,
            Comparison::NotEqual => found != wanted,
            Comparison::Less => found < wanted,
            Comparison::LessOrEqual => found <= wanted,
            Comparison::Greater => found > wanted,
            Comparison::GreaterOrEqual => found >= wanted,
        }
    }
}

impl Operand {
    fn is(&self, text: &str) -> bool {
        match self {
            Self::Text(parts) => is_like(text, parts),
            Self::Number(_, wanted) => text == wanted,
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// What is compared with: `"a text*"`, `%an expression%`, a number or a bare word.
fn operand(scanner: &mut Scanner<'_>, ends: &str) -> Result<Operand, String> {
    if scanner.eat("\"") {
        return Ok(Operand::Text(parts(&scanner.quoted('"')?)));
    }
    if scanner.eat_here("%") {
        return Ok(Operand::Regex(regex(&scanner.quoted('%')?)?));
    }
    let word = scanner.until(|next| next.is_whitespace() || ends.contains(next));
    match word.parse::<f64>() {
        _ if word.is_empty() => Err(format!("a value is expected {}", scanner.place())),
        Ok(number) => Ok(Operand::Number(number, word.to_owned())),
        Err(_) => Ok(Operand::Text(parts(word))),
    }
}

/// An expression as patterns may have them: without groups.
pub(super) fn regex(text: &str) -> Result<Regex, String> {
    if text.contains(['(', ')']) {
        return Err(format!(
            "the regular expression `{text}` has parentheses, which are not supported"
        ));
    }
    let built = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
    built.map_err(|error| format!("the regular expression `{text}` can't be read: {error}"))
}

fn parts(text: &str) -> Vec<String> {
    text.split('*').map(str::to_owned).collect()
}

/// Whether `text` is `parts` with anything between them.
fn is_like(text: &str, parts: &[String]) -> bool {
    let [first, middle @ .., last] = parts else {
        return parts.first().is_some_and(|only| only == text);
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last.as_str())
}
