//! What a job may do: examples, and random lives.

use proptest::prelude::*;

use super::*;
use crate::{Limits, RetryBackoff, RetryPolicy, StateName};

const NOW: u64 = 1_000_000;

fn at(now: u64) -> Moment {
    Moment { now, unit: 1.0 }
}

fn policy(attempts: u32, classes: &[FailureClass]) -> RetryPolicy {
    RetryPolicy {
        attempts,
        backoff: RetryBackoff { base_millis: 100, factor: 2.0, cap_millis: 1_000 },
        classes: classes.to_vec(),
        ..RetryPolicy::default()
    }
}

fn job(policy: RetryPolicy, limits: Limits) -> Lifecycle {
    Lifecycle::new(1_000, policy, limits, NOW)
}

fn step(job: &Lifecycle, event: &JobEvent, now: u64) -> (Lifecycle, Vec<Effect>) {
    let done = job.advance(event, at(now)).expect("the event is accepted");
    (done.next, done.effects)
}

fn admitted() -> JobEvent {
    JobEvent::Admitted { owner: "me".into(), lease_until: NOW + 30_000 }
}

fn launched(job: &Lifecycle) -> JobEvent {
    JobEvent::Launched { token: job.token, process: None }
}

fn ended(job: &Lifecycle, outcome: Outcome) -> JobEvent {
    JobEvent::Ended { token: job.token, outcome }
}

fn running(job: &Lifecycle, now: u64) -> Lifecycle {
    let (job, _) = step(job, &admitted(), now);
    step(&job, &launched(&job), now).0
}

fn fail(job: &Lifecycle, class: FailureClass, now: u64) -> (Lifecycle, Vec<Effect>) {
    step(job, &ended(job, Outcome::failed(class, "boom")), now)
}

#[test]
fn a_job_that_runs_through() {
    let queued = job(policy(1, &[]), Limits::default());
    let (starting, _) = step(&queued, &admitted(), NOW);
    let (running, _) = step(&starting, &launched(&starting), NOW + 10);
    assert_eq!(running.state.running_since(), Some(NOW + 10));
    let (done, effects) =
        step(&running, &ended(&running, Outcome::Succeeded { result: None }), NOW);
    assert_eq!((done.state, effects), (JobState::Succeeded, vec![Effect::Finish]));
}

#[test]
fn an_algorithm_failure_is_tried_again_only_if_the_policy_says_so() {
    let strict = running(&job(policy(3, &[FailureClass::Infrastructure]), Limits::default()), NOW);
    let (failed, _) = fail(&strict, FailureClass::Algorithm, NOW);
    assert_eq!(failed.state.name(), StateName::Failed);
    let patient = running(&job(policy(2, &[FailureClass::Algorithm]), Limits::default()), NOW);
    let (waiting, effects) = fail(&patient, FailureClass::Algorithm, NOW);
    assert_eq!(waiting.state.name(), StateName::Backoff);
    assert_eq!(effects, [Effect::WakeAt(NOW + 100)]);
    assert_eq!(
        waiting.advance(&JobEvent::Due, at(NOW + 99)),
        Err(Refused::TooEarly { due: Some(NOW + 100) })
    );
    let (queued, effects) = step(&waiting, &JobEvent::Due, NOW + 100);
    assert_eq!(effects, [Effect::Enqueue]);
    let (failed, _) = fail(&running(&queued, NOW + 100), FailureClass::Algorithm, NOW + 200);
    assert_eq!(failed.state.name(), StateName::Failed, "two attempts were allowed");
}

#[test]
fn an_invalid_request_is_never_tried_again() {
    let job = running(&job(policy(9, &FailureClass::ALL), Limits::default()), NOW);
    assert_eq!(fail(&job, FailureClass::Invalid, NOW).0.state.name(), StateName::Failed);
}

#[test]
fn a_lack_of_room_counts_no_attempt_and_ends_with_the_wait() {
    let limits = Limits { wait_millis: Some(5_000), ..Limits::default() };
    let mut job = job(policy(1, &[]), limits);
    for round in 0..3 {
        let (starting, _) = step(&job, &admitted(), NOW + round * 1_000);
        let (waiting, _) = fail(&starting, FailureClass::Capacity, NOW + round * 1_000);
        assert_eq!((waiting.attempts, waiting.number), (0, round as u32 + 1));
        job = step(&waiting, &JobEvent::Due, NOW + round * 1_000 + 900).0;
        assert_eq!(job.state, JobState::Queued);
    }
    assert_eq!(job.due_at(), Some(NOW + 5_000));
    let (failed, _) = step(&job, &JobEvent::Due, NOW + 5_000);
    let message = "there was no room for it within 5 s".to_owned();
    assert_eq!(failed.state, JobState::Failed { class: FailureClass::Capacity, message });
}

#[test]
fn a_wait_that_the_operator_bounds_ends_as_sagemaker_says_it() {
    let limits = Limits { room_millis: Some(3_000), wait_millis: Some(5_000), ..Limits::default() };
    let job = job(policy(1, &[]), limits);
    assert_eq!(job.due_at(), Some(NOW + 3_000));
    let (failed, _) = step(&job, &JobEvent::Due, NOW + 3_000);
    let message = "CapacityError: Unable to provision requested ML compute capacity: there was no \
                   room for it within 3 s";
    let class = FailureClass::Capacity;
    assert_eq!(failed.state, JobState::Failed { class, message: message.to_owned() });
}

#[test]
fn memory_grows_after_an_out_of_memory_kill() {
    let grows = RetryPolicy {
        memory_growth: 2.0,
        memory_max: Some(1_500),
        ..policy(5, &[FailureClass::OutOfMemory])
    };
    let job = job(grows, Limits::default());
    let (waiting, _) = fail(&running(&job, NOW), FailureClass::OutOfMemory, NOW);
    assert_eq!(waiting.memory, 1_500);
    let (queued, _) = step(&waiting, &JobEvent::Due, NOW + 1_000);
    let (failed, _) = fail(&running(&queued, NOW), FailureClass::OutOfMemory, NOW);
    assert_eq!(failed.state.name(), StateName::Failed, "there is no more memory to give");
}

#[test]
fn a_time_limit_tells_the_attempt_to_stop_and_then_fails_the_job() {
    let limits = Limits { total_millis: Some(2_000), grace_millis: 500, ..Limits::default() };
    let running = running(&job(policy(3, &[FailureClass::Timeout]), limits), NOW);
    let (stopping, effects) = step(&running, &JobEvent::Due, NOW + 2_000);
    let reason = StopReason::TimedOut;
    assert_eq!(effects[0], Effect::TellToStop { reason, grace_millis: 500 });
    let outcome = Outcome::Succeeded { result: None };
    let (failed, _) = step(&stopping, &ended(&stopping, outcome), NOW + 2_100);
    let message = "it ran for longer than 2 s in all".to_owned();
    assert_eq!(failed.state, JobState::Failed { class: FailureClass::Timeout, message });
}

#[test]
fn a_time_limit_for_an_attempt_leaves_time_for_the_next() {
    let limits = Limits { attempt_millis: Some(2_000), ..Limits::default() };
    let running = running(&job(policy(3, &[FailureClass::Timeout]), limits), NOW);
    let (stopping, _) = step(&running, &JobEvent::Due, NOW + 2_000);
    let (waiting, _) = fail(&stopping, FailureClass::Algorithm, NOW + 2_100);
    assert_eq!(waiting.state.failure().map(|(class, _)| class), Some(FailureClass::Timeout));
    assert_eq!(waiting.state.name(), StateName::Backoff);
}

#[test]
fn an_attempt_that_does_not_stop_is_given_up() {
    let running = running(&job(policy(3, &[]), Limits::default()), NOW);
    let (stopping, _) = step(&running, &JobEvent::StopRequested, NOW);
    let deadline = stopping.due_at().expect("an end is due");
    assert_eq!(deadline, NOW + 120_000 + MARGIN_MILLIS);
    let (stopped, effects) = step(&stopping, &JobEvent::Due, deadline);
    assert_eq!(stopped.state, JobState::Stopped);
    assert_eq!(effects, [Effect::Abandon { token: stopping.token }, Effect::Finish]);
}

#[test]
fn whoever_adopts_an_attempt_shuts_out_the_old_owner() {
    let running = running(&job(policy(3, &[]), Limits::default()), NOW);
    let old = running.token;
    let adopt = JobEvent::Adopted { token: old, owner: "new".into(), lease_until: NOW + 90_000 };
    let (adopted, _) = step(&running, &adopt, NOW);
    assert_eq!(adopted.attempts, running.attempts);
    let late = JobEvent::Ended { token: old, outcome: Outcome::Succeeded { result: None } };
    let current = adopted.token;
    assert_eq!(adopted.advance(&late, at(NOW)), Err(Refused::StaleToken { given: old, current }));
}

#[test]
fn a_lease_ends_an_attempt_only_when_it_has_run_out() {
    let running = running(&job(policy(3, &[FailureClass::Infrastructure]), Limits::default()), NOW);
    let expired = JobEvent::LeaseExpired { token: running.token };
    assert!(running.advance(&expired, at(NOW + 29_999)).is_err());
    let (waiting, effects) = step(&running, &expired, NOW + 30_000);
    assert_eq!(waiting.state.name(), StateName::Backoff);
    assert_eq!(effects[0], Effect::Abandon { token: running.token });
}

#[test]
fn a_retry_gives_a_failed_job_all_its_attempts_again() {
    let running = running(&job(policy(1, &[]), Limits::default()), NOW);
    let (failed, _) = fail(&running, FailureClass::Algorithm, NOW);
    let (queued, effects) = step(&failed, &JobEvent::RetryRequested, NOW + 5);
    assert_eq!((queued.attempts, queued.number), (0, 1));
    assert_eq!(effects, [Effect::Enqueue]);
    let (done, _) = {
        let again = self::running(&queued, NOW + 6);
        step(&again, &ended(&again, Outcome::Succeeded { result: None }), NOW + 7)
    };
    assert!(done.advance(&JobEvent::RetryRequested, at(NOW + 8)).is_err());
}

#[test]
fn a_job_that_waits_for_others_has_room_only_when_it_is_released() {
    let held = job(policy(1, &[]), Limits::default()).held();
    assert!(held.advance(&admitted(), at(NOW)).is_err());
    let (queued, effects) = step(&held, &JobEvent::Released, NOW + 5);
    assert_eq!((queued.waiting_since, effects), (NOW + 5, vec![Effect::Enqueue]));
    let (cancelled, effects) = step(&held, &JobEvent::Cancelled, NOW);
    assert_eq!((cancelled.state, effects), (JobState::Stopped, vec![Effect::Finish]));
    let under_way = step(&queued, &admitted(), NOW).0;
    assert!(under_way.advance(&JobEvent::Cancelled, at(NOW)).is_err(), "it began");
}

#[test]
fn a_failure_for_good_is_followed_by_no_attempt() {
    let running = running(&job(policy(3, &[FailureClass::Algorithm]), Limits::default()), NOW);
    let class = FailureClass::Algorithm;
    let outcome = Outcome::FailedForGood { class, message: "boom".into(), result: None };
    let (failed, _) = step(&running, &ended(&running, outcome), NOW);
    assert_eq!(failed.state, JobState::Failed { class, message: "boom".into() });
}

/// An event whose token is `off` behind the latest.
fn event(kind: u8, class: FailureClass, off: u64, job: &Lifecycle, now: u64) -> JobEvent {
    let token = Token(job.token.0.wrapping_sub(off));
    let owner = || "someone".to_owned();
    let lease_until = now + 500;
    match kind {
        0 | 1 => JobEvent::Admitted { owner: owner(), lease_until },
        2 => JobEvent::Adopted { token, owner: owner(), lease_until },
        3 | 4 => JobEvent::Launched { token, process: None },
        5 => JobEvent::Staged { token, stage: "Downloading".into() },
        6 => JobEvent::Renewed { token, lease_until },
        7 => JobEvent::Ended { token, outcome: Outcome::Succeeded { result: None } },
        8 | 9 => JobEvent::Ended { token, outcome: Outcome::failed(class, "boom") },
        10 => JobEvent::LeaseExpired { token },
        11 | 12 => JobEvent::Due,
        13 => JobEvent::StopRequested,
        14 => JobEvent::Released,
        15 => JobEvent::Cancelled,
        16 => JobEvent::Ended {
            token,
            outcome: Outcome::FailedForGood { class, message: "boom".into(), result: None },
        },
        _ => JobEvent::RetryRequested,
    }
}

fn lives() -> impl Strategy<Value = (RetryPolicy, Limits)> {
    let classes = proptest::sample::subsequence(FailureClass::ALL.to_vec(), 0..=6);
    let limits = (any::<bool>(), any::<bool>(), any::<bool>());
    (1_u32..5, classes, 1.0..3.0_f64, limits).prop_map(
        |(attempts, classes, memory_growth, (attempt, total, wait))| {
            let policy = RetryPolicy {
                memory_growth,
                memory_max: Some(5_000),
                ..policy(attempts, &classes)
            };
            let limits = Limits {
                attempt_millis: attempt.then_some(400),
                total_millis: total.then_some(900),
                wait_millis: wait.then_some(1_500),
                room_millis: total.then_some(1_200),
                grace_millis: 50,
            };
            (policy, limits)
        },
    )
}

/// What holds in every state, and between a state and the next.
fn check(before: &Lifecycle, event: &JobEvent, done: &Transition, now: u64) {
    let next = &done.next;
    assert!(next.attempts <= next.policy.attempts, "attempts exceed the policy: {next:?}");
    assert!(next.token >= before.token && next.number >= before.number);
    assert!(next.memory <= 5_000);
    let (from, to) = (before.state.name(), next.state.name());
    assert!(LEGAL.contains(&(from, to)) || from == to, "{from} to {to}");
    if from.is_final() && to != from {
        assert_eq!(event, &JobEvent::RetryRequested);
    }
    if to.is_final() && to != from {
        assert!(done.effects.contains(&Effect::Finish));
    }
    if to == StateName::Queued && to != from {
        assert!(done.effects.contains(&Effect::Enqueue));
    }
    if let JobState::Backoff { class, .. } = next.state {
        assert!(next.policy.covers(class));
        assert!(next.attempts < next.policy.attempts, "nothing is left to wait for");
    }
    if let Some(since) = next.state.running_since() {
        assert!(since <= now);
    }
}

/// The edges of the diagram in [`JobState`]'s documentation, and no others.
const LEGAL: &[(StateName, StateName)] = {
    use StateName::*;
    &[
        (Held, Queued),
        (Held, Stopped),
        (Queued, Starting),
        (Queued, Stopped),
        (Queued, Failed),
        (Starting, Running),
        (Starting, Succeeded),
        (Starting, Failed),
        (Starting, Backoff),
        (Starting, Stopping),
        (Running, Succeeded),
        (Running, Failed),
        (Running, Backoff),
        (Running, Stopping),
        (Backoff, Queued),
        (Backoff, Stopped),
        (Backoff, Failed),
        (Stopping, Stopped),
        (Stopping, Failed),
        (Stopping, Backoff),
        (Failed, Queued),
        (Stopped, Queued),
    ]
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn random_lives_stay_on_the_diagram_and_end(
        (policy, limits) in lives(),
        is_held in any::<bool>(),
        events in proptest::collection::vec((0_u8..18, 0_usize..6, 0_u64..3, 0_u64..300, 0.0..1.0_f64), 0..120),
    ) {
        let job = job(policy, limits);
        let mut job = if is_held { job.held() } else { job };
        let mut now = NOW;
        for (kind, class, off, pause, unit) in events {
            now += pause;
            let event = event(kind, FailureClass::ALL[class], off, &job, now);
            let result = job.advance(&event, Moment { now, unit });
            let stale = event.token().is_some_and(|token| token != job.token);
            if stale {
                let refused = matches!(result, Err(Refused::StaleToken { .. }));
                prop_assert!(refused, "a stale token was taken: {event:?} by {job:?}");
            }
            if let Ok(done) = result {
                check(&job, &event, &done, now);
                job = done.next;
            }
        }
        prop_assert!(comes_to_an_end(job, now), "the job does not end");
    }
}

/// Whether the job ends when whatever is due happens and every attempt fails.
fn comes_to_an_end(mut job: Lifecycle, mut now: u64) -> bool {
    for _ in 0..60 {
        let token = job.token;
        let event = match &job.state {
            JobState::Held => JobEvent::Released,
            JobState::Queued => JobEvent::Admitted { owner: "me".into(), lease_until: now },
            JobState::Starting { .. } => JobEvent::Launched { token, process: None },
            JobState::Running { lease_until, .. } => {
                now = now.max(*lease_until);
                JobEvent::LeaseExpired { token }
            }
            JobState::Backoff { .. } | JobState::Stopping { .. } => {
                now = now.max(job.due_at().unwrap_or(now));
                JobEvent::Due
            }
            JobState::Succeeded | JobState::Failed { .. } | JobState::Stopped => return true,
        };
        match job.advance(&event, at(now)) {
            Ok(done) => job = done.next,
            Err(refused) => panic!("{refused}: {event:?} by {job:?}"),
        }
    }
    false
}
