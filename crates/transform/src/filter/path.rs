//! The subset of JSONPath that Batch Transform knows.

use serde_json::Value;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `.name` or `['name']`.
    Member(String),
    /// `['a','b']`.
    Members(Vec<String>),
    /// `[2]`; negative from the end.
    Index(i64),
    /// `[0,2]`.
    Indexes(Vec<i64>),
    /// `[1:3]`.
    Slice(Option<i64>, Option<i64>),
    /// `.*` or `[*]`.
    All,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the filter `{text}`: {problem} at character {}", at + 1)]
pub struct FilterParseError {
    text: String,
    at: usize,
    problem: String,
}

impl FilterParseError {
    pub(super) fn named_on_csv(text: &str) -> Self {
        let at = text.find(['.', '\'', '"']).map_or(0, |at| text[..at].chars().count());
        let problem =
            "a name, but CSV rows have only positions, such as `$[0]` or `$[1:]`,".to_owned();
        Self { text: text.to_owned(), at, problem }
    }

    /// Where the problem is, in characters from 0.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }
}

impl Step {
    /// Whether the step leads to one place at most.
    pub(super) fn is_definite(&self) -> bool {
        matches!(self, Self::Member(_) | Self::Index(_))
    }

    /// Adds what `value` has at the step to `found`; an error says what it lacks.
    pub(super) fn select<'v>(
        &self,
        value: &'v Value,
        found: &mut Vec<&'v Value>,
    ) -> Result<(), String> {
        match (self, value) {
            (Self::Member(name), Value::Object(members)) => {
                found.push(members.get(name).ok_or_else(|| format!("the record has no `{name}`"))?);
            }
            (Self::Members(names), Value::Object(members)) => {
                found.extend(names.iter().filter_map(|name| members.get(name)));
            }
            (Self::Index(index), Value::Array(items)) => found.push(item(items, *index)?),
            (Self::Indexes(indexes), Value::Array(items)) => {
                for index in indexes {
                    found.push(item(items, *index)?);
                }
            }
            (Self::Slice(start, end), Value::Array(items)) => {
                let from = start.map_or(0, |start| clamp(start, items.len()));
                let to = end.map_or(items.len(), |end| clamp(end, items.len()));
                found.extend(items.get(from..to).unwrap_or_default());
            }
            (Self::All, Value::Array(items)) => found.extend(items),
            (Self::All, Value::Object(members)) => found.extend(members.values()),
            (Self::Member(name), other) => {
                return Err(format!("`{name}` is asked of {}", kind(other)));
            }
            (_, other) => return Err(format!("elements are asked of {}", kind(other))),
        }
        Ok(())
    }
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The element at `index`, which AWS asks to be there.
fn item(items: &[Value], index: i64) -> Result<&Value, String> {
    let place = if index < 0 { index + items.len() as i64 } else { index };
    let found = usize::try_from(place).ok().and_then(|place| items.get(place));
    found.ok_or_else(|| format!("there is no element {index} among {}", items.len()))
}

/// The place that a slice's bound names, within `0..=len`.
fn clamp(bound: i64, len: usize) -> usize {
    let place = if bound < 0 { bound + len as i64 } else { bound };
    usize::try_from(place).unwrap_or(0).min(len)
}

/// The steps of the path `text`.
pub(super) fn parse(text: &str) -> Result<Vec<Step>, FilterParseError> {
    let mut parser = Parser { text, rest: text };
    if !parser.take("$") {
        return Err(parser.error("expected `$`, the record,"));
    }
    let mut steps = Vec::new();
    while !parser.rest.is_empty() {
        if parser.rest.starts_with("..") {
            return Err(parser.error("`..`, which Batch Transform does not know,"));
        }
        // The older form `$.['a','b']` has a dot before the bracket.
        let dot = parser.take(".");
        steps.push(match (dot, parser.rest.chars().next()) {
            (_, Some('[')) => parser.brackets()?,
            (true, Some('*')) => {
                parser.take("*");
                Step::All
            }
            (true, _) => Step::Member(parser.name()?),
            (false, _) => return Err(parser.error("expected `.` or `[`")),
        });
    }
    Ok(steps)
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
}

impl Parser<'_> {
    fn error(&self, problem: &str) -> FilterParseError {
        let used = &self.text[..self.text.len() - self.rest.len()];
        let (text, problem) = (self.text.to_owned(), problem.to_owned());
        FilterParseError { text, at: used.chars().count(), problem }
    }

    fn take(&mut self, sign: &str) -> bool {
        match self.rest.strip_prefix(sign) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches(' ');
    }

    /// A name after a dot.
    fn name(&mut self) -> Result<String, FilterParseError> {
        let ends = |c: char| {
            matches!(c, '.' | '[' | ']' | '*' | '\'' | '"' | ',' | ':' | '(' | ')' | '?' | '@')
        };
        let end = self.rest.find(|c: char| ends(c) || c.is_whitespace()).unwrap_or(self.rest.len());
        let name = &self.rest[..end];
        if name.is_empty() {
            return Err(self.error("expected a name or `*`"));
        }
        self.rest = &self.rest[end..];
        Ok(name.to_owned())
    }

    /// What stands in brackets.
    fn brackets(&mut self) -> Result<Step, FilterParseError> {
        self.take("[");
        self.skip_space();
        let step = match self.rest.chars().next() {
            Some('*') => {
                self.take("*");
                Step::All
            }
            Some('\'' | '"') => self.quoted_names()?,
            Some('-' | ':' | '0'..='9') => self.numbers()?,
            Some('?') => return Err(self.error("`?`, which Batch Transform does not know,")),
            _ => return Err(self.error("expected a quoted name, a number or `*`")),
        };
        self.skip_space();
        if self.take("]") { Ok(step) } else { Err(self.error("expected `]`")) }
    }

    fn quoted_names(&mut self) -> Result<Step, FilterParseError> {
        let mut names = Vec::new();
        loop {
            names.push(self.quoted_name()?);
            self.skip_space();
            if !self.take(",") {
                break;
            }
            self.skip_space();
        }
        Ok(if names.len() == 1 { Step::Member(names.swap_remove(0)) } else { Step::Members(names) })
    }

    /// A name in quotes; a backslash keeps the character after it.
    fn quoted_name(&mut self) -> Result<String, FilterParseError> {
        let mut characters = self.rest.char_indices();
        let Some((_, quote @ ('\'' | '"'))) = characters.next() else {
            return Err(self.error("expected a quoted name"));
        };
        let mut name = String::new();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => name.extend(characters.next().map(|(_, kept)| kept)),
                end if end == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(name);
                }
                other => name.push(other),
            }
        }
        Err(self.error("a quote that does not close"))
    }

    /// `2`, `0,2` or `1:3`.
    fn numbers(&mut self) -> Result<Step, FilterParseError> {
        if self.take(":") {
            return Ok(Step::Slice(None, self.bound()?));
        }
        let first = self.number()?;
        self.skip_space();
        if self.take(":") {
            return Ok(Step::Slice(Some(first), self.bound()?));
        }
        let mut all = vec![first];
        while self.take(",") {
            self.skip_space();
            all.push(self.number()?);
            self.skip_space();
        }
        if self.rest.starts_with(':') {
            return Err(
                self.error("a range among several indexes, which Batch Transform does not know,")
            );
        }
        Ok(if all.len() == 1 { Step::Index(first) } else { Step::Indexes(all) })
    }

    /// The end of a slice, if it has one.
    fn bound(&mut self) -> Result<Option<i64>, FilterParseError> {
        self.skip_space();
        let bound = if self.rest.starts_with(']') { None } else { Some(self.number()?) };
        self.skip_space();
        match self.rest.chars().next() {
            Some(',') => {
                Err(self.error("a range among several, which Batch Transform does not know,"))
            }
            Some(':') => Err(self.error("a step, which Batch Transform does not know,")),
            _ => Ok(bound),
        }
    }

    fn number(&mut self) -> Result<i64, FilterParseError> {
        let unsigned = self.rest.strip_prefix('-').unwrap_or(self.rest);
        let digits = unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len());
        let end = self.rest.len() - unsigned.len() + digits;
        // So large an index is no mistake in reading, but none that a record can have.
        let number = self.rest[..end].parse::<i32>();
        let number = number.map_err(|_| self.error("expected a number within 32 bits"))?;
        self.rest = &self.rest[end..];
        Ok(i64::from(number))
    }
}
