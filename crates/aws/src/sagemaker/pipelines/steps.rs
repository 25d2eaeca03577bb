//! `ListPipelineExecutionSteps`.

use bessemer_pipelines::{Source, Step, StepRun, StepState};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{error::Error, times::seconds},
    describe::Members,
    execution::find,
};
use crate::platform::Platform;

/// Steps on a page that asks for no number.
const PAGE: usize = 100;

/// Characters that a reason may have.
const REASON: usize = 1_024;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSteps {
    pipeline_execution_arn: Option<String>,
    next_token: Option<String>,
    max_results: Option<usize>,
    sort_order: Option<String>,
}

/// The steps that were begun, the latest first.
pub(super) async fn list(platform: &Platform, input: ListSteps) -> Result<Value, Error> {
    let arn = input.pipeline_execution_arn.unwrap_or_default();
    let found = find(platform, &arn).await?;
    let mut begun: Vec<(u64, usize, &Step, &StepRun)> = Vec::new();
    for (index, step) in found.definition.steps.iter().enumerate() {
        if let Some(run) = found.execution.steps.get(&step.name)
            && run.state.status().is_some()
        {
            begun.push((run.started_at.unwrap_or_default(), index, step, run));
        }
    }
    begun.sort_by_key(|(at, index, ..)| (*at, *index));
    if input.sort_order.as_deref() != Some("Ascending") {
        begun.reverse();
    }
    let skipped = match input.next_token {
        Some(token) => token.parse().map_err(|_| Error::PageToken)?,
        None => 0,
    };
    let most = input.max_results.unwrap_or(PAGE).max(1);
    let next = (begun.len() > skipped + most).then(|| (skipped + most).to_string());
    let page = begun.iter().skip(skipped).take(most);
    let steps: Vec<Value> = page.map(|(_, _, step, run)| shown(step, run)).collect();
    Ok(json!({ "PipelineExecutionSteps": steps, "NextToken": next }))
}

fn shown(step: &Step, run: &StepRun) -> Value {
    let reason = match &run.state {
        StepState::Failed(failure) | StepState::Backoff { failure, .. } => {
            Value::from(failure.reason.chars().take(REASON).collect::<String>())
        }
        _ => Value::Null,
    };
    let (mut cached, mut selected) = (Value::Null, Value::Null);
    if let StepState::Succeeded { source: Some(source), .. } = &run.state {
        match source {
            Source::Cache(arn) => cached = json!({ "SourcePipelineExecutionArn": arn }),
            Source::Selected(arn) => selected = json!({ "SourcePipelineExecutionArn": arn }),
        }
    }
    Members::default()
        .with("StepName", step.name.as_str())
        .with("StepDisplayName", step.display_name.clone())
        .with("StepDescription", step.description.clone())
        .with("StartTime", run.started_at.map_or(Value::Null, seconds))
        .with("EndTime", run.ended_at.map_or(Value::Null, seconds))
        .with("StepStatus", run.state.status())
        .with("FailureReason", reason)
        .with("Metadata", if run.metadata.is_null() { json!({}) } else { run.metadata.clone() })
        .with("AttemptCount", run.attempts)
        .with("CacheHitResult", cached)
        .with("SelectiveExecutionResult", selected)
        .done()
}
