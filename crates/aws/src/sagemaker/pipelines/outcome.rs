//! What the end of a job, or a call that is refused, is for the step that it was for.

use bessemer_domain::{FailureClass, Phase, StateName};
use bessemer_pipelines::{Exception, Failure, Outcome};
use bessemer_store::Job;
use serde_json::Value;

use super::super::{error::Error, jobs::reason};

/// How a step ended whose job has ended so; `described` is the job as Describe tells of it.
pub(super) fn of_job(job: &Job, described: Value) -> Outcome {
    let state = &job.lifecycle.state;
    match state.name() {
        StateName::Succeeded => Outcome::Succeeded { properties: described, metadata: None },
        StateName::Stopped => Outcome::Stopped,
        _ => {
            let class = state.failure().map(|(class, _)| class);
            let exception = match class {
                Some(FailureClass::Infrastructure) => Exception::JobInternalError,
                Some(FailureClass::Capacity) => Exception::CapacityError,
                _ => Exception::Failure,
            };
            let why = reason(job).unwrap_or_else(|| "ClientError: the job failed".to_owned());
            let reason = match job.status() {
                Phase::Stopped => format!("{why} (the job was stopped)"),
                _ => why,
            };
            Outcome::Failed(Failure { exception, reason })
        }
    }
}

/// What a call that was refused is for the step that it was for.
pub(super) fn of_call(operation: &str, error: &Error) -> Failure {
    let exception = match error {
        Error::LimitExceeded(_) => Exception::ResourceLimit,
        Error::Unavailable(_) | Error::Internal(_) => Exception::ServiceFault,
        _ => Exception::Failure,
    };
    let reason =
        format!("ClientError: Failed to invoke sagemaker:{operation}. Error Details: {error}");
    Failure { exception, reason }
}
