//! YAML, which JSON is a part of, as JSON values.

use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

/// The one document in `text`, which is a map.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let mut documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    match (documents.len(), documents.pop()) {
        (1, Some(document)) => match value(document)? {
            Value::Object(members) => Ok(members),
            _ => Err("it is not a map of members".to_owned()),
        },
        (0, _) => Err("it is empty".to_owned()),
        (many, _) => Err(format!("it holds {many} documents; there is a job to a file")),
    }
}

fn value(yaml: Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Boolean(truth) => Value::Bool(truth),
        Yaml::Integer(number) => Value::Number(number.into()),
        Yaml::Real(text) => {
            let number = text.parse().ok().and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| format!("`{text}` is not a number"))?)
        }
        Yaml::String(text) => Value::String(text),
        Yaml::Array(elements) => elements.into_iter().map(value).collect::<Result<_, _>>()?,
        Yaml::Hash(entries) => {
            let mut members = Map::new();
            for (key, inner) in entries {
                members.insert(key_of(key)?, value(inner)?);
            }
            Value::Object(members)
        }
        Yaml::Alias(_) | Yaml::BadValue => return Err("it has a value of no known type".to_owned()),
    })
}

fn key_of(yaml: Yaml) -> Result<String, String> {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => Ok(text),
        Yaml::Integer(number) => Ok(number.to_string()),
        Yaml::Boolean(truth) => Ok(truth.to_string()),
        _ => Err("it has a key that is no text".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_and_json_are_read_alike() {
        let yaml = "kind: training\na: [1, 2.5, yes, 'x', null]\nb:\n  max_depth: 6\n  1: true\n";
        let expected = json!({
            "kind": "training", "a": [1, 2.5, "yes", "x", null],
            "b": {"max_depth": 6, "1": true},
        });
        assert_eq!(parse(yaml).map(Value::Object), Ok(expected.clone()));
        assert_eq!(parse(&expected.to_string()).map(Value::Object), Ok(expected));
        for wrong in ["", "- a", "a: 1\n---\nb: 2\n", "a: [", "{"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
