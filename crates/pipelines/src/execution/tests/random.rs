//! Pipelines of random steps, each of which may wait for any before it.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, rngs::StdRng};
use serde_json::{Map, Value, json};

use super::super::{Execution, Facts, Hit, Selection, needs_of};
use crate::definition::Definition;

/// What was made so far.
struct Made<'r> {
    random: &'r mut StdRng,
    names: Vec<String>,
    /// Those that others may refer to.
    jobs: Vec<String>,
}

pub(super) fn definition(random: &mut StdRng) -> Definition {
    let count = random.random_range(1..9);
    let mut made = Made { random, names: Vec::new(), jobs: Vec::new() };
    let steps: Vec<Value> = (0..count).map(|_| made.step(0)).collect();
    let text = json!({"Version": "2020-12-01", "Parameters": [], "Steps": steps}).to_string();
    Definition::parse(&text).expect("a definition")
}

/// An execution of it that has not begun: of all steps, or of some.
pub(super) fn execution(random: &mut StdRng, definition: &Definition) -> Execution {
    let (mut selection, mut taken) = (None, BTreeMap::new());
    if random.random_bool(0.15) {
        let names = definition.steps.iter().map(|step| step.name.clone());
        let steps: Vec<String> = names.filter(|_| random.random_bool(0.5)).collect();
        let needs: BTreeSet<String> = needs_of(definition, &steps).expect("they are there");
        taken.extend(needs.into_iter().map(|need| (need.clone(), hit(&need))));
        selection = Some(Selection { source: Some("other".to_owned()), steps });
    }
    let facts = Facts {
        arn: "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/p/execution/abc".to_owned(),
        id: "abc".to_owned(),
        pipeline: "p".to_owned(),
        pipeline_arn: "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/p".to_owned(),
        started_at: 1_000,
        parameters: Map::new(),
        selection,
        timeout_millis: random.random_bool(0.1).then_some(60_000),
    };
    let limit = random.random_bool(0.5).then(|| random.random_range(1..4));
    Execution::new(definition, facts, limit, taken)
}

/// What a job of that name leaves.
pub(super) fn properties(name: &str) -> Value {
    let output = json!({"OutputName": "o", "S3Output": {"S3Uri": format!("s3://b/{name}")}});
    json!({"ProcessingOutputConfig": {"Outputs": [output]}, "Outcome": "True"})
}

/// The result that another execution has for a step.
pub(super) fn hit(step: &str) -> Hit {
    let properties = properties(&format!("other-{step}"));
    Hit { execution: "other".to_owned(), properties, metadata: json!({}) }
}

/// What is in a property file, or why it can't be read: always the same.
pub(super) fn content(uri: &str) -> Result<Value, String> {
    match uri.bytes().map(u32::from).sum::<u32>() % 10 {
        0 => Err("no such file".to_owned()),
        number => Ok(json!({ "v": number % 3 })),
    }
}

impl Made<'_> {
    /// A step, and those that are nested in it.
    fn step(&mut self, depth: usize) -> Value {
        let name = format!("S{}", self.names.len());
        let depends: Vec<String> =
            self.names.iter().filter(|_| self.random.random_bool(0.25)).cloned().collect();
        // Entered at once, so that what is nested in it has another name.
        self.names.push(name.clone());
        let kind = self.random.random_range(0..12);
        let mut step = match kind {
            0 | 1 if depth < 2 => self.condition(depth),
            2 => {
                json!({"Type": "Callback", "SqsQueueUrl": "http://q", "Arguments": self.settings()})
            }
            3 => json!({"Type": "Lambda", "FunctionArn": "f", "Arguments": self.settings()}),
            4 => json!({"Type": "Fail", "Arguments": {"ErrorMessage": "m"}}),
            _ => self.job(&name),
        };
        step["Name"] = json!(name);
        step["DependsOn"] = json!(depends);
        if kind > 1 && self.random.random_bool(0.4) {
            step["RetryPolicies"] = json!([{
                "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR", "Step.TIMEOUT"], "MaxAttempts": 2,
                "IntervalSeconds": 3,
            }, {"ExceptionType": ["Step.FAILURE"], "ExpireAfterMin": 1, "IntervalSeconds": 20}]);
        }
        if kind > 1 && self.random.random_bool(0.3) {
            step["CacheConfig"] = json!({"Enabled": true, "ExpireAfter": "P1D"});
        }
        step
    }

    /// What only this product's steps have.
    fn settings(&mut self) -> Value {
        let mut settings = Map::new();
        for (name, chance) in [("TIMEOUT", 0.3), ("HEARTBEAT", 0.2), ("RETRIES", 0.2)] {
            if self.random.random_bool(chance) {
                let number = self.random.random_range(1..30);
                let number = if name == "RETRIES" { number % 3 } else { number };
                settings.insert(format!("BESSEMER_STEP_{name}"), json!(number.to_string()));
            }
        }
        Value::Object(settings)
    }

    fn job(&mut self, name: &str) -> Value {
        let mut environment = self.settings();
        if let Some(other) = self.other_job() {
            let path = "ProcessingOutputConfig.Outputs['o'].S3Output.S3Uri";
            environment["IN"] = json!({"Get": format!("Steps.{other}.{path}")});
        }
        self.jobs.push(name.to_owned());
        json!({
            "Type": "Processing",
            "PropertyFiles": [{"PropertyFileName": "F", "OutputName": "o", "FilePath": "f.json"}],
            "Arguments": {
                "Environment": environment,
                "ProcessingOutputConfig": {"Outputs": [{"OutputName": "o"}]},
            },
        })
    }

    fn other_job(&mut self) -> Option<String> {
        if self.jobs.is_empty() || self.random.random_bool(0.5) {
            return None;
        }
        Some(self.jobs[self.random.random_range(0..self.jobs.len())].clone())
    }

    /// A condition on what a job has written, or on nothing.
    fn condition(&mut self, depth: usize) -> Value {
        let left = match self.other_job() {
            Some(job) => json!({"Std:JsonGet": {
                "PropertyFile": {"Get": format!("Steps.{job}.PropertyFiles.F")}, "Path": "v",
            }}),
            None => json!(1),
        };
        let right = self.random.random_range(1..3);
        let mut arguments =
            json!({"Conditions": [{"Type": "Equals", "LeftValue": left, "RightValue": right}]});
        for branch in ["IfSteps", "ElseSteps"] {
            let count = self.random.random_range(0..3);
            arguments[branch] = (0..count).map(|_| self.step(depth + 1)).collect();
        }
        json!({"Type": "Condition", "Arguments": arguments})
    }
}
