//! What is told of changes: the events that AWS sends, for the outbox.
//! <https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html>

use bessemer_store::NewEvent;
use chrono::DateTime;
use serde_json::{Map, Value, json};

use crate::{
    definition::Definition,
    execution::{Execution, Status, StepRun},
};

/// What events of AWS's form are kept under.
const TOPIC: &str = "aws.sagemaker";

/// The events of what `next` has and `before` had not.
pub(super) fn of_change(
    definition: &Definition,
    before: Option<&Execution>,
    next: &Execution,
    names: (Option<&str>, Option<&str>),
    now: u64,
) -> Vec<NewEvent> {
    let mut events = Vec::new();
    let status_before = before.map(|execution| execution.status);
    if status_before != Some(next.status) {
        let mut detail = base(next);
        let mut add = |name: &str, value: Value| detail.insert(name.to_owned(), value);
        add("pipelineExecutionDisplayName", json!(names.0));
        add("pipelineExecutionDescription", json!(names.1));
        add("currentPipelineExecutionStatus", json!(next.status.as_str()));
        add("previousPipelineExecutionStatus", json!(status_before.map(Status::as_str)));
        add("executionStartTime", json!(time(next.facts.started_at)));
        if next.status.is_final() {
            add("executionEndTime", json!(time(now)));
        }
        events.push(event(
            next,
            "SageMaker Model Building Pipeline Execution Status Change",
            &detail,
            now,
        ));
    }
    for step in &definition.steps {
        let of = |execution: &Execution| execution.steps.get(&step.name).cloned();
        let (Some(run), earlier) = (of(next), before.and_then(of)) else { continue };
        let previous = earlier.as_ref().and_then(|run| run.state.status());
        let Some(status) = run.state.status().filter(|status| Some(*status) != previous) else {
            continue;
        };
        let mut detail = base(next);
        let mut add = |name: &str, value: Value| detail.insert(name.to_owned(), value);
        add("stepName", json!(step.name));
        add("stepType", json!(step.kind.as_str()));
        add("previousStepStatus", json!(previous));
        add("currentStepStatus", json!(status));
        times(&run, &mut add);
        add("metadata", lowered(&run.metadata));
        let kind = "SageMaker Model Building Pipeline Execution Step Status Change";
        events.push(event(next, kind, &detail, now));
    }
    events
}

fn times(run: &StepRun, add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    if let Some(at) = run.started_at {
        add("stepStartTime", json!(time(at)));
    }
    if let Some(at) = run.ended_at {
        add("stepEndTime", json!(time(at)));
    }
}

fn base(execution: &Execution) -> Map<String, Value> {
    let facts = &execution.facts;
    let pair = |name: &str, value: &str| (name.to_owned(), json!(value));
    Map::from_iter([
        pair("pipelineArn", &facts.pipeline_arn),
        pair("pipelineExecutionArn", &facts.arn),
    ])
}

fn event(execution: &Execution, kind: &str, detail: &Map<String, Value>, now: u64) -> NewEvent {
    let facts = &execution.facts;
    let mut arn = facts.arn.split(':').skip(3);
    let (region, account) = (arn.next().unwrap_or_default(), arn.next().unwrap_or_default());
    let body = json!({
        "version": "0",
        "detail-type": kind,
        "source": TOPIC,
        "account": account,
        "time": time(now),
        "region": region,
        "resources": [facts.pipeline_arn, facts.arn],
        "detail": detail,
    });
    NewEvent { topic: TOPIC.to_owned(), subject: facts.arn.clone(), body: body.to_string() }
}

/// The same with names as events have them: `processingJob` for `ProcessingJob`.
fn lowered(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| {
                let mut letters = name.chars();
                let first = letters.next().map(|first| first.to_ascii_lowercase());
                (first.into_iter().chain(letters).collect::<String>(), lowered(value))
            });
            Value::Object(members.collect())
        }
        Value::Array(entries) => entries.iter().map(lowered).collect(),
        Value::Null => json!({}),
        other => other.clone(),
    }
}

fn time(millis: u64) -> String {
    let instant = DateTime::from_timestamp_millis(i64::try_from(millis).unwrap_or(i64::MAX));
    instant.map(|instant| instant.format("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default()
}
