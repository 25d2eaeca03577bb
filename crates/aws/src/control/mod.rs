//! Bessemer's own calls, for its command line: `POST /_bessemer/<operation>` with a JSON object,
//! signed like AWS's for the service `bessemer`.

mod jobs;
mod logs;

use bessemer_aws_wire::ServiceError;
use bessemer_jobs::JobsError;
use bessemer_store::StoreError;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{caller::Caller, platform::Platform, sagemaker};

/// What requests are signed for.
pub(crate) const SERVICE: &str = "bessemer";

/// Answers a call.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    parts: &Parts,
    body: &[u8],
) -> Result<Value, ServiceError> {
    let operation = parts.uri.path().strip_prefix("/_bessemer/").unwrap_or_default();
    if matches!(operation, "StopJob" | "RetryJob") {
        caller.may(SERVICE, operation)?;
    }
    match operation {
        "ListJobs" => jobs::list(platform, input(body)?).await,
        "DescribeJob" => jobs::describe(platform, input(body)?).await,
        "ExplainJob" => jobs::explain(platform, input(body)?).await,
        "WaitForJob" => jobs::wait(platform, input(body)?).await,
        "StopJob" => jobs::stop(platform, input(body)?).await,
        "RetryJob" => jobs::retry(platform, input(body)?).await,
        "JobStatistics" => jobs::statistics(platform, input(body)?).await,
        "JobLogs" => logs::read(platform, input(body)?).await,
        "PlanPipeline" => sagemaker::plan_pipeline(platform, caller, input(body)?).await,
        other => {
            let message = format!("there is no operation `{other}`");
            Err(ServiceError::new("UnknownOperationException", message).with_status(404))
        }
    }
}

fn input<T: DeserializeOwned>(body: &[u8]) -> Result<T, ServiceError> {
    serde_json::from_slice(body)
        .map_err(|error| ServiceError::new("ValidationException", error.to_string()))
}

/// A manager's error as an answer.
fn failed(error: &JobsError) -> ServiceError {
    let message = error.to_string();
    match error {
        JobsError::NotFound { .. } => {
            ServiceError::new("ResourceNotFound", message).with_status(404)
        }
        JobsError::AlreadyExists { .. }
        | JobsError::Refused(_)
        | JobsError::BadPriority(_)
        | JobsError::Store(StoreError::BadPageToken(_)) => {
            ServiceError::new("ValidationException", message)
        }
        JobsError::LimitExceeded { .. } => ServiceError::new("ResourceLimitExceeded", message),
        JobsError::Closed => ServiceError::new("ServiceUnavailable", message).with_status(503),
        JobsError::Store(error) if error.is_transient() => {
            ServiceError::new("ServiceUnavailable", message).with_status(503)
        }
        JobsError::Store(_) => {
            tracing::error!(%error, "a call of the command line failed");
            ServiceError::internal()
        }
    }
}
