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
    Some(text(class, message))
}

fn text(class: FailureClass, message: &str) -> String {
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
    text.chars().take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_begin_with_their_class_once() {
        assert_eq!(text(FailureClass::Algorithm, "exit code: 1"), "AlgorithmError: exit code: 1");
        assert_eq!(text(FailureClass::OutOfMemory, "x"), "AlgorithmError: x");
        assert_eq!(text(FailureClass::Infrastructure, "x"), "InternalServerError: x");
        assert_eq!(text(FailureClass::Capacity, "x"), "CapacityError: x");
        assert_eq!(text(FailureClass::Invalid, "x"), "ClientError: x");
        assert_eq!(text(FailureClass::Algorithm, "AlgorithmError: x"), "AlgorithmError: x");
        assert_eq!(text(FailureClass::Invalid, &"é".repeat(2000)).chars().count(), LENGTH);
    }
}
