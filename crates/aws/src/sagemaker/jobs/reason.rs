//! Why a job failed, with the prefix that SageMaker gives to each class of failures.

use bessemer_domain::FailureClass;
use bessemer_store::Job;

/// Characters that a reason may have.
const LENGTH: usize = 1024;

/// What all reasons begin with.
const PREFIXES: [&str; 4] =
    ["AlgorithmError", "CapacityError", "ClientError", "InternalServerError"];

/// Why a job failed for good, if it did.
pub(in super::super) fn reason(job: &Job) -> Option<String> {
    let state = &job.lifecycle.state;
    let (class, message) = state.failure().filter(|_| state.name().is_final())?;
    let prefix = match class {
        FailureClass::Capacity => "CapacityError",
        FailureClass::Infrastructure => "InternalServerError",
        FailureClass::Algorithm | FailureClass::OutOfMemory => "AlgorithmError",
        FailureClass::Timeout | FailureClass::Invalid => "ClientError",
    };
    let text = if PREFIXES.iter().any(|known| message.starts_with(known)) {
        message.to_owned()
    } else {
        format!("{prefix}: {message}")
    };
    Some(text.chars().take(LENGTH).collect())
}
