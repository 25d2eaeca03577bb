//! Why a job is where it is, in words for its owner. Pure.

use bessemer_domain::{ByteSize, JobState, StopReason};
use bessemer_store::{AttemptRecord, Job};

use crate::resources::Resources;

/// What the machine has, and who wants it.
#[derive(Debug, Clone, Copy)]
pub struct Room {
    /// What no attempt has.
    pub free: Resources,
    /// What there is to have.
    pub total: Resources,
    /// Jobs in the queue.
    pub waiting: usize,
}

pub(crate) fn explain(job: &Job, attempts: &[AttemptRecord], room: &Room, now: u64) -> String {
    let life = &job.lifecycle;
    let attempt = format!("attempt {} of {}", life.attempts, life.policy.attempts);
    let mut text = match &life.state {
        JobState::Queued => {
            let waited = ago(life.waiting_since, now);
            let need = Resources { cores: job.cores, memory: life.memory };
            format!(
                "it has waited for room for {waited}: it needs {}, and {} of {} are free; {} wait",
                amount(need),
                amount(room.free),
                amount(room.total),
                count(room.waiting as u64, "job"),
            )
        }
        JobState::Starting { .. } => match &job.stage {
            Some(stage) => format!("{attempt} gets ready: {stage}"),
            None => format!("{attempt} gets ready"),
        },
        JobState::Running { since, deadline, .. } => {
            let limit = deadline.map(|deadline| {
                format!("; it will be stopped in {} if it has not ended", ago(now, deadline))
            });
            format!("{attempt} has run for {}{}", ago(*since, now), limit.unwrap_or_default())
        }
        JobState::Backoff { until, class, message } => {
            let next = ago(now, *until);
            let what = match life.attempts {
                0 => "there was no room".to_owned(),
                _ => format!("{attempt} failed for `{class}`"),
            };
            format!("{what}: {message}; it is tried again in {next}")
        }
        JobState::Stopping { reason, deadline, .. } => {
            let why = match reason {
                StopReason::Requested => "somebody asked for it",
                StopReason::TimedOut => "it ran for too long",
            };
            let rest = ago(now, *deadline);
            format!("{attempt} was told to end because {why}; it is given up in {rest}")
        }
        JobState::Succeeded => {
            format!("it succeeded with {}", count(u64::from(life.number), "attempt"))
        }
        JobState::Failed { class, message } => {
            let attempts = count(u64::from(life.number), "attempt");
            let advice = class.advice();
            format!("it failed for `{class}` after {attempts}: {message}; hint: {advice}")
        }
        JobState::Stopped => "it was stopped because somebody asked for it".to_owned(),
    };
    let is_told = life.state.failure().is_some();
    let failed = attempts.iter().rev().find_map(|attempt| Some((attempt, attempt.class?)));
    if let Some((attempt, class)) = failed.filter(|_| !is_told) {
        let message = attempt.message.as_deref().unwrap_or_default();
        text.push_str(&format!("; attempt {} failed for `{class}`: {message}", attempt.number));
    }
    if let Some(note) = &job.note {
        text.push_str(&format!("; note: {note}"));
    }
    text
}

fn amount(resources: Resources) -> String {
    let cores = count(u64::from(resources.cores), "core");
    format!("{cores} and {}", ByteSize(resources.memory))
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// The time from one instant to a later one, in its two largest units.
fn ago(from: u64, to: u64) -> String {
    let seconds = to.saturating_sub(from).div_ceil(1_000);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_two_units() {
        let told = [400, 61_000, 3_700_000, 90_000_000].map(|millis| ago(0, millis));
        assert_eq!(told, ["1 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }
}
