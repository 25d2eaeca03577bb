//! Outputs as XML, as the query protocol has them.

use serde_json::Value;

use super::encode::{OutputError, join, text};
use crate::{
    Service,
    model::{Kind, Member, Shape},
    timestamp::TimestampFormat,
};

/// `text` between tags, without what XML can't hold.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\r' => escaped.push_str("&#13;"),
            '\u{FFFE}' | '\u{FFFF}' => escaped.push('\u{FFFD}'),
            '\t' | '\n' | ' '.. => escaped.push(character),
            _ => escaped.push('\u{FFFD}'),
        }
    }
    escaped
}

/// The members of a structure, each as an element.
pub(super) fn members(
    service: &Service,
    shape: &Shape,
    value: &Value,
    path: &str,
    out: &mut String,
) -> Result<(), OutputError> {
    let Value::Object(object) = value else {
        return Err(OutputError::new(path, value, "a structure"));
    };
    for (name, member) in &shape.members {
        if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
            element(service, member, member.query_name(name), value, &join(path, name), out)?;
        }
    }
    Ok(())
}

fn element(
    service: &Service,
    member: &Member,
    tag: &str,
    value: &Value,
    path: &str,
    out: &mut String,
) -> Result<(), OutputError> {
    let shape = service.shape(&member.shape);
    let flattened = shape.flattened || member.flattened;
    match shape.kind {
        Kind::List if flattened => {
            let tag = shape.member.as_ref().map_or(tag, |member| member.wire_name(tag));
            return elements(service, shape, tag, value, path, out);
        }
        Kind::Map if flattened => return entries(service, shape, tag, value, path, out),
        _ => {}
    }
    out.push_str(&format!("<{tag}>"));
    match shape.kind {
        Kind::Structure => members(service, shape, value, path, out)?,
        Kind::List => {
            let name = shape.member.as_ref().map_or("member", |member| member.wire_name("member"));
            elements(service, shape, name, value, path, out)?;
        }
        Kind::Map => entries(service, shape, "entry", value, path, out)?,
        _ => {
            let text = text(shape, member, value, path, TimestampFormat::Iso8601)?;
            out.push_str(&escape(&text));
        }
    }
    out.push_str(&format!("</{tag}>"));
    Ok(())
}

fn elements(
    service: &Service,
    shape: &Shape,
    tag: &str,
    value: &Value,
    path: &str,
    out: &mut String,
) -> Result<(), OutputError> {
    let (Value::Array(values), Some(member)) = (value, &shape.member) else {
        return Err(OutputError::new(path, value, "a list"));
    };
    for (index, value) in values.iter().enumerate() {
        element(service, member, tag, value, &join(path, &index.to_string()), out)?;
    }
    Ok(())
}

fn entries(
    service: &Service,
    shape: &Shape,
    tag: &str,
    value: &Value,
    path: &str,
    out: &mut String,
) -> Result<(), OutputError> {
    let (Value::Object(values), Some(key), Some(member)) = (value, &shape.key, &shape.value) else {
        return Err(OutputError::new(path, value, "a map"));
    };
    for (name, value) in values.iter().filter(|(_, value)| !value.is_null()) {
        let key = key.wire_name("key");
        out.push_str(&format!("<{tag}><{key}>{}</{key}>", escape(name)));
        element(service, member, member.wire_name("value"), value, &join(path, name), out)?;
        out.push_str(&format!("</{tag}>"));
    }
    Ok(())
}
