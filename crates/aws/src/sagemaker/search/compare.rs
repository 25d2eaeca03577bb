//! Properties of records, and how their values compare with the texts of filters.

use std::cmp::Ordering;

use bessemer_aws_wire::timestamp_seconds;
use serde_json::Value;

/// The values at `path`, as in `ResourceConfig.InstanceType`; a list on the way stands for each of
/// its elements. A name with dots of its own goes before the path that it could be.
pub(super) fn property<'v>(value: &'v Value, path: &str) -> Vec<&'v Value> {
    match value {
        Value::Array(elements) => {
            elements.iter().flat_map(|element| property(element, path)).collect()
        }
        Value::Object(members) => match members.get(path) {
            Some(Value::Array(elements)) => elements.iter().collect(),
            Some(found) => vec![found],
            None => {
                let parts = path.split_once('.');
                let member = parts.and_then(|(head, rest)| Some((members.get(head)?, rest)));
                member.map(|(member, rest)| property(member, rest)).unwrap_or_default()
            }
        },
        _ => Vec::new(),
    }
}

/// Whether a property is an instant, which filters write in ISO 8601.
pub(super) fn is_time(name: &str) -> bool {
    ["Time", "Timestamp"].iter().any(|end| name.ends_with(end))
}

/// Whether a property's values have an order beyond that of texts.
pub(super) fn is_ordered(name: &str) -> bool {
    let ends = ["InSeconds", "InGB", "InMB", "InMilliseconds", "Count", "Attempts", "Transforms"];
    let begins = ["HyperParameters.", "Metrics.", "Tags."];
    is_time(name)
        || ends.iter().any(|end| name.ends_with(end))
        || begins.iter().any(|begin| name.starts_with(begin))
}

/// How the `found` value of property `name` compares with the text of a filter; none if it can't.
pub(super) fn compare(name: &str, found: &Value, wanted: &str) -> Option<Ordering> {
    match found {
        Value::Number(found) if is_time(name) => {
            found.as_f64()?.partial_cmp(&timestamp_seconds(wanted)?)
        }
        Value::Number(found) => found.as_f64()?.partial_cmp(&wanted.parse().ok()?),
        Value::Bool(found) => Some(found.cmp(&wanted.parse().ok()?)),
        Value::String(found) => {
            Some(as_numbers(found, wanted).unwrap_or(found.as_str().cmp(wanted)))
        }
        _ => None,
    }
}

/// Texts that are numbers compare as such, without fractions if the filter's has none.
fn as_numbers(found: &str, wanted: &str) -> Option<Ordering> {
    let number: f64 = found.parse().ok()?;
    match wanted.parse::<i64>() {
        Ok(whole) => number.trunc().partial_cmp(&(whole as f64)),
        Err(_) => number.partial_cmp(&wanted.parse().ok()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn properties_are_found_by_their_path() {
        let record = json!({
            "A": { "B": 1, "c.d": "dotted" },
            "L": [{ "N": "x" }, { "N": "y" }],
        });
        assert_eq!(property(&record, "A.B"), [&json!(1)]);
        assert_eq!(property(&record, "A.c.d"), [&json!("dotted")]);
        assert_eq!(property(&record, "L.N"), [&json!("x"), &json!("y")]);
        assert!(property(&record, "A.B.C").is_empty() && property(&record, "X").is_empty());
    }

    #[test]
    fn values_compare_by_their_type() {
        let with = |name: &str, found: Value, wanted: &str| compare(name, &found, wanted);
        assert_eq!(with("InstanceCount", json!(2), "10"), Some(Ordering::Less));
        assert_eq!(with("InstanceCount", json!(2), "x"), None);
        assert_eq!(
            with("CreationTime", json!(0.5), "1970-01-01T00:00:00"),
            Some(Ordering::Greater)
        );
        assert_eq!(with("EnableNetworkIsolation", json!(true), "true"), Some(Ordering::Equal));
        assert_eq!(with("HyperParameters.rate", json!("0.25"), "0.5"), Some(Ordering::Less));
        assert_eq!(with("HyperParameters.depth", json!("3.7"), "3"), Some(Ordering::Equal));
        assert_eq!(with("TrainingJobName", json!("b"), "a"), Some(Ordering::Greater));
    }
}
