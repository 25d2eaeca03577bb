//! Inputs as people write them, with members in snake case, to inputs as the API names them.

use serde_json::{Map, Value, json};

use super::{Kind, Member, Service, Shape};

/// A member that an input has and its shape does not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{path}` is not a member of this call")]
pub struct UnknownMember {
    /// Where it is, with the members around it.
    pub path: String,
    /// The members that are known there.
    pub known: Vec<String>,
}

impl Service {
    /// `input` of `operation` with its members named as the API names them: `s3_uri` is `S3Uri`. A
    /// list of keys and values may be written as a map, and where a text is due, a number or a
    /// truth value may stand. Keys of maps stay as they are.
    pub fn named(&self, operation: &str, input: &Value) -> Result<Value, UnknownMember> {
        let shape = self.operation(operation).and_then(|operation| operation.input.as_ref());
        match shape.and_then(|name| self.shapes.get(name)) {
            Some(shape) => self.named_as(shape, input, ""),
            None => Ok(input.clone()),
        }
    }

    fn named_part(&self, part: &Member, value: &Value, path: &str) -> Result<Value, UnknownMember> {
        match self.shapes.get(&part.shape) {
            Some(shape) => self.named_as(shape, value, path),
            None => Ok(value.clone()),
        }
    }

    fn named_as(&self, shape: &Shape, value: &Value, path: &str) -> Result<Value, UnknownMember> {
        match (shape.kind, value) {
            (Kind::Structure, Value::Object(members)) if !shape.document => {
                let mut named = Map::new();
                for (name, value) in members {
                    let path = format!("{path}{name}");
                    let found = shape.members.iter().find(|(known, _)| plain(known) == plain(name));
                    let (known, member) = found.ok_or_else(|| UnknownMember {
                        path: path.clone(),
                        known: shape.members.iter().map(|(name, _)| name.clone()).collect(),
                    })?;
                    let value = self.named_part(member, value, &format!("{path}."))?;
                    named.insert(known.clone(), value);
                }
                Ok(Value::Object(named))
            }
            (Kind::List, Value::Array(elements)) => {
                let Some(member) = &shape.member else { return Ok(value.clone()) };
                let named = elements.iter().map(|element| self.named_part(member, element, path));
                named.collect()
            }
            (Kind::List, Value::Object(pairs)) if self.is_of_pairs(shape) => {
                let pair = |(key, value): (&String, &Value)| {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    json!({ "Key": key, "Value": value })
                };
                Ok(pairs.iter().map(pair).collect())
            }
            (Kind::Map, Value::Object(entries)) => {
                let Some(member) = &shape.value else { return Ok(value.clone()) };
                let mut named = Map::new();
                for (key, value) in entries {
                    let value = self.named_part(member, value, &format!("{path}{key}."))?;
                    named.insert(key.clone(), value);
                }
                Ok(Value::Object(named))
            }
            (Kind::String, Value::Number(_) | Value::Bool(_)) => Ok(json!(value.to_string())),
            _ => Ok(value.clone()),
        }
    }

    /// Whether a list's elements are keys with values, as tags are.
    fn is_of_pairs(&self, list: &Shape) -> bool {
        let element = list.member.as_ref().and_then(|member| self.shapes.get(&member.shape));
        element.is_some_and(|shape| {
            shape.members.iter().map(|(name, _)| name.as_str()).eq(["Key", "Value"])
        })
    }
}

/// A name without what tells snake case from AWS's.
fn plain(name: &str) -> String {
    name.chars().filter(|sign| !matches!(sign, '_' | '-')).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snake_case_becomes_the_apis_names_and_keys_of_maps_stay() {
        let sagemaker = crate::service("sagemaker").expect("it is served");
        let input = json!({
            "training_job_name": "a",
            "hyper_parameters": {"max_depth": 6, "verbose": true, "objective": "x"},
            "InputDataConfig": [{"channel_name": "train", "data_source": {
                "s3_data_source": {"s3_data_type": "S3Prefix", "s3_uri": "s3://b/p"},
            }}],
            "tags": {"team": "search"},
        });
        let expected = json!({
            "TrainingJobName": "a",
            "HyperParameters": {"max_depth": "6", "verbose": "true", "objective": "x"},
            "InputDataConfig": [{"ChannelName": "train", "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/p"},
            }}],
            "Tags": [{"Key": "team", "Value": "search"}],
        });
        assert_eq!(sagemaker.named("CreateTrainingJob", &input), Ok(expected));
        let wrong = json!({"output_data_config": {"s3_outputpth": "x"}});
        let error = sagemaker.named("CreateTrainingJob", &wrong).expect_err("there is none");
        assert_eq!(error.path, "output_data_config.s3_outputpth");
        assert!(error.known.contains(&"S3OutputPath".to_owned()));
    }
}
