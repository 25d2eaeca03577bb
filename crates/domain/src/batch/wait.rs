//! What a job of Batch waits for, and what follows from it.

use crate::{JobEvent, StateName, UnknownStateError, named::named};

/// What somebody wants of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// That it does not begin.
    Cancel,
    /// That it ends.
    Terminate,
}

impl Asked {
    const ALL: [Self; 2] = [Self::Cancel, Self::Terminate];

    /// Its name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
        }
    }
}

/// What has to be done about a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchToDo {
    /// It may have room.
    Release,
    /// It is not to begin.
    Cancel,
    /// Its attempt is to end.
    Stop,
}

impl BatchToDo {
    const ALL: [Self; 3] = [Self::Release, Self::Cancel, Self::Stop];

    /// Its name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Cancel => "cancel",
            Self::Stop => "stop",
        }
    }

    /// The event that does it.
    #[must_use]
    pub fn event(self) -> JobEvent {
        match self {
            Self::Release => JobEvent::Released,
            Self::Cancel => JobEvent::Cancelled,
            Self::Stop => JobEvent::StopRequested,
        }
    }
}

/// What stands between a job and its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchWait {
    /// Jobs that it depends on and that have not ended.
    pub waits: u32,
    /// Whether a job that it depends on has failed.
    pub is_doomed: bool,
    /// What somebody wants of it.
    pub asked: Option<Asked>,
}

impl BatchWait {
    /// What has to be done about a job in `state`.
    #[must_use]
    pub fn to_do(&self, state: StateName) -> Option<BatchToDo> {
        match state {
            StateName::Held if self.asked.is_some() || self.is_doomed => Some(BatchToDo::Cancel),
            StateName::Held if self.waits == 0 => Some(BatchToDo::Release),
            StateName::Queued | StateName::Backoff if self.asked.is_some() => {
                Some(BatchToDo::Cancel)
            }
            StateName::Starting | StateName::Running if self.asked == Some(Asked::Terminate) => {
                Some(BatchToDo::Stop)
            }
            _ => None,
        }
    }

    /// The same when a job that it depends on has ended.
    #[must_use]
    pub fn after_end(self, succeeded: bool) -> Self {
        Self {
            waits: self.waits.saturating_sub(1),
            is_doomed: self.is_doomed || !succeeded,
            ..self
        }
    }
}

named!(UnknownStateError: Asked, BatchToDo);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{JobState, Lifecycle, Limits, Moment, RetryPolicy};

    proptest! {
        #[test]
        fn a_job_begins_when_all_that_it_waits_for_has_succeeded(
            ends in proptest::collection::vec(any::<bool>(), 0..20),
        ) {
            let mut wait = BatchWait { waits: ends.len() as u32, ..BatchWait::default() };
            for (index, succeeded) in ends.iter().enumerate() {
                let is_doomed = ends[..index].contains(&false);
                let expected = is_doomed.then_some(BatchToDo::Cancel);
                prop_assert_eq!(wait.to_do(StateName::Held), expected);
                wait = wait.after_end(*succeeded);
            }
            let is_doomed = ends.contains(&false);
            let expected = if is_doomed { BatchToDo::Cancel } else { BatchToDo::Release };
            prop_assert_eq!(wait.to_do(StateName::Held), Some(expected));
        }

        /// What is to be done can be, and then nothing is to be done about it any more.
        #[test]
        fn what_is_to_be_done_leads_to_its_end(
            waits in 0_u32..3,
            is_doomed in any::<bool>(),
            asked in proptest::option::of(proptest::sample::select(vec![Asked::Cancel, Asked::Terminate])),
            state in proptest::sample::select(vec![
                JobState::Held,
                JobState::Queued,
                JobState::Starting { lease_until: 9 },
                JobState::Running { lease_until: 9, since: 1, deadline: None },
                JobState::Succeeded,
                JobState::Stopped,
            ]),
        ) {
            let wait = BatchWait { waits, is_doomed, asked };
            let mut job = Lifecycle::new(1, RetryPolicy::default(), Limits::default(), 0);
            job.state = state;
            for _ in 0..3 {
                let Some(to_do) = wait.to_do(job.state.name()) else { return Ok(()) };
                let event = to_do.event();
                let done = job.advance(&event, Moment { now: 2, unit: 0.5 });
                job = done.expect("it can be done").next;
            }
            prop_assert!(false, "something is always to be done: {job:?}");
        }
    }
}
