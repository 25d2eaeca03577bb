//! Executions that are there: describing, changing, stopping and retrying them.

use bessemer_pipelines::{Definition, Execution, PipelinesError};
use bessemer_store::{ExecutionRecord, PipelineRecord, VersionRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{error::Error, times::seconds},
    changes::Parallelism,
    describe::{Members, parallelism},
};
use crate::platform::Platform;

/// An input that names an execution.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExecutionArn {
    pipeline_execution_arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdatePipelineExecution {
    pipeline_execution_arn: String,
    pipeline_execution_description: Option<String>,
    pipeline_execution_display_name: Option<String>,
    parallelism_configuration: Option<Parallelism>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RetryPipelineExecution {
    pipeline_execution_arn: String,
    parallelism_configuration: Option<Parallelism>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListPipelineParameters {
    pipeline_execution_arn: String,
    next_token: Option<String>,
    max_results: Option<usize>,
}

/// An execution with all that belongs to it.
pub(super) struct Found {
    pub(super) record: ExecutionRecord,
    pub(super) pipeline: PipelineRecord,
    pub(super) version: VersionRecord,
    pub(super) definition: Definition,
    pub(super) execution: Execution,
}

/// The execution of that ARN.
pub(super) async fn find(platform: &Platform, arn: &str) -> Result<Found, Error> {
    let missing = || PipelinesError::NoExecution(arn.to_owned());
    let pipelines = platform.store.pipelines();
    let record = pipelines.execution(arn).await?.ok_or_else(missing)?;
    let pipeline = pipelines.of_execution(&record).await?.ok_or_else(missing)?;
    let version = pipelines.version(&pipeline, record.version).await?.ok_or_else(missing)?;
    let definition = Definition::parse(&version.definition).map_err(PipelinesError::from)?;
    let execution = platform.pipelines.read(&record).await?;
    Ok(Found { record, pipeline, version, definition, execution })
}

fn answered(arn: &str) -> Value {
    json!({ "PipelineExecutionArn": arn })
}

pub(super) async fn describe(platform: &Platform, input: ExecutionArn) -> Result<Value, Error> {
    let found = find(platform, &input.pipeline_execution_arn).await?;
    let Found { record, pipeline, definition, execution, .. } = found;
    let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
    let selection = execution.facts.selection.as_ref().map(|selection| {
        let steps = selection.steps.iter().map(|name| json!({ "StepName": name }));
        Members::default()
            .with("SourcePipelineExecutionArn", selection.source.clone())
            .with("SelectedSteps", steps.collect::<Value>())
            .done()
    });
    let answer = Members::default()
        .with("PipelineArn", pipeline.arn)
        .with("PipelineExecutionArn", record.arn)
        .with("PipelineExecutionDisplayName", request["PipelineExecutionDisplayName"].clone())
        .with("PipelineExecutionDescription", request["PipelineExecutionDescription"].clone())
        .with("PipelineExecutionStatus", execution.status.as_str())
        .with("PipelineExperimentConfig", execution.experiment(&definition))
        .with("FailureReason", execution.failure.clone())
        .with("CreationTime", seconds(record.created_at))
        .with("LastModifiedTime", seconds(record.modified_at))
        .with("ParallelismConfiguration", parallelism(execution.parallelism))
        .with("SelectiveExecutionConfig", selection)
        .with("PipelineVersionId", record.version)
        .with("RoleArn", request.get("RoleArn").cloned().unwrap_or(pipeline.role_arn.into()))
        .with("CreatedBy", json!({}))
        .with("LastModifiedBy", json!({}));
    Ok(answer.done())
}

/// The pages go on after the last name.
pub(super) async fn parameters(
    platform: &Platform,
    input: ListPipelineParameters,
) -> Result<Value, Error> {
    let found = find(platform, &input.pipeline_execution_arn).await?;
    let values = found.execution.facts.parameters.into_iter();
    let mut values: Vec<(String, Value)> = values.collect();
    values.sort_by(|one, other| one.0.cmp(&other.0));
    if let Some(last) = input.next_token {
        values.retain(|(name, _)| *name > last);
    }
    let most = input.max_results.unwrap_or(100).max(1);
    let next = (values.len() > most).then(|| values[most - 1].0.clone());
    values.truncate(most);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let listed = values.iter().map(|(name, value)| json!({ "Name": name, "Value": text(value) }));
    Ok(json!({ "PipelineParameters": listed.collect::<Value>(), "NextToken": next }))
}

pub(super) async fn definition(platform: &Platform, input: ExecutionArn) -> Result<Value, Error> {
    let found = find(platform, &input.pipeline_execution_arn).await?;
    Ok(json!({
        "PipelineDefinition": found.version.definition,
        "CreationTime": seconds(found.record.created_at),
    }))
}

pub(super) async fn update(
    platform: &Platform,
    input: UpdatePipelineExecution,
) -> Result<Value, Error> {
    let arn = input.pipeline_execution_arn;
    let names = [
        ("PipelineExecutionDescription", input.pipeline_execution_description),
        ("PipelineExecutionDisplayName", input.pipeline_execution_display_name),
    ];
    let names: Vec<(&str, String)> =
        names.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    let missing = || PipelinesError::NoExecution(arn.clone());
    let record = platform.store.pipelines().execution(&arn).await?.ok_or_else(missing)?;
    if let Some(limit) = input.parallelism_configuration {
        platform.pipelines.limit(&arn, limit.max_parallel_execution_steps).await?;
    }
    if !names.is_empty() {
        let mut request: Value = serde_json::from_str(&record.request).unwrap_or_default();
        for (name, text) in names {
            request[name] = json!(text);
        }
        platform.store.pipelines().set_request(record.id, request.to_string()).await?;
    }
    Ok(answered(&arn))
}

pub(super) async fn stop(platform: &Platform, input: ExecutionArn) -> Result<Value, Error> {
    platform.pipelines.stop(&input.pipeline_execution_arn).await?;
    Ok(answered(&input.pipeline_execution_arn))
}

pub(super) async fn retry(
    platform: &Platform,
    input: RetryPipelineExecution,
) -> Result<Value, Error> {
    let limit = input.parallelism_configuration.map(|one| one.max_parallel_execution_steps);
    platform.pipelines.retry(&input.pipeline_execution_arn, limit).await?;
    Ok(answered(&input.pipeline_execution_arn))
}
