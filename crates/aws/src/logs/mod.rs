//! CloudWatch Logs over what jobs wrote. Groups and streams come into being with the first line.

mod error;
mod filter;
mod get;
mod groups;
mod pattern;
mod streams;

use bessemer_aws_wire::{Call, ServiceError};
use bessemer_domain::JobKind;
use serde_json::Value;

use crate::{caller::Caller, decode::decode, platform::Platform, server::unsupported};
use error::Error;

/// The group that jobs of a kind write to, as SageMaker names it.
pub fn group_of(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Transform => "/aws/sagemaker/TransformJobs",
        JobKind::Training => "/aws/sagemaker/TrainingJobs",
        JobKind::Processing => "/aws/sagemaker/ProcessingJobs",
    }
}

/// Answers a call.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Value, ServiceError> {
    let logs = platform.logs.clone();
    let caller = caller.clone();
    let answered = match call.operation.name() {
        "DescribeLogGroups" => {
            let input = decode(call)?;
            blocking(move || groups::describe(&logs, &caller, input)).await
        }
        "DescribeLogStreams" => {
            let input = decode(call)?;
            blocking(move || streams::describe(&logs, &caller, input)).await
        }
        "GetLogEvents" => {
            let input = decode(call)?;
            blocking(move || get::events(&logs, input)).await
        }
        "FilterLogEvents" => {
            let input = decode(call)?;
            blocking(move || filter::events(&logs, input)).await
        }
        other => return Err(unsupported("logs", other)),
    };
    answered.map_err(|error| error.answer(call.service))
}

/// Runs what reads files, away from the threads that serve connections.
async fn blocking(
    work: impl FnOnce() -> Result<Value, Error> + Send + 'static,
) -> Result<Value, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Internal(error.into())),
    }
}

/// The group that a request names: by name, or by ARN (`logGroupIdentifier`).
fn group_name(name: Option<String>, identifier: Option<String>) -> Result<String, Error> {
    let of_arn = |identifier: String| match identifier.split_once(":log-group:") {
        Some((_, name)) => name.trim_end_matches(":*").to_owned(),
        None => identifier,
    };
    let name = name.or(identifier.map(of_arn));
    name.ok_or_else(|| Error::Parameter("logGroupName must be given".to_owned()))
}
