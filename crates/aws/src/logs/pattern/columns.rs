//! Space-delimited patterns: `[ip, user, ..., status = 4* || status = 5*, size > 1000]`. A text has as
//! many columns as it has words, what is between quotation marks or brackets being one.

use super::{scanner::Scanner, test::Test};

/// What the columns of a text have to be.
#[derive(Debug)]
pub(crate) struct Columns {
    /// Of the first columns.
    first: Vec<Column>,
    /// Of the last ones, where `...` stands for any number before them.
    last: Option<Vec<Column>>,
}

/// Tests of which all of one row must hold.
type Column = Vec<Vec<Test>>;

/// What a bare value of a comparison ends at.
const VALUE_ENDS: &str = ",]&|";

impl Columns {
    /// The columns after their opening bracket.
    pub(super) fn parse(scanner: &mut Scanner<'_>) -> Result<Self, String> {
        let mut columns = Self { first: Vec::new(), last: None };
        loop {
            if scanner.eat("...") {
                if columns.last.replace(Vec::new()).is_some() {
                    return Err("`...` may be there once".to_owned());
                }
            } else {
                let column = column(scanner)?;
                columns.last.as_mut().unwrap_or(&mut columns.first).push(column);
            }
            if scanner.eat("]") {
                scanner.end()?;
                return Ok(columns);
            }
            scanner.expect(",")?;
        }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let found = split(text);
        let last = self.last.as_deref().unwrap_or_default();
        let wanted = self.first.len() + last.len();
        if found.len() < wanted || self.last.is_none() && found.len() != wanted {
            return false;
        }
        let mut pairs = self
            .first
            .iter()
            .zip(&found)
            .chain(last.iter().zip(&found[found.len() - last.len()..]));
        pairs.all(|(column, text)| {
            column.is_empty()
                || column.iter().any(|tests| tests.iter().all(|test| test.holds_for_text(text)))
        })
    }
}

/// A column: its name, and the tests it has.
fn column(scanner: &mut Scanner<'_>) -> Result<Column, String> {
    let mut column = Vec::new();
    let mut row = Vec::new();
    loop {
        let is_named = !name(scanner).is_empty();
        match Test::parse(scanner, VALUE_ENDS)? {
            Some(test) => row.push(test),
            None if is_named && row.is_empty() && column.is_empty() => return Ok(column),
            None => return Err(format!("a column is expected {}", scanner.place())),
        }
        if scanner.eat("||") {
            column.push(std::mem::take(&mut row));
        } else if !scanner.eat("&&") {
            column.push(row);
            return Ok(column);
        }
    }
}

fn name<'t>(scanner: &mut Scanner<'t>) -> &'t str {
    scanner.is_at_end();
    scanner.until(|next| next.is_whitespace() || "=!<>,]&|".contains(next))
}

/// The columns of a text.
fn split(text: &str) -> Vec<&str> {
    let mut columns = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let closing = match rest.as_bytes()[0] {
            b'"' => Some('"'),
            b'[' => Some(']'),
            _ => None,
        };
        let enclosed = closing.and_then(|closing| rest[1..].split_once(closing));
        let (column, after) =
            enclosed.unwrap_or_else(|| rest.split_once(char::is_whitespace).unwrap_or((rest, "")));
        columns.push(column);
        rest = after.trim_start();
    }
    columns
}

#[cfg(test)]
mod tests {
    use crate::logs::pattern::tests::check;

    const TEXT: &str =
        r#"127.0.0.1 - ann [10/Oct/2026:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534"#;

    #[test]
    fn columns_are_tested_at_their_places() {
        for yes in [
            "[ip, id, user, timestamp, request, status, size]",
            "[ip, id, user, timestamp, request =*.html*, status = 4*, size > 1000]",
            "[ip = 127.0.*, id, user=ann, timestamp, request=\"GET *\", status, size]",
            "[ip, id, user, time, request, status = 404 || status = 410, size]",
            "[ip, id, user, time, request, status = 4* && status != 403, size<=1534]",
            "[..., status = 404, size]",
            "[ip = 127*, ...]",
            "[ip, ..., size = %^[0-9]{4}$%]",
            "[ip, id, user, timestamp = 10/Oct/2026*, ...]",
        ] {
            check(yes, &[TEXT], &["", "one two"]);
        }
        for no in [
            "[ip, user]",
            "[ip, id, user, timestamp, request, status = 5*, size]",
            "[..., size > 2000]",
            "[ip != 127.0.0.1, ...]",
            "[a, b, c, d, e, f, g, h]",
            "[..., a, b, c, d, e, f, g, h]",
            "[id = 127.0.0.1 && id = x, ...]",
        ] {
            check(no, &[], &[TEXT]);
        }
    }
}
