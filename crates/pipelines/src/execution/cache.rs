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

/// What the result of `order` is found by, if the step is cached.
pub(super) fn key(step: &Step, order: &Order) -> Option<String> {
    step.cache?;
    let arguments = match (&step.kind, deciding(&step.kind)) {
        (_, Some(names)) => {
            let of = names.iter().map(|name| (*name, canonical(&order.arguments[*name])));
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
