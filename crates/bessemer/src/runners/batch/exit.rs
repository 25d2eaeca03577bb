//! How a container ended, in Batch's words. Pure.

use bessemer_aws::batch_exit_of;
use bessemer_compute::{Cause, Exit, Status};
use bessemer_domain::{BatchExit, FailureClass};

use crate::runners::container::Failed;

/// What `DescribeJobs` tells of an end.
pub(super) fn told(exit: &Exit) -> BatchExit {
    let code = match exit.status {
        Status::Lost | Status::NeverRan => {
            let message = "the container was ended from outside";
            return batch_exit_of(FailureClass::Infrastructure, message);
        }
        Status::Code(code) => code,
        // As shells and container runtimes count.
        Status::Signal(number) => 128 + number,
    };
    let reason = match exit.cause {
        Some(Cause::OutOfMemory) => {
            Some("OutOfMemoryError: Container killed due to memory usage".to_owned())
        }
        Some(Cause::OutOfDisk) => Some(
            "CannotWriteError: the container wrote more than ephemeralStorage allows".to_owned(),
        ),
        _ => None,
    };
    let exit_code = if exit.cause == Some(Cause::OutOfMemory) { 137 } else { code };
    let status_reason = "Essential container in task exited".to_owned();
    BatchExit { status_reason, reason, exit_code: Some(exit_code) }
}

/// Why the attempt failed, if it did.
pub(super) fn failure(exit: &Exit) -> Option<Failed> {
    if exit.is_success() {
        return None;
    }
    let class = match (exit.cause, exit.status) {
        (Some(Cause::OutOfMemory), _) => FailureClass::OutOfMemory,
        (Some(Cause::TimedOut), _) => FailureClass::Timeout,
        (None, Status::Lost | Status::NeverRan) => FailureClass::Infrastructure,
        _ => FailureClass::Algorithm,
    };
    let BatchExit { status_reason, reason, exit_code } = told(exit);
    let code = exit_code.map(|code| format!(", exit code {code}")).unwrap_or_default();
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(Failed { class, message: format!("{status_reason}{code}{reason}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(status: Status, cause: Option<Cause>) -> Exit {
        Exit { status, cause, started_millis: 0, ended_millis: 0, cpu_millis: 0, peak_memory: 0 }
    }

    #[test]
    fn ends_are_told_as_batch_does() {
        let end = |status, cause| {
            let exit = exit(status, cause);
            (told(&exit).exit_code, failure(&exit).map(|failed| failed.class))
        };
        assert_eq!(end(Status::Code(0), None), (Some(0), None));
        assert_eq!(end(Status::Code(3), None), (Some(3), Some(FailureClass::Algorithm)));
        assert_eq!(end(Status::Signal(9), None), (Some(137), Some(FailureClass::Algorithm)));
        let killed = end(Status::Signal(9), Some(Cause::OutOfMemory));
        assert_eq!(killed, (Some(137), Some(FailureClass::OutOfMemory)));
        assert_eq!(end(Status::Lost, None), (None, Some(FailureClass::Infrastructure)));
        let lost = told(&exit(Status::Lost, None)).status_reason;
        assert!(lost.starts_with("Host EC2"), "{lost}");
    }
}
