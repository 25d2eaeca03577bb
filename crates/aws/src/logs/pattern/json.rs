//! JSON patterns: `{ ($.user.name = "a*") && ($.took > 3 || $.codes[0] = 5) }`.

use serde_json::Value;

use super::{scanner::Scanner, test::Test};

/// What the JSON of a text has to hold.
#[derive(Debug)]
pub(crate) enum Selector {
    All(Vec<Selector>),
    Any(Vec<Selector>),
    At(Vec<Step>, Condition),
}

#[derive(Debug)]
pub(crate) enum Step {
    Member(String),
    Element(usize),
    /// `[*]`: any element.
    Elements,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Is(Test),
    Value(Value),
    NotExists,
}

/// What a bare value of a comparison ends at.
const VALUE_ENDS: &str = "&|)}";

impl Selector {
    /// The selector after its opening brace.
    pub(super) fn parse(scanner: &mut Scanner<'_>) -> Result<Self, String> {
        let selector = any(scanner)?;
        scanner.expect("}")?;
        scanner.end()?;
        Ok(selector)
    }

    /// Whether a text's JSON is an object that has what is selected.
    pub(super) fn matches(&self, value: &Value) -> bool {
        value.is_object() && self.holds(value)
    }

    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(value)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(value)),
            Self::At(path, condition) => {
                let found = find(value, path);
                match condition {
                    Condition::Is(test) => found.iter().any(|value| test.holds_for_json(value)),
                    Condition::Value(wanted) => found.contains(&wanted),
                    Condition::NotExists => found.is_empty(),
                }
            }
        }
    }
}

/// The values at `path`.
fn find<'v>(value: &'v Value, path: &[Step]) -> Vec<&'v Value> {
    let mut found = vec![value];
    for step in path {
        found = match step {
            Step::Member(name) => found.into_iter().filter_map(|value| value.get(name)).collect(),
            Step::Element(index) => {
                found.into_iter().filter_map(|value| value.get(index)).collect()
            }
            Step::Elements => found.into_iter().filter_map(Value::as_array).flatten().collect(),
        };
    }
    found
}

fn any(scanner: &mut Scanner<'_>) -> Result<Selector, String> {
    let mut parts = vec![all(scanner)?];
    while scanner.eat("||") {
        parts.push(all(scanner)?);
    }
    Ok(Selector::Any(parts))
}

fn all(scanner: &mut Scanner<'_>) -> Result<Selector, String> {
    let mut parts = vec![one(scanner)?];
    while scanner.eat("&&") {
        parts.push(one(scanner)?);
    }
    Ok(Selector::All(parts))
}

fn one(scanner: &mut Scanner<'_>) -> Result<Selector, String> {
    if scanner.eat("(") {
        let inner = any(scanner)?;
        scanner.expect(")")?;
        return Ok(inner);
    }
    scanner.expect("$")?;
    let path = path(scanner)?;
    if let Some(test) = Test::parse(scanner, VALUE_ENDS)? {
        return Ok(Selector::At(path, Condition::Is(test)));
    }
    let condition = if scanner.eat("IS") {
        let values = [("NULL", Value::Null), ("TRUE", true.into()), ("FALSE", false.into())];
        let found = values.into_iter().find(|(word, _)| scanner.eat(word));
        Condition::Value(found.ok_or("`IS` takes NULL, TRUE or FALSE")?.1)
    } else if scanner.eat("NOT") {
        scanner.expect("EXISTS")?;
        Condition::NotExists
    } else {
        return Err(format!("a comparison is expected {}", scanner.place()));
    };
    Ok(Selector::At(path, condition))
}

/// The steps after `$`.
fn path(scanner: &mut Scanner<'_>) -> Result<Vec<Step>, String> {
    let mut path = Vec::new();
    loop {
        if scanner.eat_here(".") {
            let name = scanner.until(|next| next.is_whitespace() || ".[=!<>&|(){}".contains(next));
            if name.is_empty() {
                return Err(format!("a name is expected {}", scanner.place()));
            }
            path.push(Step::Member(name.to_owned()));
        } else if scanner.eat_here("[") {
            path.push(element(scanner)?);
            scanner.expect("]")?;
        } else {
            return Ok(path);
        }
    }
}

fn element(scanner: &mut Scanner<'_>) -> Result<Step, String> {
    for mark in ['"', '\''] {
        if scanner.eat(&mark.to_string()) {
            return Ok(Step::Member(scanner.quoted(mark)?));
        }
    }
    if scanner.eat("*") {
        return Ok(Step::Elements);
    }
    let number = scanner.until(|next| !next.is_ascii_digit());
    let index = number.parse().map_err(|_| format!("a number is expected {}", scanner.place()))?;
    Ok(Step::Element(index))
}

#[cfg(test)]
mod tests {
    use crate::logs::pattern::tests::check;

    const TEXT: &str = r#"{"a": "x", "n": 4, "user": {"name": "ann", "tags": ["p", "q"]},
        "ok": true, "gone": null, "dotted.name": 1, "list": [{"v": 1}, {"v": 7}]}"#;

    #[test]
    fn selectors_find_their_values() {
        for yes in [
            r#"{ $.a = "x" && $.n > 3 }"#,
            "{$.a=x&&$.n>3}",
            "{ $.n = 4.0 }",
            "{ $.n != 5 && $.n >= 4 && $.n <= 4 }",
            r#"{ $.user.name = "a*" }"#,
            r#"{ $.user.name = "*n*" && $.user.tags[1] = q }"#,
            r#"{ $.user.tags[*] = "q" }"#,
            "{ $.list[*].v > 6 }",
            "{ $.list[0].v = 1 }",
            "{ $.ok IS TRUE && $.gone IS NULL }",
            "{ $.none NOT EXISTS }",
            "{ $['dotted.name'] = 1 }",
            "{ $.a = %^[xyz]$% }",
            r#"{ $.a = "y" || $.n < 5 }"#,
            r#"{ ($.a = "y" || $.n < 5) && ($.ok IS TRUE) }"#,
            r#"{ $.a = "y" && $.n = 9 || $.a = "x" }"#,
        ] {
            check(yes, &[TEXT], &["not JSON", "[]", "3"]);
        }
    }

    #[test]
    fn what_does_not_hold_does_not_match() {
        for no in [
            r#"{ $.a = "X" }"#,
            "{ $.n > 4 }",
            "{ $.n = \"5\" }",
            "{ $.none != 1 }",
            "{ $.none IS NULL }",
            "{ $.gone NOT EXISTS }",
            "{ $.user = x }",
            "{ $.user.tags[2] = q }",
            r#"{ $.a = "y" && ($.n = 4 || $.ok IS TRUE) }"#,
        ] {
            check(no, &[], &[TEXT]);
        }
    }
}
