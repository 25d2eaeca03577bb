//! Statuses of Batch's jobs, and of arrays of them.

use crate::{StateName, UnknownStateError, named::named};

/// How a job of Batch stands, in Batch's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are AWS's words")]
pub enum BatchStatus {
    Submitted,
    Pending,
    Runnable,
    Starting,
    Running,
    Succeeded,
    Failed,
}

impl BatchStatus {
    /// Every status, in the order that a job goes through them.
    pub const ALL: [BatchStatus; 7] = [
        Self::Submitted,
        Self::Pending,
        Self::Runnable,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
    ];

    /// The status of a job in that state.
    #[must_use]
    pub fn of(state: StateName) -> Self {
        match state {
            StateName::Held => Self::Pending,
            StateName::Queued | StateName::Backoff => Self::Runnable,
            StateName::Starting => Self::Starting,
            StateName::Running | StateName::Stopping => Self::Running,
            StateName::Succeeded => Self::Succeeded,
            StateName::Failed | StateName::Stopped => Self::Failed,
        }
    }

    /// AWS's word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "SUBMITTED",
            Self::Pending => "PENDING",
            Self::Runnable => "RUNNABLE",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
        }
    }

    /// Whether the job has come to its end.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

named!(UnknownStateError: BatchStatus);

/// How many children of an array stand where, in the order of [`BatchStatus::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BatchCounts(pub [u32; 7]);

impl BatchCounts {
    /// The children of that status.
    #[must_use]
    pub fn of(&self, status: BatchStatus) -> u32 {
        self.0[status as usize]
    }

    /// Counts another child.
    pub fn add(&mut self, status: BatchStatus) {
        self.0[status as usize] += 1;
    }

    /// The status of the array: it waits for all its children, and fails if any does.
    #[must_use]
    pub fn status(&self) -> BatchStatus {
        let all: u32 = self.0.iter().sum();
        let (succeeded, failed) = (self.of(BatchStatus::Succeeded), self.of(BatchStatus::Failed));
        match all - succeeded - failed {
            0 if failed > 0 => BatchStatus::Failed,
            0 => BatchStatus::Succeeded,
            _ => BatchStatus::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_array_ends_with_its_last_child_and_fails_with_any(
            children in proptest::collection::vec(0_usize..7, 1..50),
        ) {
            let mut counts = BatchCounts::default();
            for child in &children {
                counts.add(BatchStatus::ALL[*child]);
            }
            let has = |status: BatchStatus| children.iter().any(|&c| BatchStatus::ALL[c] == status);
            let all_ended = children.iter().all(|&child| BatchStatus::ALL[child].is_final());
            let expected = match (all_ended, has(BatchStatus::Failed)) {
                (false, _) => BatchStatus::Pending,
                (true, true) => BatchStatus::Failed,
                (true, false) => BatchStatus::Succeeded,
            };
            prop_assert_eq!(counts.status(), expected);
        }
    }

    #[test]
    fn every_state_has_a_status_that_ends_when_it_does() {
        for state in StateName::ALL {
            assert_eq!(BatchStatus::of(state).is_final(), state.is_final(), "{state}");
        }
    }
}
