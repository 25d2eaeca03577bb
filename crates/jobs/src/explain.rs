//! Why a job is where it is, in words for its owner. Pure.

use bessemer_domain::{ByteSize, FailureClass, JobState, RetryPolicy, StopReason};
use bessemer_store::{AttemptRecord, Job};

use crate::{queue::Gate, resources::Resources};

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

/// What stands between a job and the machine.
pub(crate) struct Obstacles {
    pub(crate) room: Room,
    /// Cores that the job's share has, and its weight.
    pub(crate) share: (u32, f64),
    /// The quota that keeps the job waiting, and the instances that count for it.
    pub(crate) closed: Option<(Gate, u32)>,
}

pub(crate) fn explain(
    job: &Job,
    attempts: &[AttemptRecord],
    obstacles: &Obstacles,
    now: u64,
) -> String {
    let life = &job.lifecycle;
    let attempt = format!("attempt {} of {}", life.attempts, life.policy.attempts);
    let mut text = match &life.state {
        JobState::Held => "it waits for the end of the jobs that it depends on".to_owned(),
        JobState::Queued => waits(job, obstacles, now),
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
    if matches!(life.state, JobState::Starting { .. } | JobState::Running { .. }) {
        text.push_str(&next_attempts(&life.policy, life.attempts));
    }
    if let Some(note) = &job.note {
        text.push_str(&format!("; note: {note}"));
    }
    text
}

/// What a job that is queued waits for.
fn waits(job: &Job, obstacles: &Obstacles, now: u64) -> String {
    let room = &obstacles.room;
    let life = &job.lifecycle;
    let waited = ago(life.waiting_since, now);
    let mut text = match &obstacles.closed {
        Some((gate, running)) => format!(
            "it has waited for {waited} because of the quota `{}`: {} of {} run",
            gate.label,
            count(u64::from(*running), "instance"),
            gate.limit,
        ),
        None => format!(
            "it has waited for room for {waited}: it needs {}, and {} of {} are free",
            amount(Resources { cores: job.cores, memory: life.memory }),
            amount(room.free),
            amount(room.total),
        ),
    };
    text.push_str(&format!("; {} wait", count(room.waiting as u64, "job")));
    if job.priority != 0 {
        text.push_str(&format!("; its priority is {}", job.priority));
    }
    if !job.share.is_empty() {
        let (cores, weight) = obstacles.share;
        let cores = count(u64::from(cores), "core");
        text.push_str(&format!("; its share `{}` has {cores} and weight {weight}", job.share));
    }
    if let Some(due) = life.due_at() {
        text.push_str(&format!("; it fails with CapacityError in {}", ago(now, due)));
    }
    text
}

/// What would follow a failure.
fn next_attempts(policy: &RetryPolicy, made: u32) -> String {
    let left = policy.attempts.saturating_sub(made.max(1));
    let classes: Vec<String> = policy.classes.iter().map(|class| format!("`{class}`")).collect();
    if left == 0 || classes.is_empty() {
        return "; if it fails, no attempt follows".to_owned();
    }
    let mut text = format!(
        "; if it fails for {}, {} may follow",
        classes.join(" or "),
        count(left.into(), "attempt")
    );
    if policy.classes.contains(&FailureClass::OutOfMemory) && policy.memory_growth > 1.0 {
        text.push_str(&format!(" (with {} times the memory)", policy.memory_growth));
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
