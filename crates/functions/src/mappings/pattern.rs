//! [`Pattern`]: `EventBridge`'s language of event patterns, by which messages are chosen.
//!
//! A pattern has the form of the events that it matches; its leaves are lists, of which one member has
//! to hold. See <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html>.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// A pattern of events.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern(Node);

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Event pattern is not valid. Reason: {0}")]
pub struct PatternError(String);

#[derive(Debug, Clone, PartialEq)]
enum Node {
    /// All fields have to match.
    All(Vec<(String, Node)>),
    /// One of these has to match.
    Any(Vec<Node>),
    /// One of these has to hold for the value.
    Leaf(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Is(Value),
    IsIgnoringCase(String),
    Prefix(String),
    PrefixIgnoringCase(String),
    Suffix(String),
    SuffixIgnoringCase(String),
    Wildcard(String),
    AnythingBut(Vec<Rule>),
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
    Cidr(IpAddr, u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(fields)) if !fields.is_empty() => Ok(Self(fields_of(&fields)?)),
            Ok(Value::Object(_)) => Err(wrong("Empty pattern is not allowed")),
            Ok(_) => Err(wrong("Filter is not an object")),
            Err(error) => Err(wrong(format!("Filter is not JSON: {error}"))),
        }
    }

    /// Whether `event` is one of those.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        matches(&self.0, Some(event))
    }

    /// Whether it looks into the field `name`, as into an object.
    #[must_use]
    pub fn looks_into(&self, name: &str) -> bool {
        looks_into(&self.0, name)
    }
}

fn looks_into(node: &Node, name: &str) -> bool {
    match node {
        Node::All(fields) => fields.iter().any(|(field, inner)| {
            (field == name && !matches!(inner, Node::Leaf(_)))
                || (field.is_empty() && looks_into(inner, name))
        }),
        Node::Any(nodes) => nodes.iter().any(|node| looks_into(node, name)),
        Node::Leaf(_) => false,
    }
}

fn matches(node: &Node, value: Option<&Value>) -> bool {
    match (node, value) {
        (Node::Any(nodes), value) => nodes.iter().any(|node| matches(node, value)),
        // Of a list of objects, one has to match.
        (Node::All(_), Some(Value::Array(values))) => {
            values.iter().any(|value| matches(node, Some(value)))
        }
        (Node::All(fields), value) => fields.iter().all(|(name, node)| match name.as_str() {
            "" => matches(node, value),
            name => matches(node, value.and_then(|value| value.get(name))),
        }),
        (Node::Leaf(rules), None) => rules.contains(&Rule::Exists(false)),
        (Node::Leaf(rules), Some(Value::Array(values))) => {
            let holds = |rule: &Rule| match rule {
                Rule::Exists(wanted) => *wanted,
                rule => values.iter().any(|value| holds(rule, value)),
            };
            rules.iter().any(holds)
        }
        (Node::Leaf(rules), Some(value)) => rules.iter().any(|rule| holds(rule, value)),
    }
}

fn holds(rule: &Rule, value: &Value) -> bool {
    let text = value.as_str();
    match rule {
        Rule::Is(Value::Number(wanted)) => value.is_number() && value.as_f64() == wanted.as_f64(),
        Rule::Is(wanted) => value == wanted,
        Rule::IsIgnoringCase(wanted) => text.is_some_and(|text| lower(text) == *wanted),
        Rule::Prefix(wanted) => text.is_some_and(|text| text.starts_with(wanted)),
        Rule::PrefixIgnoringCase(wanted) => {
            text.is_some_and(|text| lower(text).starts_with(wanted))
        }
        Rule::Suffix(wanted) => text.is_some_and(|text| text.ends_with(wanted)),
        Rule::SuffixIgnoringCase(wanted) => text.is_some_and(|text| lower(text).ends_with(wanted)),
        Rule::Wildcard(wanted) => text.is_some_and(|text| fits(wanted, text)),
        Rule::AnythingBut(rules) => !rules.iter().any(|rule| holds(rule, value)),
        Rule::Numeric(limits) => value.as_f64().is_some_and(|number| {
            limits.iter().all(|(comparison, limit)| comparison.holds(number, *limit))
        }),
        // An object is no leaf.
        Rule::Exists(wanted) => *wanted && !value.is_object(),
        Rule::Cidr(network, bits) => {
            let address = text.and_then(|text| text.parse().ok());
            address.is_some_and(|address| is_in(address, *network, *bits))
        }
    }
}

impl Comparison {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "=" => Self::Equal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    #[expect(clippy::float_cmp, reason = "the pattern says this very number")]
    fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Equal => number == limit,
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
            Self::Greater => number > limit,
            Self::GreaterOrEqual => number >= limit,
        }
    }
}

fn fields_of(fields: &Map<String, Value>) -> Result<Node, PatternError> {
    let mut nodes = Vec::new();
    for (name, value) in fields {
        let node = match value {
            // What has no name of its own is about the object itself.
            Value::Array(alternatives) if name == "$or" => {
                let object = |value: &Value| match value {
                    Value::Object(fields) => fields_of(fields),
                    _ => Err(wrong("\"$or\" must be an array of objects")),
                };
                let nodes_of_or = alternatives.iter().map(object).collect::<Result<Vec<_>, _>>()?;
                nodes.push((String::new(), Node::Any(nodes_of_or)));
                continue;
            }
            Value::Object(inner) if !inner.is_empty() => fields_of(inner)?,
            Value::Object(_) => return Err(wrong("Empty objects are not allowed")),
            Value::Array(rules) if !rules.is_empty() => {
                Node::Leaf(rules.iter().map(rule).collect::<Result<_, _>>()?)
            }
            Value::Array(_) => return Err(wrong("Empty arrays are not allowed")),
            _ => return Err(wrong(format!("\"{name}\" must be an object or an array"))),
        };
        nodes.push((name.clone(), node));
    }
    Ok(Node::All(nodes))
}

fn rule(value: &Value) -> Result<Rule, PatternError> {
    let Value::Object(members) = value else {
        return match value {
            Value::Array(_) => {
                Err(wrong("Match value must be String, number, true, false, or null"))
            }
            plain => Ok(Rule::Is(plain.clone())),
        };
    };
    let mut members = members.iter();
    let (Some((name, value)), None) = (members.next(), members.next()) else {
        return Err(wrong("Only one key allowed in match expression"));
    };
    let text = || {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| wrong(format!("{name} match pattern must be a string")))
    };
    // `{"prefix": {"equals-ignore-case": "a"}}`
    let folded = || value.get("equals-ignore-case").and_then(Value::as_str).map(lower);
    match name.as_str() {
        "prefix" => match folded() {
            Some(folded) => Ok(Rule::PrefixIgnoringCase(folded)),
            None => text().map(Rule::Prefix),
        },
        "suffix" => match folded() {
            Some(folded) => Ok(Rule::SuffixIgnoringCase(folded)),
            None => text().map(Rule::Suffix),
        },
        "equals-ignore-case" => text().map(|text| Rule::IsIgnoringCase(lower(&text))),
        "wildcard" => text().map(Rule::Wildcard),
        "anything-but" => anything_but(value),
        "numeric" => numeric(value),
        "exists" => {
            let wanted = value.as_bool();
            wanted
                .map(Rule::Exists)
                .ok_or_else(|| wrong("exists match pattern must be true or false"))
        }
        "cidr" => cidr(&text()?),
        other => Err(wrong(format!("Unrecognized match type {other}"))),
    }
}

fn anything_but(value: &Value) -> Result<Rule, PatternError> {
    let refuse = || wrong("Value of anything-but must be an array or single string/number value");
    let rules = match value {
        // `{"anything-but": {"prefix": ["a", "b"]}}`
        Value::Object(members) => {
            let mut rules = Vec::new();
            for (name, values) in members {
                let values = match values {
                    Value::Array(values) => values.clone(),
                    one => vec![one.clone()],
                };
                for value in values {
                    let one = Map::from_iter([(name.clone(), value)]);
                    rules.push(rule(&Value::Object(one))?);
                }
            }
            rules
        }
        Value::Array(values) if !values.is_empty() => {
            values.iter().map(rule).collect::<Result<_, _>>()?
        }
        Value::String(_) | Value::Number(_) => vec![rule(value)?],
        _ => return Err(refuse()),
    };
    if rules.is_empty() { Err(refuse()) } else { Ok(Rule::AnythingBut(rules)) }
}

fn numeric(value: &Value) -> Result<Rule, PatternError> {
    let refuse =
        || wrong("numeric match pattern must be pairs of one of =, <, <=, >, >= and a number");
    let members = value.as_array().filter(|members| matches!(members.len(), 2 | 4));
    let mut limits = Vec::new();
    for pair in members.ok_or_else(refuse)?.chunks(2) {
        let comparison = pair[0].as_str().and_then(Comparison::parse).ok_or_else(refuse)?;
        limits.push((comparison, pair[1].as_f64().ok_or_else(refuse)?));
    }
    Ok(Rule::Numeric(limits))
}

fn cidr(text: &str) -> Result<Rule, PatternError> {
    let refuse = || wrong(format!("Malformed CIDR: {text}"));
    let (address, bits) = text.split_once('/').ok_or_else(refuse)?;
    let address: IpAddr = address.parse().map_err(|_| refuse())?;
    let bits: u8 = bits.parse().map_err(|_| refuse())?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if bits > most { Err(refuse()) } else { Ok(Rule::Cidr(address, bits)) }
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (one, other, width) = match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (u128::from(one.to_bits()), u128::from(other.to_bits()), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    let rest = width - u32::from(bits);
    one.checked_shr(rest).unwrap_or(0) == other.checked_shr(rest).unwrap_or(0)
}

/// Whether `text` is what `pattern` says, whose `*` stands for anything and `\*` for itself.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => parts.push(String::new()),
            '\\' => parts.last_mut().into_iter().for_each(|part| part.extend(characters.next())),
            other => parts.last_mut().into_iter().for_each(|part| part.push(other)),
        }
    }
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() == 1 {
        return text == first;
    }
    let Some(mut left) = text.strip_prefix(first.as_str()) else { return false };
    for part in &parts[1..parts.len() - 1] {
        let Some(at) = left.find(part.as_str()) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last.as_str())
}

fn lower(text: &str) -> String {
    text.to_lowercase()
}

fn wrong(why: impl Into<String>) -> PatternError {
    PatternError(why.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(pattern: &Value, yes: &[Value], no: &[Value]) {
        let parsed = Pattern::parse(&pattern.to_string()).unwrap();
        for event in yes {
            assert!(parsed.matches(event), "{pattern} {event}");
        }
        for event in no {
            assert!(!parsed.matches(event), "{pattern} {event}");
        }
    }

    #[test]
    fn values_match_as_they_are() {
        let a = |value: Value| json!({ "a": value });
        check(
            &json!({"a": ["x", 1, null, true]}),
            &[a(json!("x")), a(json!(1.0)), a(json!(null)), a(json!(true)), a(json!(["y", "x"]))],
            &[a(json!("X")), a(json!("1")), a(json!(false)), a(json!([])), json!({})],
        );
        check(
            &json!({"a": {"b": ["x"]}, "c": ["y"]}),
            &[json!({"a": {"b": "x"}, "c": "y"}), json!({"a": [{"b": "z"}, {"b": "x"}], "c": "y"})],
            &[json!({"a": {"b": "x"}}), json!({"a": "x", "c": "y"})],
        );
    }

    #[test]
    fn every_kind_of_rule_holds_where_it_should() {
        let a = |values: &[Value]| {
            values.iter().map(|value| json!({ "a": value })).collect::<Vec<Value>>()
        };
        for (rule, yes, no) in [
            (json!({"prefix": "ab"}), vec![json!("abc")], vec![json!("cab"), json!(1)]),
            (json!({"prefix": {"equals-ignore-case": "aB"}}), vec![json!("ABc")], vec![json!("b")]),
            (json!({"suffix": ".csv"}), vec![json!("x.csv")], vec![json!("x.csv.gz")]),
            (
                json!({"suffix": {"equals-ignore-case": ".CSV"}}),
                vec![json!("x.csv")],
                vec![json!("x")],
            ),
            (json!({"equals-ignore-case": "Ab"}), vec![json!("aB")], vec![json!("abc")]),
            (
                json!({"wildcard": "a*c*e"}),
                vec![json!("abcde"), json!("ace")],
                vec![json!("ae"), json!("acef")],
            ),
            (json!({"wildcard": "a\\*"}), vec![json!("a*")], vec![json!("ab")]),
            (json!({"anything-but": "x"}), vec![json!("y"), json!(1)], vec![json!("x")]),
            (json!({"anything-but": [1, 2]}), vec![json!(3)], vec![json!(1), json!(2)]),
            (json!({"anything-but": {"prefix": "x"}}), vec![json!("y")], vec![json!("xy")]),
            (json!({"anything-but": {"suffix": ["x", "y"]}}), vec![json!("z")], vec![json!("ay")]),
            (
                json!({"numeric": [">", 0, "<=", 5]}),
                vec![json!(5), json!(0.1)],
                vec![json!(0), json!(6), json!("3")],
            ),
            (json!({"numeric": ["=", 3]}), vec![json!(3.0)], vec![json!(4)]),
            (
                json!({"exists": true}),
                vec![json!(null), json!([]), json!(0)],
                vec![json!({"b": 1})],
            ),
            (
                json!({"cidr": "10.0.0.0/24"}),
                vec![json!("10.0.0.255")],
                vec![json!("10.0.1.0"), json!("x")],
            ),
            (json!({"cidr": "2001:db8::/32"}), vec![json!("2001:db8::1")], vec![json!("10.0.0.1")]),
            (json!({"cidr": "0.0.0.0/0"}), vec![json!("1.2.3.4")], vec![json!("::1")]),
        ] {
            check(&json!({ "a": [rule] }), &a(&yes), &a(&no));
        }
        check(&json!({"a": [{"exists": false}]}), &[json!({"b": 1})], &[json!({"a": 1})]);
        check(
            &json!({"a": {"b": [{"exists": false}]}}),
            &[json!({}), json!({"a": {}})],
            &[json!({"a": {"b": 1}})],
        );
        check(
            &json!({"$or": [{"a": [1]}, {"b": [{"numeric": [">", 5]}]}], "c": ["x"]}),
            &[json!({"a": 1, "c": "x"}), json!({"b": 6, "c": "x"})],
            &[json!({"a": 1}), json!({"a": 2, "b": 5, "c": "x"})],
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_the_reason() {
        for (text, reason) in [
            ("nonsense", "Filter is not JSON"),
            ("[]", "Filter is not an object"),
            ("{}", "Empty pattern"),
            (r#"{"a": "x"}"#, "\"a\" must be an object or an array"),
            (r#"{"a": []}"#, "Empty arrays"),
            (r#"{"a": {}}"#, "Empty objects"),
            (r#"{"a": [{"like": "x"}]}"#, "Unrecognized match type like"),
            (r#"{"a": [{"prefix": 1}]}"#, "prefix match pattern must be a string"),
            (r#"{"a": [{"numeric": [">"]}]}"#, "numeric match pattern"),
            (r#"{"a": [{"numeric": ["~", 1]}]}"#, "numeric match pattern"),
            (r#"{"a": [{"exists": "x"}]}"#, "exists match pattern"),
            (r#"{"a": [{"cidr": "10.0.0.0/33"}]}"#, "Malformed CIDR"),
            (r#"{"a": [{"prefix": "a", "suffix": "b"}]}"#, "Only one key"),
            (r#"{"a": [["x"]]}"#, "Match value must be"),
            (r#"{"$or": [1]}"#, "must be an array of objects"),
        ] {
            let told = Pattern::parse(text).unwrap_err().to_string();
            assert!(told.contains(reason), "{text}: {told}");
        }
    }

    #[test]
    fn it_is_known_whether_a_body_is_looked_into() {
        let looks = |pattern: &str| Pattern::parse(pattern).unwrap().looks_into("body");
        assert!(looks(r#"{"body": {"a": [1]}}"#));
        assert!(looks(r#"{"$or": [{"body": {"a": [1]}}]}"#));
        assert!(!looks(r#"{"body": ["a"]}"#));
        assert!(!looks(r#"{"attributes": {"body": {"a": [1]}}}"#));
    }
}
