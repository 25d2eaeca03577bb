//! Pipelines: definitions, executions, callbacks; and [`StepBackend`], which runs their steps by
//! the same handlers that calls reach.

mod backend;
mod callback_step;
mod callbacks;
mod changes;
mod definition;
mod describe;
mod execution;
mod lambda_step;
mod list;
mod outcome;
mod plan;
mod start;
mod steps;
mod versions;

use bessemer_aws_wire::{Call, ServiceError};
use serde_json::Value;

use super::error::Error;
use crate::{caller::Caller, decode::decode, platform::Platform};

pub use backend::StepBackend;
pub(crate) use plan::plan;

/// Answers a call, if it is one of pipelines.
pub(super) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Option<Result<Value, Error>>, ServiceError> {
    let answered = match call.operation.name() {
        "CreatePipeline" => changes::create(platform, caller, decode(call)?).await,
        "UpdatePipeline" => changes::update(platform, caller, decode(call)?).await,
        "DeletePipeline" => changes::delete(platform, caller, decode(call)?).await,
        "DescribePipeline" => describe::describe(platform, caller, decode(call)?).await,
        "ListPipelines" => list::pipelines(platform, decode(call)?).await,
        "ListPipelineVersions" => versions::list(platform, caller, decode(call)?).await,
        "UpdatePipelineVersion" => versions::update(platform, caller, decode(call)?).await,
        "StartPipelineExecution" => {
            start::start(platform, caller, decode(call)?, &call.input).await
        }
        "DescribePipelineExecution" => execution::describe(platform, decode(call)?).await,
        "ListPipelineExecutions" => list::executions(platform, caller, decode(call)?).await,
        "ListPipelineExecutionSteps" => steps::list(platform, decode(call)?).await,
        "ListPipelineParametersForExecution" => {
            execution::parameters(platform, decode(call)?).await
        }
        "DescribePipelineDefinitionForExecution" => {
            execution::definition(platform, decode(call)?).await
        }
        "UpdatePipelineExecution" => execution::update(platform, decode(call)?).await,
        "StopPipelineExecution" => execution::stop(platform, decode(call)?).await,
        "RetryPipelineExecution" => execution::retry(platform, decode(call)?).await,
        "SendPipelineExecutionStepSuccess" => callbacks::success(platform, decode(call)?).await,
        "SendPipelineExecutionStepFailure" => callbacks::failure(platform, decode(call)?).await,
        _ => return Ok(None),
    };
    Ok(Some(answered))
}
