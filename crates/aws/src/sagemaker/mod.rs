//! SageMaker: models, transform jobs, tags.

mod error;
mod models;
mod tags;
mod times;
mod transform;

use bessemer_aws_wire::{Call, ServiceError};
use serde_json::Value;

use crate::{caller::Caller, decode::decode, platform::Platform, server::unsupported};
pub use transform::TransformRequest;

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
        "ListTransformJobs" => transform::list(platform, decode(call)?).await,
        "StopTransformJob" => transform::stop(platform, decode(call)?).await,
        "AddTags" => tags::add(platform, decode(call)?).await,
        "ListTags" => tags::list(platform, decode(call)?).await,
        "DeleteTags" => tags::delete(platform, decode(call)?).await,
        other => return Err(unsupported("sagemaker", other)),
    };
    answered.map_err(|error| error.answer(call.service))
}
