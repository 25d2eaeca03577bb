//! `SendPipelineExecutionStepSuccess` and `…Failure`: answers to callbacks.

use bessemer_pipelines::Answer;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::error::Error;
use crate::platform::Platform;

/// The output parameter that makes a success a sign of life: the step is still worked on.
const HEARTBEAT: &str = "BESSEMER_HEARTBEAT";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StepSuccess {
    callback_token: String,
    #[serde(default)]
    output_parameters: Vec<OutputParameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutputParameter {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StepFailure {
    callback_token: String,
    failure_reason: Option<String>,
}

pub(super) async fn success(platform: &Platform, input: StepSuccess) -> Result<Value, Error> {
    let outputs = input.output_parameters;
    let answer = if outputs.iter().any(|output| output.name == HEARTBEAT) {
        Answer::Heartbeat
    } else {
        let outputs = outputs.into_iter().map(|output| (output.name, json!(output.value)));
        Answer::Success(outputs.collect())
    };
    let arn = platform.pipelines.answer(&input.callback_token, answer).await?;
    Ok(json!({ "PipelineExecutionArn": arn }))
}

pub(super) async fn failure(platform: &Platform, input: StepFailure) -> Result<Value, Error> {
    let reason = input.failure_reason.filter(|reason| !reason.is_empty());
    let reason = reason.unwrap_or_else(|| "the callback was answered by a failure".to_owned());
    let arn = platform.pipelines.answer(&input.callback_token, Answer::Failure(reason)).await?;
    Ok(json!({ "PipelineExecutionArn": arn }))
}
