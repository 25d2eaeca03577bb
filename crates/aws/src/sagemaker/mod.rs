//! SageMaker: models, jobs, tuning jobs, pipelines, the model registry, tags.

mod error;
mod jobs;
mod models;
mod pipelines;
mod processing;
mod registry;
mod search;
mod tags;
mod times;
mod training;
mod transform;
mod tuning;

use bessemer_aws_wire::{Call, ServiceError};
use bessemer_domain::JobKind::{Processing, Training, Transform};
use serde_json::Value;

use crate::{caller::Caller, decode::decode, platform::Platform, server::unsupported};
pub use jobs::{FinalMetric, JobRequest, JobResult};
pub use pipelines::StepBackend;
pub(crate) use pipelines::plan as plan_pipeline;
pub use transform::TransformRequest;
pub use tuning::resume_tuning;

/// Answers a call.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Value, ServiceError> {
    let answered = match call.operation.name() {
        "CreateModel" => models::create(platform, caller, &call.input).await,
        "DescribeModel" => models::describe(platform, caller, decode(call)?).await,
        "ListModels" => models::list(platform, decode(call)?).await,
        "DeleteModel" => models::delete(platform, caller, decode(call)?).await,
        "CreateTransformJob" => transform::create(platform, caller, &call.input).await,
        "DescribeTransformJob" => transform::describe(platform, decode(call)?).await,
        "ListTransformJobs" => jobs::list(platform, Transform, decode(call)?).await,
        "StopTransformJob" => jobs::stop(platform, Transform, decode(call)?).await,
        "CreateTrainingJob" => training::create(platform, caller, &call.input).await,
        "DescribeTrainingJob" => training::describe(platform, decode(call)?).await,
        "ListTrainingJobs" => jobs::list(platform, Training, decode(call)?).await,
        "StopTrainingJob" => jobs::stop(platform, Training, decode(call)?).await,
        "UpdateTrainingJob" => training::update(platform, decode(call)?).await,
        "CreateProcessingJob" => processing::create(platform, caller, &call.input).await,
        "DescribeProcessingJob" => processing::describe(platform, decode(call)?).await,
        "ListProcessingJobs" => jobs::list(platform, Processing, decode(call)?).await,
        "StopProcessingJob" => jobs::stop(platform, Processing, decode(call)?).await,
        "Search" => search::search(platform, decode(call)?).await,
        "AddTags" => tags::add(platform, decode(call)?).await,
        "ListTags" => tags::list(platform, decode(call)?).await,
        "DeleteTags" => tags::delete(platform, decode(call)?).await,
        other => match pipelines::call(platform, caller, call).await? {
            Some(answered) => answered,
            None => match registry::call(platform, caller, call).await? {
                Some(answered) => answered,
                None => match tuning::call(platform, caller, call).await? {
                    Some(answered) => answered,
                    None => return Err(unsupported("sagemaker", other)),
                },
            },
        },
    };
    answered.map_err(|error| error.answer(call.service))
}
