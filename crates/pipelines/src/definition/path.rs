//! Paths into JSON: `ModelArtifacts.S3ModelArtifacts`, `Outputs['train'].S3Uri`, `metrics[0].value`.

use serde_json::Value;

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A member of an object, or the entry of a list that has this name.
    Key(String),
    /// An entry of a list, counted from 0.
    Index(usize),
}

/// The members that entries of AWS's lists are named by.
const NAMES: [&str; 5] = ["OutputName", "InputName", "ChannelName", "MetricName", "Name"];

/// Reads a path; none if it is malformed.
pub(super) fn parse_path(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text.strip_prefix("$.").unwrap_or(text);
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let (part, left) = bracketed(after)?;
            parts.push(part);
            rest = left;
        } else {
            let plain = if parts.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = plain.find(['.', '[']).unwrap_or(plain.len());
            if end == 0 {
                return None;
            }
            parts.push(Part::Key(plain[..end].to_owned()));
            rest = &plain[end..];
        }
    }
    (!parts.is_empty()).then_some(parts)
}

/// What stands in brackets, and what follows them.
fn bracketed(text: &str) -> Option<(Part, &str)> {
    for quote in ['\'', '"'] {
        if let Some(quoted) = text.strip_prefix(quote) {
            let (key, rest) = quoted.split_once(quote)?;
            return Some((Part::Key(key.to_owned()), rest.strip_prefix(']')?));
        }
    }
    let (index, rest) = text.split_once(']')?;
    Some((Part::Index(index.parse().ok()?), rest))
}

/// What a path leads to.
pub(crate) fn find<'v>(value: &'v Value, path: &[Part]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, part| match (value, part) {
        (Value::Object(members), Part::Key(key)) => members.get(key),
        (Value::Array(entries), Part::Index(index)) => entries.get(*index),
        (Value::Array(entries), Part::Key(key)) => entries
            .iter()
            .find(|entry| NAMES.iter().any(|name| entry[name].as_str() == Some(key.as_str()))),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_through_objects_lists_and_names() {
        let value = json!({
            "Outputs": [{"OutputName": "test"}, {"OutputName": "train", "S3": {"Uri": "s3://b/t"}}],
            "a b": [[1, 2], [3]],
        });
        let at = |path: &str| find(&value, &parse_path(path).expect("a path")).cloned();
        assert_eq!(at("Outputs['train'].S3.Uri"), Some(json!("s3://b/t")));
        assert_eq!(at("Outputs[0].OutputName"), Some(json!("test")));
        assert_eq!(at("$.Outputs[\"train\"]['S3']"), Some(json!({"Uri": "s3://b/t"})));
        assert_eq!(at("['a b'][0][1]"), Some(json!(2)));
        assert_eq!(at("Outputs['valid']"), None);
        assert_eq!(at("Outputs.S3"), None);
        for wrong in ["", ".a", "a..b", "a.", "a[", "a[x]", "a['b", "a[0]b"] {
            assert_eq!(parse_path(wrong), None, "{wrong}");
        }
    }
}
