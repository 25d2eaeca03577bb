//! What happens to a job, and what follows from it.

use super::{FailureClass, Lifecycle, ProcessId, StateName, StopReason, Token};

/// What happens to a job. Events of an attempt carry its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEvent {
    /// There is room: an attempt begins.
    Admitted {
        /// Who runs it.
        owner: String,
        /// It is lost if its lease is not renewed before.
        lease_until: u64,
    },
    /// An attempt that another owner left behind passes into new hands, with a new token.
    Adopted {
        /// The token that the old owner held.
        token: Token,
        /// Who takes it over.
        owner: String,
        /// It is lost if its lease is not renewed before.
        lease_until: u64,
    },
    /// The attempt's code begins to run.
    Launched {
        /// The attempt's token.
        token: Token,
        /// The process that runs it, if it is one.
        process: Option<ProcessId>,
    },
    /// The attempt says what it is at.
    Staged {
        /// The attempt's token.
        token: Token,
        /// What it is at, in one word, such as `Downloading`.
        stage: String,
    },
    /// The attempt's owner holds on to it.
    Renewed {
        /// The attempt's token.
        token: Token,
        /// It is lost if its lease is not renewed again before.
        lease_until: u64,
    },
    /// The attempt has ended.
    Ended {
        /// The attempt's token.
        token: Token,
        /// How it went.
        outcome: Outcome,
    },
    /// The attempt's lease was not renewed in time.
    LeaseExpired {
        /// The attempt's token.
        token: Token,
    },
    /// What [`Lifecycle::due_at`] told of is due.
    Due,
    /// What it waited for has come about: it may have room.
    Released,
    /// It is not to begin. Refused once an attempt is under way.
    Cancelled,
    /// Somebody wants the job to end.
    StopRequested,
    /// Somebody wants a failed or stopped job to be tried again, or a waiting one at once.
    RetryRequested,
}

/// How an attempt went. `result` is what the job's kind has to say of it, as JSON; it is kept as it
/// is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It did what it was to do.
    Succeeded {
        /// What came of it.
        result: Option<String>,
    },
    /// It did not.
    Failed {
        /// What failed.
        class: FailureClass,
        /// Why, in words for the job's owner.
        message: String,
        /// What came of it all the same.
        result: Option<String>,
    },
    /// It did not, and no other attempt is to follow, whatever the policy says.
    FailedForGood {
        /// What failed.
        class: FailureClass,
        /// Why, in words for the job's owner.
        message: String,
        /// What came of it all the same.
        result: Option<String>,
    },
}

impl Outcome {
    /// A failure without a result.
    pub fn failed(class: FailureClass, message: impl Into<String>) -> Self {
        Self::Failed { class, message: message.into(), result: None }
    }

    /// The class and message of a failure.
    #[must_use]
    pub fn failure(&self) -> Option<(FailureClass, &str)> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Failed { class, message, .. } | Self::FailedForGood { class, message, .. } => {
                Some((*class, message))
            }
        }
    }

    /// What the job's kind has to say of it, as JSON.
    #[must_use]
    pub fn result(&self) -> Option<&str> {
        match self {
            Self::Succeeded { result }
            | Self::Failed { result, .. }
            | Self::FailedForGood { result, .. } => result.as_deref(),
        }
    }
}

/// What a decision takes from the world.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub now: u64,
    /// A random number in 0..1.
    pub unit: f64,
}

/// What has to be done about a transition, once it is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The job waits for room.
    Enqueue,
    /// The attempt has to be told to end, and may take that long.
    TellToStop {
        /// Why it has to end.
        reason: StopReason,
        /// How long it may take before it is killed, in milliseconds.
        grace_millis: u64,
    },
    /// The attempt with this token is no longer wanted: end what still runs of it.
    Abandon {
        /// The attempt's token.
        token: Token,
    },
    /// [`Lifecycle::due_at`] has to be looked at when its time comes.
    WakeAt(u64),
    /// The job has come to its end.
    Finish,
}

/// What became of a job by an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// The job from now on.
    pub next: Lifecycle,
    /// What has to be done about it.
    pub effects: Vec<Effect>,
}

/// Why an event was not accepted. The job stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It was sent on behalf of an attempt that another one has replaced, or that has ended.
    #[error("token {given} is no longer the job's, which is at {current}")]
    StaleToken {
        /// The token that the event carried.
        given: Token,
        /// The job's latest.
        current: Token,
    },
    /// It can't happen in the job's state.
    #[error("a job that is `{state}` can't be {event}")]
    Illegal {
        /// The job's state.
        state: StateName,
        /// What was to happen to it.
        event: &'static str,
    },
    /// Its time has not come.
    #[error("nothing is due before {due:?}")]
    TooEarly {
        /// When something is due (milliseconds since 1970), if anything is.
        due: Option<u64>,
    },
}

impl JobEvent {
    /// The event's name in the history and in messages, as what happened to the job.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Admitted { .. } => "admitted",
            Self::Adopted { .. } => "adopted",
            Self::Launched { .. } => "launched",
            Self::Staged { .. } => "staged",
            Self::Renewed { .. } => "renewed",
            Self::Ended { .. } => "ended",
            Self::LeaseExpired { .. } => "expired",
            Self::Due => "due",
            Self::Released => "released",
            Self::Cancelled => "cancelled",
            Self::StopRequested => "stopped",
            Self::RetryRequested => "retried",
        }
    }

    /// The token of the attempt that the event is about.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        match self {
            Self::Adopted { token, .. }
            | Self::Launched { token, .. }
            | Self::Staged { token, .. }
            | Self::Renewed { token, .. }
            | Self::Ended { token, .. }
            | Self::LeaseExpired { token } => Some(*token),
            Self::Admitted { .. }
            | Self::Due
            | Self::Released
            | Self::Cancelled
            | Self::StopRequested
            | Self::RetryRequested => None,
        }
    }
}
