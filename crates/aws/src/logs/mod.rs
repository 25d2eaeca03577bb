//! CloudWatch Logs over what jobs wrote and clients put. Groups and streams of jobs come into being
//! with the first line.

mod error;
mod filter;
mod get;
mod groups;
mod merge;
mod pattern;
mod put;
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
        JobKind::Batch => "/aws/batch/job",
    }
}

/// Answers a call.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Value, ServiceError> {
    let (logs, clock) = (platform.logs.clone(), platform.clock.clone());
    let now = clock.now_millis();
    let caller = caller.clone();
    // A row an operation: decoded here, done where files may be waited for.
    macro_rules! with {
        (|$input:ident| $work:expr) => {{
            let $input = decode(call)?;
            blocking(move || $work).await
        }};
    }
    let answered = match call.operation.name() {
        "CreateLogGroup" => with!(|input| groups::create(&logs, input)),
        "DeleteLogGroup" => with!(|input| groups::delete(&logs, &input)),
        "DescribeLogGroups" => with!(|input| groups::describe(&logs, &caller, input)),
        "PutRetentionPolicy" => with!(|input| groups::put_retention(&logs, &input)),
        "DeleteRetentionPolicy" => with!(|input| groups::delete_retention(&logs, &input)),
        "TagResource" => with!(|input| groups::tag(&logs, input)),
        "UntagResource" => with!(|input| groups::untag(&logs, &input)),
        "ListTagsForResource" => with!(|input| groups::tags(&logs, &input)),
        "CreateLogStream" => with!(|input| streams::create(&logs, &input)),
        "DeleteLogStream" => with!(|input| streams::delete(&logs, &input)),
        "DescribeLogStreams" => with!(|input| streams::describe(&logs, &caller, input)),
        "PutLogEvents" => with!(|input| put::events(&logs, clock, &input)),
        "GetLogEvents" => with!(|input| get::events(&logs, now, input)),
        "FilterLogEvents" => with!(|input| filter::events(&logs, now, input)),
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
