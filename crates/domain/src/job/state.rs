//! The states of a job.

use super::{FailureClass, Limits, RetryPolicy, Token};
use crate::named::named;

/// Where a job stands. Instants are milliseconds since 1970.
///
/// ```text
/// Queued ─► Starting ─► Running ─► Succeeded
///   ▲           │           ├────► Failed
///   └─ Backoff ◄┴───────────┤
///                           └────► Stopping ─► Stopped
/// ```
///
/// `Stopping` can also lead to `Failed` or `Backoff`: when it was a time limit that stopped it.
/// A job that has not started yet, or is in `Backoff`, goes to `Stopped` at once. One that waits for
/// others is `Held` before it is `Queued`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// Waits for other jobs to end.
    Held,
    /// Waits for room on the machine.
    Queued,
    /// An attempt has been given room and gets ready.
    Starting {
        /// The attempt is lost if its lease is not renewed before.
        lease_until: u64,
    },
    /// The attempt's code runs.
    Running {
        /// The attempt is lost if its lease is not renewed before.
        lease_until: u64,
        /// When the code began to run.
        since: u64,
        /// When it will have run for too long.
        deadline: Option<u64>,
    },
    /// The last attempt failed; another follows.
    Backoff {
        /// When the job goes back into the queue.
        until: u64,
        /// How the last attempt failed.
        class: FailureClass,
        /// And why, in words.
        message: String,
    },
    /// The attempt has been told to end.
    Stopping {
        /// The attempt is lost if its lease is not renewed before.
        lease_until: u64,
        /// When the code began to run, if it did.
        since: Option<u64>,
        /// Why it has to end.
        reason: StopReason,
        /// When it is given up, ended or not.
        deadline: u64,
    },
    /// Done.
    Succeeded,
    /// Failed for good.
    Failed {
        /// How the last attempt failed.
        class: FailureClass,
        /// And why, in words.
        message: String,
    },
    /// Ended because somebody asked for it.
    Stopped,
}

/// Why an attempt is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// Somebody asked for it.
    Requested,
    /// It ran for too long.
    TimedOut,
}

/// A [`JobState`] without its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the variants are those of `JobState`")]
pub enum StateName {
    Held,
    Queued,
    Starting,
    Running,
    Backoff,
    Stopping,
    Succeeded,
    Failed,
    Stopped,
}

/// What a job's state comes to for whoever waits for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Succeeded.
    Completed,
    /// Failed for good.
    Failed,
    /// Held, queued, starting, running or waiting to be tried again.
    InProgress,
    /// Ended because somebody asked for it.
    Stopped,
    /// Told to stop, and not ended yet.
    Stopping,
}

/// A text that names no state, phase or stop reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a state of a job")]
pub struct UnknownStateError(pub(crate) String);

impl StopReason {
    const ALL: [StopReason; 2] = [Self::Requested, Self::TimedOut];

    /// The reason's name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::TimedOut => "timed_out",
        }
    }
}

impl StateName {
    /// Every state.
    pub const ALL: [StateName; 9] = [
        Self::Held,
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Backoff,
        Self::Stopping,
        Self::Succeeded,
        Self::Failed,
        Self::Stopped,
    ];

    /// The state's name in the database, on the command line and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Queued => "queued",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Backoff => "backoff",
            Self::Stopping => "stopping",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// What the state comes to for whoever waits.
    #[must_use]
    pub fn phase(self) -> Phase {
        match self {
            Self::Held | Self::Queued | Self::Starting | Self::Running | Self::Backoff => {
                Phase::InProgress
            }
            Self::Stopping => Phase::Stopping,
            Self::Succeeded => Phase::Completed,
            Self::Failed => Phase::Failed,
            Self::Stopped => Phase::Stopped,
        }
    }

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Stopped)
    }
}

impl Phase {
    /// Every phase, in the order of their names, which is the order of lists sorted by status.
    pub const ALL: [Phase; 5] =
        [Self::Completed, Self::Failed, Self::InProgress, Self::Stopped, Self::Stopping];

    /// The phase's name in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Stopped => "stopped",
            Self::Stopping => "stopping",
        }
    }
}

named!(UnknownStateError: StopReason, StateName, Phase);

impl JobState {
    /// The state without its data.
    #[must_use]
    pub fn name(&self) -> StateName {
        match self {
            Self::Held => StateName::Held,
            Self::Queued => StateName::Queued,
            Self::Starting { .. } => StateName::Starting,
            Self::Running { .. } => StateName::Running,
            Self::Backoff { .. } => StateName::Backoff,
            Self::Stopping { .. } => StateName::Stopping,
            Self::Succeeded => StateName::Succeeded,
            Self::Failed { .. } => StateName::Failed,
            Self::Stopped => StateName::Stopped,
        }
    }

    /// Until when the attempt under way is held, if there is one.
    #[must_use]
    pub fn lease_until(&self) -> Option<u64> {
        match self {
            Self::Starting { lease_until }
            | Self::Running { lease_until, .. }
            | Self::Stopping { lease_until, .. } => Some(*lease_until),
            _ => None,
        }
    }

    /// Since when the code of the attempt under way runs, if it does.
    #[must_use]
    pub fn running_since(&self) -> Option<u64> {
        match self {
            Self::Running { since, .. } => Some(*since),
            Self::Stopping { since, .. } => *since,
            _ => None,
        }
    }

    /// The class and message of the failure that the state tells of.
    #[must_use]
    pub fn failure(&self) -> Option<(FailureClass, &str)> {
        match self {
            Self::Backoff { class, message, .. } | Self::Failed { class, message } => {
                Some((*class, message))
            }
            _ => None,
        }
    }
}

/// Everything about a job that decides how it goes on.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifecycle {
    /// Where it stands.
    pub state: JobState,
    /// Attempts that count, since it was submitted or a retry was asked for.
    pub attempts: u32,
    /// Attempts ever made; the number of the latest.
    pub number: u32,
    /// Attempts since the last that got to run, that failed for want of room.
    pub refusals: u32,
    /// The fencing token of the latest attempt.
    pub token: Token,
    /// Bytes of memory that the next attempt asks for.
    pub memory: u64,
    /// Since when it waits for room, or did when it last waited.
    pub waiting_since: u64,
    /// How long the code of earlier attempts ran in all, in milliseconds.
    pub run_millis: u64,
    /// When it is tried again.
    pub policy: RetryPolicy,
    /// How long it may take.
    pub limits: Limits,
}

impl Lifecycle {
    /// A job just submitted.
    #[must_use]
    pub fn new(memory: u64, policy: RetryPolicy, limits: Limits, now: u64) -> Self {
        Self {
            state: JobState::Queued,
            attempts: 0,
            number: 0,
            refusals: 0,
            token: Token(0),
            memory,
            waiting_since: now,
            run_millis: 0,
            policy,
            limits,
        }
    }

    /// The same, but it waits for other jobs first.
    #[must_use]
    pub fn held(self) -> Self {
        Self { state: JobState::Held, ..self }
    }

    /// Whether an attempt is under way whose token this is.
    #[must_use]
    pub fn is_held_by(&self, token: Token) -> bool {
        self.state.lease_until().is_some() && self.token == token
    }

    /// When something is due though nothing happens: a backoff's end, a time limit, the end of a
    /// wait for room. Leases are left out: whoever holds one renews it.
    #[must_use]
    pub fn due_at(&self) -> Option<u64> {
        let wait =
            self.limits.longest_wait_millis().map(|wait| self.waiting_since.saturating_add(wait));
        match &self.state {
            JobState::Queued => wait,
            JobState::Backoff { until, class: FailureClass::Capacity, .. } => {
                Some(wait.map_or(*until, |wait| wait.min(*until)))
            }
            JobState::Backoff { until, .. } => Some(*until),
            JobState::Running { deadline, .. } => *deadline,
            JobState::Stopping { deadline, .. } => Some(*deadline),
            JobState::Held
            | JobState::Starting { .. }
            | JobState::Succeeded
            | JobState::Failed { .. }
            | JobState::Stopped => None,
        }
    }
}
