//! Retry strategies, and how attempts ended, in Batch's words.

use bessemer_domain::{BatchExit, ExitRule, FailureClass, RetryBackoff, RetryPolicy};
use serde::{Deserialize, Serialize};

use super::error::Error;

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RetryStrategy {
    pub(super) attempts: Option<u32>,
    #[serde(default)]
    pub(super) evaluate_on_exit: Vec<ExitRule>,
}

impl RetryStrategy {
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.attempts.is_some_and(|attempts| !(1..=10).contains(&attempts)) {
            return Err(Error::client("Retry strategy attempts must be from 1 to 10"));
        }
        if self.evaluate_on_exit.len() > 5 {
            return Err(Error::client("evaluateOnExit has 5 entries at most"));
        }
        for rule in &self.evaluate_on_exit {
            check_rule(rule)?;
        }
        Ok(())
    }

    /// What the job core makes of it: another attempt at once, but after a time limit.
    pub(super) fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            attempts: self.attempts.unwrap_or(1),
            backoff: RetryBackoff { base_millis: 0, factor: 1.0, cap_millis: 0 },
            classes: vec![
                FailureClass::Infrastructure,
                FailureClass::OutOfMemory,
                FailureClass::Algorithm,
            ],
            ..RetryPolicy::default()
        }
    }
}

fn check_rule(rule: &ExitRule) -> Result<(), Error> {
    let patterns = [&rule.on_status_reason, &rule.on_reason, &rule.on_exit_code];
    if patterns.iter().all(|pattern| pattern.is_none()) {
        return Err(Error::client(
            "An entry of evaluateOnExit needs one of onStatusReason, onReason and onExitCode",
        ));
    }
    for pattern in patterns.into_iter().flatten() {
        let begin = pattern.strip_suffix('*').unwrap_or(pattern);
        if pattern.is_empty() || pattern.len() > 512 || begin.contains('*') {
            return Err(Error::Client(format!(
                "The pattern `{pattern}` must have up to 512 characters, with `*` only at its end"
            )));
        }
    }
    Ok(())
}

/// How an attempt ended that has nothing of its own to say, by what the job core knows.
#[must_use]
pub fn exit_of(class: FailureClass, message: &str) -> BatchExit {
    let (status_reason, reason) = match class {
        FailureClass::Timeout => ("Job attempt duration exceeded timeout", None),
        FailureClass::Infrastructure => {
            ("Host EC2 (instance i-00000000000000000) terminated.", Some(message))
        }
        _ => ("Task failed to start", Some(message)),
    };
    BatchExit {
        status_reason: status_reason.to_owned(),
        reason: reason.map(str::to_owned),
        exit_code: None,
    }
}
