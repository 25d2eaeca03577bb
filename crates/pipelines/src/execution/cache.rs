//! What makes the result of a step as good as an earlier one.

use std::collections::BTreeMap;

use bessemer_domain::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::state::Order;
use crate::definition::{Step, StepKind};

/// The arguments that AWS goes by: what decides the result, and not where it goes or on which
/// instance it is made.
/// <https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-default-keys.html>
fn deciding(kind: &StepKind) -> Option<&'static [&'static str]> {
    match kind {
        StepKind::Processing => Some(&["AppSpecification", "Environment", "ProcessingInputs"]),
        StepKind::Training => Some(&[
            "AlgorithmSpecification",
            "CheckpointConfig",
            "DebugHookConfig",
            "DebugRuleConfigurations",
            "Environment",
            "HyperParameters",
            "InputDataConfig",
        ]),
        StepKind::Tuning => Some(&[
            "HyperParameterTuningJobConfig",
            "TrainingJobDefinition",
            "TrainingJobDefinitions",
        ]),
        StepKind::Transform => {
            Some(&["DataProcessing", "Environment", "ModelName", "TransformInput"])
        }
        _ => None,
    }
}

/// What a model is, as Describe tells of it, apart from its name.
const OF_MODEL: [&str; 3] = ["Containers", "EnableNetworkIsolation", "PrimaryContainer"];

/// What the result of `order` is found by, if the step is cached. `model`: what was described of the
/// model that it scores with, if the execution has made that. Each execution gives it another name.
pub(super) fn key(step: &Step, order: &Order, model: Option<&Value>) -> Option<String> {
    step.cache?;
    let arguments = match (&step.kind, deciding(&step.kind)) {
        (_, Some(names)) => {
            let of = names.iter().map(|name| match model {
                Some(model) if *name == "ModelName" => {
                    let of = OF_MODEL.iter().map(|member| (*member, canonical(&model[*member])));
                    (*name, of.collect())
                }
                _ => (*name, canonical(&order.arguments[*name])),
            });
            of.collect()
        }
        (StepKind::Lambda(_) | StepKind::Callback(_), None) => canonical(&order.arguments),
        _ => return None,
    };
    let mut hash = Sha256::new();
    for part in [step.kind.as_str(), order.target.as_deref().unwrap_or_default()] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(arguments.to_string());
    Some(hex(&hash.finalize()))
}

/// The same with members in the order of their names.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let sorted: BTreeMap<&String, Value> =
                members.iter().map(|(name, value)| (name, canonical(value))).collect();
            sorted.into_iter().map(|(name, value)| (name.clone(), value)).collect()
        }
        Value::Array(entries) => entries.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::definition::Definition;

    #[test]
    fn models_that_executions_make_are_known_by_what_they_are_made_of() {
        let steps = json!([{"Name": "T", "Type": "Transform", "Arguments": {}, "CacheConfig": {"Enabled": true}}]);
        let text = json!({"Version": "2020-12-01", "Steps": steps}).to_string();
        let definition = Definition::parse(&text).expect("a definition");
        let found = |name: &str, model: Option<Value>| {
            let order = Order {
                attempt: 1,
                name: "pipelines-a-T-x".to_owned(),
                arguments: json!({"ModelName": name, "TransformInput": {"ContentType": "text/csv"}}),
                target: None,
                token: None,
                is_taken: false,
                since: 0,
                heard_at: 0,
                timeout_millis: None,
                heartbeat_millis: None,
                retries: None,
            };
            key(&definition.steps[0], &order, model.as_ref()).expect("it is cached")
        };
        let made = |name: &str, data: &str| {
            Some(
                json!({"ModelName": name, "CreationTime": name.len(), "PrimaryContainer": {"ModelDataUrl": data}}),
            )
        };
        let first = found("one", made("one", "s3://b/m"));
        assert_eq!(found("another", made("another", "s3://b/m")), first);
        assert_ne!(found("another", made("another", "s3://b/n")), first);
        assert_ne!(found("one", None), found("another", None));
    }
}
