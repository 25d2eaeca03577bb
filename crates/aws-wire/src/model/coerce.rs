//! A decoded JSON value made to fit a shape, or the error of a value of another type.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

use super::{Kind, Member, Service, Shape};
use crate::{ServiceError, timestamp};

/// `value` without members that the shape doesn't have and without nulls, its timestamps as
/// numbers.
///
/// The texts of the errors are the ones of AWS's JSON services.
pub(crate) fn coerce(
    service: &Service,
    shape: &Shape,
    value: Value,
) -> Result<Value, ServiceError> {
    match shape.kind {
        _ if shape.document => Ok(value),
        Kind::Structure => structure(service, shape, value),
        Kind::List => list(service, shape, value),
        Kind::Map => map(service, shape, value),
        _ => scalar(shape.kind, value),
    }
}

fn error(message: impl Into<String>) -> ServiceError {
    ServiceError::new("SerializationException", message)
}

fn structure(service: &Service, shape: &Shape, value: Value) -> Result<Value, ServiceError> {
    let mut sent = match value {
        Value::Object(sent) => sent,
        Value::Array(_) => return Err(error("Start of list found where not expected")),
        _ => return Err(error("Expected null")),
    };
    let mut fitted = Map::new();
    for (name, member) in &shape.members {
        let key = if member.location.is_none() { member.wire_name(name) } else { name };
        if let Some(value) = sent.remove(key).filter(|value| !value.is_null()) {
            let value = coerce(service, service.shape(&member.shape), value)?;
            fitted.insert(name.clone(), value);
        }
    }
    Ok(Value::Object(fitted))
}

fn list(service: &Service, shape: &Shape, value: Value) -> Result<Value, ServiceError> {
    let sent = match value {
        Value::Array(sent) => sent,
        Value::Object(_) => {
            return Err(error("Start of structure or map found where not expected."));
        }
        _ => return Err(error("Expected list or null")),
    };
    let element = part(service, shape.member.as_ref());
    let fitted = sent.into_iter().map(|value| optional(service, element, value));
    Ok(Value::Array(fitted.collect::<Result<_, _>>()?))
}

fn map(service: &Service, shape: &Shape, value: Value) -> Result<Value, ServiceError> {
    let sent = match value {
        Value::Object(sent) => sent,
        Value::Array(_) => return Err(error("Start of list found where not expected")),
        _ => return Err(error("Expected map or null")),
    };
    let element = part(service, shape.value.as_ref());
    let fitted = sent
        .into_iter()
        .map(|(key, value)| Ok((key, optional(service, element, value)?)))
        .collect::<Result<Map<_, _>, ServiceError>>()?;
    Ok(Value::Object(fitted))
}

fn part<'m>(service: &'m Service, member: Option<&Member>) -> Option<&'m Shape> {
    member.map(|member| service.shape(&member.shape))
}

/// An element, which may be null: that is for the constraints to refuse.
fn optional(service: &Service, shape: Option<&Shape>, value: Value) -> Result<Value, ServiceError> {
    match shape {
        Some(shape) if !value.is_null() => coerce(service, shape, value),
        _ => Ok(value),
    }
}

fn scalar(kind: Kind, value: Value) -> Result<Value, ServiceError> {
    let token = match &value {
        Value::Array(_) => return Err(error("Start of list found where not expected")),
        Value::Object(_) => {
            return Err(error("Start of structure or map found where not expected."));
        }
        Value::String(_) => "STRING_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Null => return Ok(value),
    };
    let (fitted, wanted) = match kind {
        Kind::Boolean => (value.is_boolean().then_some(value), "a Boolean"),
        Kind::Byte => (whole(&value, i8::MIN.into(), i8::MAX.into()), "a Byte"),
        Kind::Short => (whole(&value, i16::MIN.into(), i16::MAX.into()), "a Short"),
        Kind::Integer => (whole(&value, i32::MIN.into(), i32::MAX.into()), "an Integer"),
        Kind::Long | Kind::BigInteger => (whole(&value, i64::MIN, i64::MAX), "a Long"),
        Kind::Float | Kind::Double | Kind::BigDecimal => (real(value), "a Double"),
        Kind::Timestamp => (instant(value), "a Date"),
        Kind::Blob => (binary(value), "a Blob"),
        _ => (value.is_string().then_some(value), "a String"),
    };
    fitted.ok_or_else(|| error(format!("{token} can not be converted to {wanted}")))
}

/// A number without fraction; what lies outside becomes the nearest bound, which the constraints
/// then refuse.
fn whole(value: &Value, least: i64, most: i64) -> Option<Value> {
    let Value::Number(number) = value else { return None };
    let exact = number.as_i64().map(|number| number.clamp(least, most));
    let rounded = number.as_f64().filter(|number| number.fract() == 0.0);
    let rounded = rounded.map(|number| number.clamp(least as f64, most as f64) as i64);
    exact.or(rounded).map(Value::from)
}

/// JSON has no name for the numbers that are none.
fn real(value: Value) -> Option<Value> {
    match &value {
        Value::Number(_) => Some(value),
        Value::String(text) if ["NaN", "Infinity", "-Infinity"].contains(&text.as_str()) => {
            Some(value)
        }
        _ => None,
    }
}

fn instant(value: Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value),
        Value::String(text) => timestamp::parse(&text),
        _ => None,
    }
}

fn binary(value: Value) -> Option<Value> {
    let valid = value.as_str().is_some_and(|text| STANDARD.decode(text).is_ok());
    valid.then_some(value)
}
