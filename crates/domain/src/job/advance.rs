//! The one place where a job's state changes.

use super::{
    CAPACITY_ERROR, Effect, FailureClass, JobEvent, JobState, Lifecycle, Moment, Outcome, Refused,
    StateName, StopReason, Token, Transition,
};

/// How long past its grace an attempt may take to be killed before it is given up, in milliseconds.
const MARGIN_MILLIS: u64 = 10_000;

impl Lifecycle {
    /// What becomes of the job by `event`. A refused event changes nothing.
    pub fn advance(&self, event: &JobEvent, at: Moment) -> Result<Transition, Refused> {
        if let Some(given) = event.token()
            && !self.is_held_by(given)
        {
            return Err(Refused::StaleToken { given, current: self.token });
        }
        let mut effects = Vec::new();
        // Past the check above, an event of an attempt meets a job that has one.
        let next = match (&self.state, event) {
            (JobState::Queued, JobEvent::Admitted { lease_until, .. }) => {
                self.admitted(*lease_until)
            }
            (JobState::Queued | JobState::Backoff { .. }, JobEvent::Due) => self.waited(at)?,
            (
                JobState::Held | JobState::Queued | JobState::Backoff { .. },
                JobEvent::StopRequested | JobEvent::Cancelled,
            ) => self.with(JobState::Stopped),
            (JobState::Held, JobEvent::Released)
            | (JobState::Backoff { .. }, JobEvent::RetryRequested) => self.queued(at),
            (JobState::Failed { .. } | JobState::Stopped, JobEvent::RetryRequested) => {
                Self { attempts: 0, refusals: 0, run_millis: 0, ..self.queued(at) }
            }
            (JobState::Starting { lease_until }, JobEvent::Launched { .. }) => {
                self.launched(*lease_until, at)
            }
            (JobState::Starting { .. } | JobState::Running { .. }, JobEvent::StopRequested) => {
                effects.push(self.tell(StopReason::Requested));
                self.stopping(StopReason::Requested, at)
            }
            (JobState::Stopping { .. }, JobEvent::StopRequested) => self.no_retry(),
            (JobState::Running { deadline, .. }, JobEvent::Due) => {
                due(*deadline, at)?;
                effects.push(self.tell(StopReason::TimedOut));
                self.stopping(StopReason::TimedOut, at)
            }
            (JobState::Stopping { deadline, .. }, JobEvent::Due) => {
                due(Some(*deadline), at)?;
                effects.push(Effect::Abandon { token: self.token });
                self.lost("it did not end when it was told to", at)
            }
            (JobState::Running { .. }, JobEvent::Launched { .. })
            | (_, JobEvent::Staged { .. }) => self.clone(),
            (_, JobEvent::Renewed { lease_until, .. }) => self.leased(*lease_until),
            (_, JobEvent::Adopted { lease_until, .. }) => {
                effects.extend(self.told_again());
                self.adopted(*lease_until, at)
            }
            (state, JobEvent::LeaseExpired { .. }) => {
                due(state.lease_until(), at)?;
                effects.push(Effect::Abandon { token: self.token });
                self.lost("whoever ran it was not heard of in time", at)
            }
            (_, JobEvent::Ended { outcome, .. }) => self.ended(outcome, at),
            (state, event) => {
                return Err(Refused::Illegal { state: state.name(), event: event.as_str() });
            }
        };
        Ok(self.to(next, effects))
    }

    /// Adds the effects that follow from where the job was and is.
    fn to(&self, next: Self, mut effects: Vec<Effect>) -> Transition {
        let (from, to) = (self.state.name(), next.state.name());
        if to == StateName::Queued && from != to {
            effects.push(Effect::Enqueue);
        }
        if to.is_final() && !from.is_final() {
            effects.push(Effect::Finish);
        }
        if let Some(at) = next.due_at().filter(|at| Some(*at) != self.due_at() || from != to) {
            effects.push(Effect::WakeAt(at));
        }
        Transition { next, effects }
    }

    fn with(&self, state: JobState) -> Self {
        Self { state, ..self.clone() }
    }

    fn queued(&self, at: Moment) -> Self {
        Self { waiting_since: at.now, ..self.with(JobState::Queued) }
    }

    fn admitted(&self, lease_until: u64) -> Self {
        Self {
            attempts: self.attempts + 1,
            number: self.number + 1,
            token: Token(self.token.0 + 1),
            ..self.with(JobState::Starting { lease_until })
        }
    }

    /// A wait is over: for the next attempt, or for room.
    fn waited(&self, at: Moment) -> Result<Self, Refused> {
        due(self.due_at(), at)?;
        let waits_for_room = matches!(
            self.state,
            JobState::Queued | JobState::Backoff { class: FailureClass::Capacity, .. }
        );
        if !waits_for_room {
            return Ok(self.queued(at));
        }
        let limit = self.limits.longest_wait_millis();
        match limit.filter(|limit| at.now >= self.waiting_since.saturating_add(*limit)) {
            Some(limit) => {
                let mut message = format!("there was no room for it within {}", seconds(limit));
                if self.limits.room_millis == Some(limit) {
                    message = format!("{CAPACITY_ERROR}: {message}");
                }
                Ok(self.with(JobState::Failed { class: FailureClass::Capacity, message }))
            }
            None => Ok(self.with(JobState::Queued)),
        }
    }

    fn launched(&self, lease_until: u64, at: Moment) -> Self {
        let left = self.limits.total_millis.map(|total| total.saturating_sub(self.run_millis));
        let allowed = self.limits.attempt_millis.into_iter().chain(left).min();
        let deadline = allowed.map(|allowed| at.now.saturating_add(allowed));
        let state = JobState::Running { lease_until, since: at.now, deadline };
        Self { refusals: 0, ..self.with(state) }
    }

    /// The same with the lease held at least until `until`.
    fn leased(&self, until: u64) -> Self {
        let mut next = self.clone();
        if let JobState::Starting { lease_until }
        | JobState::Running { lease_until, .. }
        | JobState::Stopping { lease_until, .. } = &mut next.state
        {
            *lease_until = until.max(*lease_until);
        }
        next
    }

    fn adopted(&self, lease_until: u64, at: Moment) -> Self {
        let mut next = Self { token: Token(self.token.0 + 1), ..self.leased(lease_until) };
        if let JobState::Stopping { deadline, .. } = &mut next.state {
            *deadline = self.give_up_at(at);
        }
        next
    }

    /// What the new owner of an attempt has to be told.
    fn told_again(&self) -> Option<Effect> {
        match self.state {
            JobState::Stopping { reason, .. } => Some(self.tell(reason)),
            _ => None,
        }
    }

    fn tell(&self, reason: StopReason) -> Effect {
        Effect::TellToStop { reason, grace_millis: self.limits.grace_millis }
    }

    fn give_up_at(&self, at: Moment) -> u64 {
        at.now.saturating_add(self.limits.grace_millis).saturating_add(MARGIN_MILLIS)
    }

    fn stopping(&self, reason: StopReason, at: Moment) -> Self {
        self.with(JobState::Stopping {
            lease_until: self.state.lease_until().unwrap_or(at.now),
            since: self.state.running_since(),
            reason,
            deadline: self.give_up_at(at),
        })
    }

    /// The same, but the job ends with this attempt.
    fn no_retry(&self) -> Self {
        let mut next = self.clone();
        if let JobState::Stopping { reason, .. } = &mut next.state {
            *reason = StopReason::Requested;
        }
        next
    }

    /// The attempt is over without its own word.
    fn lost(&self, message: &str, at: Moment) -> Self {
        self.ended(&Outcome::failed(FailureClass::Infrastructure, message), at)
    }

    /// The attempt is over, one way or another.
    fn ended(&self, outcome: &Outcome, at: Moment) -> Self {
        let ran = self.state.running_since().map(|since| at.now.saturating_sub(since));
        let run_millis = self.run_millis.saturating_add(ran.unwrap_or(0));
        let past = Self { run_millis, ..self.clone() };
        match (&self.state, outcome) {
            (JobState::Stopping { reason: StopReason::Requested, .. }, _) => {
                past.with(JobState::Stopped)
            }
            (JobState::Stopping { reason: StopReason::TimedOut, .. }, _) => {
                let message = past.time_limit_in_words();
                past.failed(FailureClass::Timeout, &message, at)
            }
            (_, Outcome::Succeeded { .. }) => past.with(JobState::Succeeded),
            (_, Outcome::Failed { class, message, .. }) => past.failed(*class, message, at),
            (_, Outcome::FailedForGood { class, message, .. }) => {
                past.with(JobState::Failed { class: *class, message: message.clone() })
            }
        }
    }

    fn time_limit_in_words(&self) -> String {
        let total = self.limits.total_millis.filter(|total| self.run_millis >= *total);
        match (total, self.limits.attempt_millis) {
            (Some(total), _) => format!("it ran for longer than {} in all", seconds(total)),
            (None, Some(limit)) => format!("the attempt ran for longer than {}", seconds(limit)),
            (None, None) => "it ran for too long".to_owned(),
        }
    }

    /// An attempt failed: whether and when there is another one.
    fn failed(mut self, class: FailureClass, message: &str, at: Moment) -> Self {
        let message = message.to_owned();
        if class == FailureClass::Capacity {
            if self.state.running_since().is_some() {
                self.waiting_since = at.now;
            }
            self.attempts = self.attempts.saturating_sub(1);
            let delay = self.policy.backoff.delay_millis(self.refusals, at.unit);
            self.refusals = self.refusals.saturating_add(1);
            let until = at.now.saturating_add(delay);
            return self.with(JobState::Backoff { until, class, message });
        }
        let memory = match class {
            FailureClass::OutOfMemory => self.policy.memory_after(self.memory),
            _ => Some(self.memory),
        };
        let time_left = self.limits.total_millis.is_none_or(|total| self.run_millis < total);
        match memory {
            Some(memory)
                if time_left
                    && self.policy.covers(class)
                    && self.attempts < self.policy.attempts =>
            {
                let retry = self.attempts.saturating_sub(1);
                let delay = self.policy.backoff.delay_millis(retry, at.unit);
                let until = at.now.saturating_add(delay);
                Self { memory, ..self.with(JobState::Backoff { until, class, message }) }
            }
            _ => self.with(JobState::Failed { class, message }),
        }
    }
}

/// Refuses what comes before it is due.
fn due(due: Option<u64>, at: Moment) -> Result<(), Refused> {
    match due {
        Some(instant) if at.now >= instant => Ok(()),
        due => Err(Refused::TooEarly { due }),
    }
}

fn seconds(millis: u64) -> String {
    if millis.is_multiple_of(1_000) {
        format!("{} s", millis / 1_000)
    } else {
        format!("{millis} ms")
    }
}

#[cfg(test)]
mod tests;
