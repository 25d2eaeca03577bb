//! How an execution comes to its end.

use super::{
    event::Failure,
    settle::Settling,
    state::{Ending, Status, StepRun, StepState},
};

/// What AWS says when a step failed.
const STEP_FAILURE: &str = "Step failure: One or multiple steps failed.";

/// Steps that a reason tells of.
const TOLD: usize = 3;

/// Characters that a reason may have.
const LENGTH: usize = 1_300;

impl Settling<'_> {
    /// When nothing more begins, nothing is tried again.
    pub(super) fn end_backoffs(&mut self) {
        let Some(ending) = self.next.ending else { return };
        let now = self.now;
        for run in self.next.steps.values_mut() {
            if let StepState::Backoff { failure, .. } = &run.state {
                run.ended_at = Some(now);
                run.state = match ending {
                    Ending::StepFailed => StepState::Failed(failure.clone()),
                    Ending::StopRequested | Ending::TimedOut => StepState::Stopped,
                };
            }
        }
    }

    /// Ends the execution if nothing is under way and nothing can begin.
    pub(super) fn conclude(&mut self) {
        let is_open = |run: &StepRun| match run.state {
            StepState::Waiting => self.next.ending.is_none(),
            StepState::Backoff { .. } => true,
            ref state => state.order().is_some(),
        };
        if self.next.status.is_final() || self.next.steps.values().any(is_open) {
            return;
        }
        let failures = self.failures();
        (self.next.status, self.next.failure) = match self.next.ending {
            _ if !failures.is_empty() => (Status::Failed, Some(reason(&failures))),
            Some(Ending::TimedOut) => (Status::Failed, Some(self.took_too_long())),
            Some(_) => (Status::Stopped, None),
            None => (Status::Succeeded, None),
        };
        self.next.reading.clear();
    }

    fn took_too_long(&self) -> String {
        let seconds = self.next.facts.timeout_millis.unwrap_or_default() as f64 / 1_000.0;
        format!("The execution took longer than {seconds} s (BESSEMER_TIMEOUT)")
    }

    /// The steps that failed, in the order in which they did.
    fn failures(&self) -> Vec<(&str, &Failure)> {
        let failed = self.next.steps.iter().filter_map(|(name, run)| match &run.state {
            StepState::Failed(failure) => Some((run.ended_at, name.as_str(), failure)),
            _ => None,
        });
        let mut failed: Vec<_> = failed.collect();
        failed.sort_by_key(|(at, name, _)| (*at, *name));
        failed.into_iter().map(|(_, name, failure)| (name, failure)).collect()
    }
}

fn reason(failures: &[(&str, &Failure)]) -> String {
    let told = failures.iter().take(TOLD);
    let told: Vec<String> =
        told.map(|(name, failure)| format!("Step `{name}`: {}", failure.reason)).collect();
    let more = failures.len().saturating_sub(TOLD);
    let more = if more > 0 { format!(" And {more} more.") } else { String::new() };
    let text = format!("{STEP_FAILURE} {}{more}", told.join(" "));
    // AWS's model of the member has no line ends.
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(LENGTH).collect()
}
