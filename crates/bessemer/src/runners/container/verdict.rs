//! What the ends of an attempt's processes mean for it.

use std::path::PathBuf;

use bessemer_compute::{Cause, Exit, Status};
use bessemer_domain::FailureClass;

use super::{Ended, Failed, HostLogs, Work, host_name};

/// Why the attempt failed, if it did.
pub(super) fn of<W: Work>(
    work: &W,
    ended: &Ended,
    hosts: &[PathBuf],
    logs: &HostLogs,
) -> Option<Failed> {
    let Some(index) = ended.failed else {
        let is_whole = ended.exits.iter().all(Exit::is_success);
        return (!is_whole).then(|| Failed::internal("it was stopped"));
    };
    let exit = &ended.exits[index];
    let of = match ended.exits.len() {
        1 => String::new(),
        _ => format!(" of {}", host_name(index)),
    };
    let code = match (exit.cause, exit.status) {
        (Some(Cause::OutOfMemory), _) => return Some(out_of_memory(&of)),
        (Some(Cause::OutOfDisk), _) => {
            return Some(Failed {
                class: FailureClass::Algorithm,
                message: format!(
                    "ClientError: the disk{of} is full: the program wrote more than VolumeSizeInGB \
                     allows"
                ),
            });
        }
        (Some(Cause::TimedOut), _) => {
            let message = "it ran for longer than MaxRuntimeInSeconds".to_owned();
            return Some(Failed { class: FailureClass::Timeout, message });
        }
        (_, Status::Lost | Status::NeverRan) => {
            return Some(Failed::internal(format!("the process{of} was ended from outside")));
        }
        (_, Status::Code(code)) => code,
        // As shells and container runtimes count.
        (_, Status::Signal(number)) => 128 + number,
    };
    let last = logs.last_words(index, exit.started_millis);
    if last.as_deref().is_some_and(is_for_want_of_memory) {
        return Some(out_of_memory(&of));
    }
    let reason = work.reason(&hosts[index]).or(last).unwrap_or_default();
    let message = format!("AlgorithmError: {reason}, exit code{of}: {code}");
    Some(Failed { class: FailureClass::Algorithm, message })
}

fn out_of_memory(of: &str) -> Failed {
    let message =
        format!("AlgorithmError: the program{of} ran out of memory; ask for a larger instance");
    Failed { class: FailureClass::OutOfMemory, message }
}

/// A large request for memory is refused rather than the process ended: then the program says so.
fn is_for_want_of_memory(last: &str) -> bool {
    let error = last.split(':').next().unwrap_or_default();
    error.ends_with("MemoryError") || last.contains("std::bad_alloc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_word_for_it_is_known() {
        for line in ["MemoryError", "numpy._core._exceptions._ArrayMemoryError: Unable to allocate"]
        {
            assert!(is_for_want_of_memory(line), "{line}");
        }
        assert!(!is_for_want_of_memory("ValueError: a MemoryError: no"));
    }
}
