//! The constraints of a shape, and the words in which AWS says that they are broken.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

use super::{Kind, Member, Service, Shape};

/// How many violations are told: one message must not outgrow the request many times over.
const TOLD: usize = 50;

/// Checks a coerced value. The error is the message of AWS's front, as in `1 validation error
/// detected: Value null at 'modelName' failed to satisfy constraint: Member must not be null`.
pub(crate) fn validate(service: &Service, shape: &Shape, value: &Value) -> Result<(), String> {
    let mut violations = Violations { service, found: Vec::new() };
    violations.structure(shape, value, "");
    let found = violations.found;
    match found.len() {
        0 => Ok(()),
        1 => Err(format!("1 validation error detected: {}", found[0])),
        count => Err(format!("{count} validation errors detected: {}", found.join("; "))),
    }
}

struct Violations<'m> {
    service: &'m Service,
    found: Vec<String>,
}

impl Violations<'_> {
    fn add(&mut self, shape: Option<&Shape>, value: &Value, path: &str, constraint: &str) {
        if self.found.len() == TOLD {
            return;
        }
        let value = match value {
            Value::Null => " null".to_owned(),
            _ if shape.is_some_and(|shape| shape.sensitive) => String::new(),
            value => format!(" '{}'", self.shown(shape, value)),
        };
        let text = format!("Value{value} at '{path}' failed to satisfy constraint: {constraint}");
        self.found.push(text);
    }

    fn structure(&mut self, shape: &Shape, value: &Value, path: &str) {
        for (name, member) in &shape.members {
            let place = join(path, &lower_first(name));
            match value.get(name) {
                Some(value) => self.value(self.service.shape(&member.shape), value, &place),
                None if shape.required.contains(name) => {
                    self.add(None, &Value::Null, &place, "Member must not be null");
                }
                None => {}
            }
        }
    }

    fn value(&mut self, shape: &Shape, value: &Value, path: &str) {
        match shape.kind {
            _ if shape.document => {}
            Kind::Structure => self.structure(shape, value, path),
            Kind::List => self.list(shape, value, path),
            Kind::Map => self.map(shape, value, path),
            _ => {
                for broken in broken(shape, value) {
                    self.add(Some(shape), value, path, &broken);
                }
            }
        }
    }

    fn list(&mut self, shape: &Shape, value: &Value, path: &str) {
        let elements = value.as_array().map(Vec::as_slice).unwrap_or_default();
        for broken in broken_length(shape, elements.len()) {
            self.add(Some(shape), value, path, &broken);
        }
        let Some(element) = part(self.service, shape.member.as_ref()) else { return };
        if let Some(rules) = failed_rules(element, elements.iter()) {
            let constraint = format!("Member must satisfy constraint: [{rules}]");
            self.add(Some(shape), value, path, &constraint);
        }
        if is_nested(element) {
            for (index, value) in elements.iter().enumerate().filter(|(_, value)| !value.is_null())
            {
                self.value(element, value, &format!("{path}.{}.member", index + 1));
            }
        }
    }

    fn map(&mut self, shape: &Shape, value: &Value, path: &str) {
        let Some(entries) = value.as_object() else { return };
        for broken in broken_length(shape, entries.len()) {
            self.add(Some(shape), value, path, &broken);
        }
        let keys: Vec<Value> = entries.keys().map(|key| Value::from(key.as_str())).collect();
        let key = part(self.service, shape.key.as_ref());
        if let Some(rules) = key.and_then(|key| failed_rules(key, keys.iter())) {
            let constraint = format!("Map keys must satisfy constraint: [{rules}]");
            self.add(Some(shape), value, path, &constraint);
        }
        let Some(element) = part(self.service, shape.value.as_ref()) else { return };
        if let Some(rules) = failed_rules(element, entries.values()) {
            let constraint = format!("Map value must satisfy constraint: [{rules}]");
            self.add(Some(shape), value, path, &constraint);
        }
        if is_nested(element) {
            for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
                self.value(element, value, &format!("{path}.{key}.member"));
            }
        }
    }

    /// A value as Java prints it.
    fn shown(&self, shape: Option<&Shape>, value: &Value) -> String {
        let inner = |member: Option<&Member>, value| {
            let shape = member.map(|member| self.service.shape(&member.shape));
            if shape.is_some_and(|shape| shape.sensitive) {
                return "***Sensitive Data Redacted***".to_owned();
            }
            self.shown(shape, value)
        };
        match value {
            Value::String(text) => text.clone(),
            Value::Array(elements) => {
                let element = shape.and_then(|shape| shape.member.as_ref());
                let shown: Vec<String> =
                    elements.iter().map(|value| inner(element, value)).collect();
                format!("[{}]", shown.join(", "))
            }
            Value::Object(entries) => {
                let member = |name: &String| {
                    shape.and_then(|shape| shape.member_named(name).or(shape.value.as_ref()))
                };
                let named = |(name, value)| format!("{name}={}", inner(member(name), value));
                let shown: Vec<String> = entries.iter().map(named).collect();
                format!("{{{}}}", shown.join(", "))
            }
            other => other.to_string(),
        }
    }
}

fn part<'m>(service: &'m Service, member: Option<&Member>) -> Option<&'m Shape> {
    member.map(|member| service.shape(&member.shape))
}

/// Whether a shape's own parts have places of their own in messages.
fn is_nested(shape: &Shape) -> bool {
    matches!(shape.kind, Kind::Structure | Kind::List | Kind::Map)
}

/// The rules of a collection's elements, all of them, if any element breaks one.
fn failed_rules<'v>(shape: &Shape, mut values: impl Iterator<Item = &'v Value>) -> Option<String> {
    let nested = is_nested(shape);
    let wrong =
        |value: &&'v Value| value.is_null() || (!nested && !broken(shape, value).is_empty());
    let wrong = values.find(wrong)?;
    let mut rules = if nested { Vec::new() } else { rules(shape) };
    if wrong.is_null() {
        rules.push("Member must not be null".to_owned());
    }
    Some(rules.join(", "))
}

/// The rules of a scalar that `value` breaks.
fn broken(shape: &Shape, value: &Value) -> Vec<String> {
    let mut broken = match shape.kind {
        Kind::String | Kind::Character => {
            let text = value.as_str().unwrap_or_default();
            let mut broken = broken_length(shape, text.encode_utf16().count());
            if !shape.matches(text) {
                broken.extend(pattern_rule(shape));
            }
            if !shape.values.is_empty() && !shape.values.iter().any(|known| known == text) {
                broken.extend(enum_rule(shape));
            }
            broken
        }
        Kind::Blob => {
            let decoded = STANDARD.decode(value.as_str().unwrap_or_default());
            broken_length(shape, decoded.map(|bytes| bytes.len()).unwrap_or_default())
        }
        _ => Vec::new(),
    };
    if let Some(number) = value.as_f64().filter(|_| shape.kind != Kind::Timestamp) {
        let above = |most: &&Number| most.as_f64().is_some_and(|most| number > most);
        let below = |least: &&Number| least.as_f64().is_some_and(|least| number < least);
        broken.extend(shape.max.as_ref().filter(above).map(|most| at_most("value", most)));
        broken.extend(shape.min.as_ref().filter(below).map(|least| at_least("value", least)));
    }
    broken
}

fn broken_length(shape: &Shape, length: usize) -> Vec<String> {
    let length = length as u64;
    let above = |most: &&Number| most.as_u64().is_some_and(|most| length > most);
    let below = |least: &&Number| least.as_u64().is_some_and(|least| length < least);
    let most = shape.max.as_ref().filter(above).map(|most| at_most("length", most));
    let least = shape.min.as_ref().filter(below).map(|least| at_least("length", least));
    most.into_iter().chain(least).collect()
}

/// All rules of a scalar, in AWS's order.
fn rules(shape: &Shape) -> Vec<String> {
    let what = match shape.kind {
        Kind::String | Kind::Character | Kind::Blob => "length",
        _ => "value",
    };
    let most = shape.max.as_ref().map(|most| at_most(what, most));
    let least = shape.min.as_ref().map(|least| at_least(what, least));
    let rules = most.into_iter().chain(least).chain(pattern_rule(shape));
    rules.chain(enum_rule(shape)).collect()
}

fn at_most(what: &str, most: &Number) -> String {
    format!("Member must have {what} less than or equal to {most}")
}

fn at_least(what: &str, least: &Number) -> String {
    format!("Member must have {what} greater than or equal to {least}")
}

fn pattern_rule(shape: &Shape) -> Option<String> {
    let pattern = shape.pattern.as_ref()?;
    Some(format!("Member must satisfy regular expression pattern: {pattern}"))
}

fn enum_rule(shape: &Shape) -> Option<String> {
    let known = !shape.values.is_empty();
    known.then(|| format!("Member must satisfy enum value set: [{}]", shape.values.join(", ")))
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `TransformJobName` as `transformJobName`.
fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}
