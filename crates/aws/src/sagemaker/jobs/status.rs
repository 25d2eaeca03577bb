//! A job's status, in SageMaker's words.

use bessemer_domain::Phase;
use bessemer_store::Job;

/// How a job stands.
pub(in super::super) fn status_of(job: &Job) -> &'static str {
    status(job.status())
}

/// A phase as SageMaker calls it.
pub(in super::super) fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Completed => "Completed",
        Phase::Failed => "Failed",
        Phase::InProgress => "InProgress",
        Phase::Stopped => "Stopped",
        Phase::Stopping => "Stopping",
    }
}

/// The phase that SageMaker calls so.
pub(in super::super) fn phase(status: &str) -> Option<Phase> {
    Phase::ALL.into_iter().find(|phase| self::status(*phase) == status)
}
