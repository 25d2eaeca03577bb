//! Trying again: steps by their policies, executions because somebody asks for it.

use super::{
    event::{Failure, Refused},
    settle::Settling,
    state::{Ending, Status, StepRun, StepState},
};
use crate::definition::{Exception, RetryRule};

impl Settling<'_> {
    /// A step failed: it is tried again, or nothing more begins.
    pub(super) fn fail(&mut self, name: &str, failure: Failure) {
        let now = self.now;
        let rules = self.rules(name);
        let Some(run) = self.next.steps.get_mut(name) else { return };
        let delay = match self.next.ending {
            None => delay(run, &rules, failure.exception, now),
            Some(_) => None,
        };
        if let Some(delay) = delay {
            run.state = StepState::Backoff { until: now.saturating_add(delay), failure };
        } else {
            run.ended_at = Some(now);
            run.state = StepState::Failed(failure);
            self.next.ending = self.next.ending.or(Some(Ending::StepFailed));
        }
    }

    /// A step's policies, and the one that its own setting stands for.
    fn rules(&self, name: &str) -> Vec<RetryRule> {
        let mut rules =
            self.definition.step(name).map(|step| step.retries.clone()).unwrap_or_default();
        let order = self.next.steps.get(name).and_then(|run| run.state.order());
        rules.extend(order.and_then(|order| order.retries).map(|count| RetryRule {
            exceptions: Exception::every().collect(),
            interval_millis: 1_000,
            backoff_rate: 2.0,
            max_attempts: Some(count),
            expire_millis: None,
        }));
        rules
    }

    /// Runs again what failed or was stopped; what went well stays.
    pub(super) fn retry(&mut self, parallelism: Option<u32>) -> Result<(), Refused> {
        if !matches!(self.next.status, Status::Failed | Status::Stopped) {
            return Err(Refused::NotRetryable(self.next.status));
        }
        let now = self.now;
        for run in self.next.steps.values_mut() {
            if matches!(run.state, StepState::Failed(_) | StepState::Stopped) {
                *run = StepRun { attempts: run.attempts, ..StepRun::default() };
            }
        }
        let next = &mut self.next;
        (next.status, next.failure, next.ending) = (Status::Executing, None, None);
        next.parallelism = parallelism.or(next.parallelism);
        next.deadline = next.facts.timeout_millis.map(|millis| now.saturating_add(millis));
        next.documents.clear();
        Ok(())
    }
}

/// How long to wait before a step is tried again, if it is; the first policy with a retry left
/// decides.
fn delay(run: &mut StepRun, rules: &[RetryRule], exception: Exception, now: u64) -> Option<u64> {
    run.retries.resize(rules.len().max(run.retries.len()), 0);
    let since = now.saturating_sub(run.started_at.unwrap_or(now));
    let rule = rules.iter().zip(&mut run.retries).find(|(rule, made)| {
        rule.exceptions.contains(&exception)
            && rule.max_attempts.is_none_or(|most| **made < most)
            && rule.expire_millis.is_none_or(|expire| since < expire)
    });
    rule.map(|(rule, made)| {
        *made += 1;
        rule.delay_millis(*made - 1)
    })
}
