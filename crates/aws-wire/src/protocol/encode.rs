//! Outputs made to fit their shapes: JSON, and the text that scalars have in XML and headers.

use serde_json::{Map, Value};

use crate::{
    Service,
    model::{Kind, Member, Shape},
    timestamp::{self, TimestampFormat},
};

/// An output that its model can't hold: a fault of the one who made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the output has {found} at `{path}`, where the model has {wanted}")]
pub struct OutputError {
    /// Where, as in `TransformInput.DataSource`.
    pub path: String,
    /// What stands there, as JSON names it.
    pub found: &'static str,
    /// What belongs there.
    pub wanted: &'static str,
}

impl OutputError {
    pub(super) fn new(path: &str, value: &Value, wanted: &'static str) -> Self {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        Self { path: path.to_owned(), found, wanted }
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// `value` as the body of a JSON protocol has it: the members of the shape, without nulls.
pub(super) fn json(
    service: &Service,
    member: &Member,
    value: &Value,
    path: &str,
) -> Result<Value, OutputError> {
    let shape = service.shape(&member.shape);
    let wrong = |wanted| Err(OutputError::new(path, value, wanted));
    match (shape.kind, value) {
        _ if shape.document => Ok(value.clone()),
        (Kind::Structure, Value::Object(object)) => {
            let members = shape.members.iter().map(|(name, member)| (name.as_str(), member));
            Ok(Value::Object(json_members(service, members, object, path)?))
        }
        (Kind::Structure, _) => wrong("a structure"),
        (Kind::List, Value::Array(elements)) => {
            let Some(element) = &shape.member else { return wrong("nothing") };
            let elements = elements.iter().enumerate();
            let elements = elements.map(|(index, value)| {
                json(service, element, value, &join(path, &index.to_string()))
            });
            Ok(Value::Array(elements.collect::<Result<_, _>>()?))
        }
        (Kind::List, _) => wrong("a list"),
        (Kind::Map, Value::Object(entries)) => {
            let Some(element) = &shape.value else { return wrong("nothing") };
            let entries =
                entries.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| {
                    Ok((key.clone(), json(service, element, value, &join(path, key))?))
                });
            Ok(Value::Object(entries.collect::<Result<_, _>>()?))
        }
        (Kind::Map, _) => wrong("a map"),
        (Kind::Timestamp, _) => {
            let format = timestamp_format(shape, member, TimestampFormat::Epoch);
            match (value, format) {
                (Value::Number(_), TimestampFormat::Epoch) => Ok(value.clone()),
                _ => text(shape, member, value, path, TimestampFormat::Epoch).map(Value::from),
            }
        }
        (kind, value) => check(kind, value, path).map(|()| value.clone()),
    }
}

/// The members of an object that `members` names.
pub(super) fn json_members<'m>(
    service: &Service,
    members: impl Iterator<Item = (&'m str, &'m Member)>,
    object: &Map<String, Value>,
    path: &str,
) -> Result<Map<String, Value>, OutputError> {
    let mut fitted = Map::new();
    for (name, member) in members {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            let value = json(service, member, value, &join(path, name))?;
            fitted.insert(member.wire_name(name).to_owned(), value);
        }
    }
    Ok(fitted)
}

/// That a scalar other than a timestamp is of its type.
fn check(kind: Kind, value: &Value, path: &str) -> Result<(), OutputError> {
    let (fits, wanted) = match kind {
        Kind::Boolean => (value.is_boolean(), "a boolean"),
        Kind::Byte | Kind::Short | Kind::Integer | Kind::Long | Kind::BigInteger => {
            (value.is_i64() || value.is_u64(), "a whole number")
        }
        Kind::Float | Kind::Double | Kind::BigDecimal => (value.is_number(), "a number"),
        _ => (value.is_string(), "a string"),
    };
    if fits { Ok(()) } else { Err(OutputError::new(path, value, wanted)) }
}

/// A scalar as text, for XML and headers. `format` is the protocol's own for timestamps.
pub(super) fn text(
    shape: &Shape,
    member: &Member,
    value: &Value,
    path: &str,
    format: TimestampFormat,
) -> Result<String, OutputError> {
    if shape.kind == Kind::Timestamp {
        let format = timestamp_format(shape, member, format);
        let text = value.as_f64().and_then(|seconds| timestamp::text(seconds, format));
        return text.ok_or_else(|| OutputError::new(path, value, "a timestamp in seconds"));
    }
    check(shape.kind, value, path)?;
    Ok(match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

fn timestamp_format(shape: &Shape, member: &Member, default: TimestampFormat) -> TimestampFormat {
    member.timestamp_format.or(shape.timestamp_format).unwrap_or(default)
}
