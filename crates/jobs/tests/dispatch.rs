//! Jobs in a server whose clock and attempts the test has in hand.

mod bench;
mod support;

use std::{
    os::unix::process::CommandExt,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use bench::{Bench, MACHINE, START, serve};
use bessemer_domain::{FailureClass, JobKind, JobState, Limits, Outcome, StateName, StopReason};
use bessemer_jobs::{
    Attempt, Control, GroupBy, Jobs, JobsError, JobsOptions, NewJob, Resources, Runner, Runners,
    StatsQuery, identify_process, is_running,
};
use bessemer_store::{Store, StoreOptions};
use support::new_job;

const KIND: JobKind = JobKind::Training;

async fn state(bench: &Bench, name: &str) -> StateName {
    bench.jobs.get(KIND, name).await.expect("it is there").lifecycle.state.name()
}

/// Waits until a job's state is as `wanted`; the test hangs if it never is.
async fn until(bench: &Bench, name: &str, wanted: impl Fn(&JobState) -> bool) {
    let mut events = bench.store.outbox().latest();
    loop {
        let job = bench.jobs.get(KIND, name).await.expect("it is there");
        if wanted(&job.lifecycle.state) {
            return;
        }
        events.changed().await.expect("the store is open");
    }
}

#[tokio::test]
async fn a_job_runs_and_whoever_waits_hears_of_it() {
    let bench = Bench::new().await;
    let new = NewJob { request: r#"{"x": 1}"#.into(), ..new_job("a") };
    bench.jobs.submit(new).await.expect("it is new");
    let waits = tokio::spawn({
        let jobs = bench.jobs.clone();
        async move { jobs.wait(KIND, "a").await }
    });
    let run = bench.run("a").await;
    assert_eq!((run.attempt.request.as_str(), run.attempt.number), (r#"{"x": 1}"#, 1));
    assert_eq!(run.attempt.resources, Resources { cores: 1, memory: 100 });
    run.control.stage("Downloading").await.expect("it is wanted");
    run.control.launched(None).await.expect("it is wanted");
    assert_eq!(state(&bench, "a").await, StateName::Running);
    run.end(Outcome::Succeeded { result: Some(r#"{"auc": 0.9}"#.into()) });
    let job = waits.await.expect("no panic").expect("it is there");
    assert_eq!(job.lifecycle.state, JobState::Succeeded);
    let documents = bench.jobs.documents(&job).await.expect("they are there");
    assert_eq!(documents.result.as_deref(), Some(r#"{"auc": 0.9}"#));
    let history = bench.jobs.history(&job).await.expect("it is there");
    let told: Vec<&str> = history.iter().map(|entry| entry.event.as_str()).collect();
    assert_eq!(told, ["submitted", "admitted", "staged", "launched", "ended"]);
    assert_eq!(history[2].stage.as_deref(), Some("Downloading"));
}

#[tokio::test]
async fn a_name_is_taken_once_and_missing_ones_are_told() {
    let bench = Bench::new().await;
    bench.jobs.submit(new_job("a")).await.expect("it is new");
    let again = bench.jobs.submit(new_job("a")).await;
    assert!(matches!(again, Err(JobsError::AlreadyExists { name, .. }) if name == "a"));
    let missing = bench.jobs.stop(KIND, "b").await.expect_err("it is missing");
    assert_eq!(missing.to_string(), "training job `b` does not exist");
}

#[tokio::test]
async fn a_job_that_asks_for_too_much_gets_what_there_is_and_a_note() {
    let bench = Bench::new().await;
    let job = bench.jobs.submit(NewJob { cores: 96, ..new_job("a") }).await.expect("it is new");
    let note = "it gets 2 cores instead of 96, which is what the machine has";
    assert_eq!(job.note.as_deref(), Some(note));
    assert_eq!(bench.run("a").await.attempt.resources.cores, 2);
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_another_with_more_memory() {
    let bench = Bench::new().await;
    let mut new = NewJob { memory: 600, ..new_job("a") };
    new.policy.classes = vec![FailureClass::OutOfMemory];
    new.policy.memory_growth = 2.0;
    bench.jobs.submit(new).await.expect("it is new");
    bench.run("a").await.end(Outcome::failed(FailureClass::OutOfMemory, "it took 700"));
    until(&bench, "a", |state| matches!(state, JobState::Backoff { .. })).await;
    let why = bench.jobs.why(KIND, "a").await.expect("it is there");
    let expected =
        "attempt 1 of 100 failed for `out_of_memory`: it took 700; it is tried again in 1 s";
    assert_eq!(why, expected);
    bench.timer.pass(1_000);
    let second = bench.run("a").await;
    assert_eq!((second.attempt.number, second.attempt.resources.memory), (2, 1_000));
    second.end(Outcome::failed(FailureClass::OutOfMemory, "it took all"));
    let job = bench.jobs.wait(KIND, "a").await.expect("it is there");
    assert_eq!(job.lifecycle.state.name(), StateName::Failed, "there is no more to give");
}

#[tokio::test]
async fn a_lack_of_room_elsewhere_counts_no_attempt() {
    let bench = Bench::new().await;
    let mut new = new_job("a");
    new.policy.attempts = 1;
    bench.jobs.submit(new).await.expect("it is new");
    for _ in 0..3 {
        bench.run("a").await.end(Outcome::failed(FailureClass::Capacity, "no node is free"));
        until(&bench, "a", |state| matches!(state, JobState::Backoff { .. })).await;
        bench.timer.pass(1_000);
    }
    bench.run("a").await.succeed();
    let job = bench.jobs.wait(KIND, "a").await.expect("it is there");
    assert_eq!((job.lifecycle.state, job.lifecycle.number), (JobState::Succeeded, 4));
}

#[tokio::test]
async fn a_job_that_waits_is_stopped_at_once_and_never_runs() {
    let bench = Bench::new().await;
    let whole = |name: &str| NewJob { cores: 2, ..new_job(name) };
    bench.jobs.submit(whole("first")).await.expect("it is new");
    let first = bench.run("first").await;
    bench.jobs.submit(whole("second")).await.expect("it is new");
    bench.jobs.submit(whole("third")).await.expect("it is new");
    let why = bench.jobs.why(KIND, "second").await.expect("it is there");
    assert!(why.contains("it needs 2 cores and 100 B, and 0 cores and 900 B of 2 cores"), "{why}");
    let expected = "2 jobs wait; its share `search` has 2 cores and weight 1";
    assert!(why.ends_with(expected), "{why}");
    let stopped = bench.jobs.stop(KIND, "second").await.expect("it can be stopped");
    assert_eq!(stopped.lifecycle.state, JobState::Stopped);
    first.succeed();
    assert_eq!(bench.any_run().await.attempt.job.name, "third");
    let again = bench.jobs.stop(KIND, "second").await.expect_err("it has ended");
    assert_eq!(again.to_string(), "a job that is `stopped` can't be stopped");
}

#[tokio::test]
async fn a_job_that_runs_is_told_to_stop() {
    let bench = Bench::new().await;
    bench.jobs.submit(new_job("a")).await.expect("it is new");
    let run = bench.run("a").await;
    run.control.launched(None).await.expect("it is wanted");
    assert_eq!(run.control.stop(), None);
    let job = bench.jobs.stop(KIND, "a").await.expect("it can be stopped");
    assert_eq!(job.lifecycle.state.name(), StateName::Stopping);
    let stop = run.control.stopping().await;
    assert_eq!((stop.reason, stop.grace_millis), (StopReason::Requested, 120_000));
    assert!(run.control.launched(None).await.is_err(), "no new process may start");
    run.end(Outcome::failed(FailureClass::Algorithm, "terminated"));
    let job = bench.jobs.wait(KIND, "a").await.expect("it is there");
    assert_eq!(job.lifecycle.state, JobState::Stopped);
}

#[tokio::test]
async fn a_job_that_runs_for_too_long_is_stopped_and_fails() {
    let bench = Bench::new().await;
    let limits = Limits { total_millis: Some(5_000), ..Limits::default() };
    bench.jobs.submit(NewJob { limits, ..new_job("a") }).await.expect("it is new");
    let run = bench.run("a").await;
    run.control.launched(None).await.expect("it is wanted");
    bench.timer.pass(5_000);
    assert_eq!(run.control.stopping().await.reason, StopReason::TimedOut);
    run.succeed();
    let job = bench.jobs.wait(KIND, "a").await.expect("it is there");
    let failure = job.lifecycle.state.failure();
    assert_eq!(failure, Some((FailureClass::Timeout, "it ran for longer than 5 s in all")));
    let why = bench.jobs.why(KIND, "a").await.expect("it is there");
    assert!(why.contains("hint: allow it more time"), "{why}");
}

#[tokio::test]
async fn an_attempt_that_does_not_stop_is_given_up_and_its_process_ended() {
    let bench = Bench::new().await;
    bench.jobs.submit(NewJob { cores: 2, ..new_job("a") }).await.expect("it is new");
    let run = bench.run("a").await;
    let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().expect("it starts");
    let process = identify_process(child.id()).expect("it runs");
    run.control.launched(Some(process.clone())).await.expect("it is wanted");
    bench.jobs.stop(KIND, "a").await.expect("it can be stopped");
    bench.jobs.submit(NewJob { cores: 2, ..new_job("b") }).await.expect("it is new");
    bench.timer.pass(130_000);
    assert_eq!(
        bench.jobs.wait(KIND, "a").await.expect("it is there").lifecycle.state,
        JobState::Stopped
    );
    // Its room is given on only when the process is gone.
    bench.run("b").await.succeed();
    assert!(!is_running(&process));
    child.wait().expect("it has ended");
}

#[tokio::test]
async fn a_failed_job_is_tried_again_when_somebody_asks() {
    let bench = Bench::new().await;
    bench.jobs.submit(new_job("a")).await.expect("it is new");
    bench.run("a").await.end(Outcome::failed(FailureClass::Algorithm, "exit status 1"));
    bench.jobs.wait(KIND, "a").await.expect("it is there");
    bench.jobs.retry(KIND, "a").await.expect("it has failed");
    let run = bench.run("a").await;
    assert_eq!(run.attempt.number, 2);
    run.succeed();
    let job = bench.jobs.wait(KIND, "a").await.expect("it is there");
    assert_eq!(job.lifecycle.state, JobState::Succeeded);
    assert!(matches!(bench.jobs.retry(KIND, "a").await, Err(JobsError::Refused(_))));
}

struct Panics;

impl Runner for Panics {
    async fn run(&self, _: Attempt, _: Control) -> Outcome {
        panic!("a bug")
    }
}

#[tokio::test]
async fn a_runner_that_fails_or_is_missing_fails_the_attempt_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
    let runners = Runners::new().with(KIND, Panics);
    let jobs = Jobs::start(JobsOptions::new(store, runners, 1)).await.expect("it starts");
    let mut once = new_job("a");
    once.policy.attempts = 1;
    jobs.submit(once).await.expect("it is new");
    jobs.submit(NewJob { kind: JobKind::Processing, ..new_job("b") }).await.expect("it is new");
    let failed = jobs.wait(KIND, "a").await.expect("it is there");
    let class = |job: &bessemer_jobs::Job| job.lifecycle.state.failure().map(|(class, _)| class);
    assert_eq!(class(&failed), Some(FailureClass::Infrastructure));
    let invalid = jobs.wait(JobKind::Processing, "b").await.expect("it is there");
    assert_eq!(class(&invalid), Some(FailureClass::Invalid));
}

#[tokio::test]
async fn a_worker_that_wakes_up_after_its_time_is_refused() {
    let bench = Bench::new().await;
    bench.jobs.submit(new_job("a")).await.expect("it is new");
    let old = bench.run("a").await;
    old.control.launched(None).await.expect("it is wanted");
    old.control.renew().await.expect("it holds its lease");
    // Another server takes over what this one, stopped past its leases, has in hand.
    let (jobs, mut runs) = serve(&bench.store, &bench.timer, 2).await;
    until(&bench, "a", |state| matches!(state, JobState::Backoff { .. })).await;
    assert!(old.control.renew().await.is_err());
    assert!(old.control.launched(None).await.is_err());
    old.end(Outcome::Succeeded { result: Some("stale".into()) });
    bench.timer.pass(1_000);
    let next = runs.recv().await.expect("it is tried again");
    assert_eq!(next.attempt.number, 2);
    next.end(Outcome::Succeeded { result: Some("fresh".into()) });
    let job = jobs.wait(KIND, "a").await.expect("it is there");
    let documents = jobs.documents(&job).await.expect("they are there");
    assert_eq!(documents.result.as_deref(), Some("fresh"));
    let history = jobs.history(&job).await.expect("it is there");
    let succeeded = history.iter().filter(|entry| entry.state == StateName::Succeeded).count();
    assert_eq!(succeeded, 1);
}

#[tokio::test]
async fn leases_are_renewed_while_attempts_run() {
    let bench = Bench::new().await;
    bench.jobs.submit(new_job("a")).await.expect("it is new");
    let run = bench.run("a").await;
    let first = run.attempt.job.lifecycle.state.lease_until().expect("it has a lease");
    assert_eq!(first, START + 30_000);
    bench.timer.pass(10_000);
    while bench.jobs.get(KIND, "a").await.expect("it is there").lifecycle.state.lease_until()
        != Some(START + 40_000)
    {
        tokio::task::yield_now().await;
    }
    run.succeed();
}

#[tokio::test]
async fn after_a_shutdown_the_next_server_goes_on() {
    let bench = Bench::new().await;
    for name in ["runs", "waits"] {
        bench.jobs.submit(NewJob { cores: 2, ..new_job(name) }).await.expect("it is new");
    }
    let run = bench.any_run().await;
    assert_eq!(run.attempt.job.name, "runs");
    bench.jobs.shutdown(0).await;
    let (jobs, mut runs) = serve(&bench.store, &bench.timer, 2).await;
    let waits = runs.recv().await.expect("it has room");
    assert_eq!(waits.attempt.job.name, "waits");
    waits.succeed();
    jobs.wait(KIND, "waits").await.expect("it is there");
    until(&bench, "runs", |state| matches!(state, JobState::Backoff { .. })).await;
    bench.timer.pass(1_000);
    let again = runs.recv().await.expect("it is tried again");
    assert_eq!((again.attempt.job.name.as_str(), again.attempt.number), ("runs", 2));
    again.succeed();
    let job = jobs.wait(KIND, "runs").await.expect("it is there");
    let attempts = jobs.attempts(&job).await.expect("they are there");
    let message = "the server was restarted while it ran";
    assert_eq!(attempts[0].message.as_deref(), Some(message));
}

#[tokio::test]
async fn what_was_to_stop_when_the_server_ended_is_ended_by_the_next_however_late() {
    let bench = Bench::new().await;
    bench.jobs.submit(new_job("a")).await.expect("it is new");
    let run = bench.run("a").await;
    let mut child = Command::new("sleep").arg("1000").process_group(0).spawn().expect("it starts");
    let process = identify_process(child.id()).expect("it runs");
    run.control.launched(Some(process.clone())).await.expect("it is wanted");
    bench.jobs.stop(KIND, "a").await.expect("it can be stopped");
    bench.jobs.shutdown(0).await;
    assert!(is_running(&process));
    bench.timer.pass(1_000_000);
    let (jobs, _runs) = serve(&bench.store, &bench.timer, 2).await;
    let job = jobs.wait(KIND, "a").await.expect("it is there");
    assert_eq!(job.lifecycle.state, JobState::Stopped);
    assert!(!is_running(&process));
    child.wait().expect("it has ended");
}

/// Counts what attempts take of the machine, and fails one attempt of three.
struct Counts {
    used: AtomicU32,
    memory: AtomicU64,
    most: Arc<AtomicU32>,
    runs: AtomicU32,
}

impl Runner for Counts {
    async fn run(&self, attempt: Attempt, control: Control) -> Outcome {
        let Resources { cores, memory } = attempt.resources;
        let used = self.used.fetch_add(cores, Ordering::SeqCst) + cores;
        let taken = self.memory.fetch_add(memory, Ordering::SeqCst) + memory;
        self.most.fetch_max(used, Ordering::SeqCst);
        assert!(used <= MACHINE.cores && taken <= MACHINE.memory, "the machine is over-committed");
        let launched = control.launched(None).await;
        self.used.fetch_sub(cores, Ordering::SeqCst);
        self.memory.fetch_sub(memory, Ordering::SeqCst);
        if launched.is_err() || self.runs.fetch_add(1, Ordering::SeqCst).is_multiple_of(3) {
            return Outcome::failed(FailureClass::Infrastructure, "bad luck");
        }
        Outcome::Succeeded { result: None }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_jobs_end_and_the_machine_is_never_over_committed() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
    let most = Arc::new(AtomicU32::new(0));
    let counts = Counts {
        used: AtomicU32::new(0),
        memory: AtomicU64::new(0),
        most: Arc::clone(&most),
        runs: AtomicU32::new(0),
    };
    let runners = Runners::new().with(KIND, counts);
    let options = JobsOptions { machine: MACHINE, ..JobsOptions::new(store.clone(), runners, 1) };
    let jobs = Jobs::start(options).await.expect("it starts");
    let submit = |index: u32| {
        let jobs = jobs.clone();
        async move {
            let name = format!("job-{index}");
            let mut new = NewJob {
                cores: 1 + index % 3,
                memory: u64::from(index % 7) * 200,
                priority: i32::try_from(index % 2).expect("it is small"),
                share: format!("share-{}", index % 5),
                ..new_job(&name)
            };
            new.policy.backoff.base_millis = 1;
            jobs.submit(new).await.expect("it is new");
            jobs.wait(KIND, &name).await.expect("it is there").lifecycle.state
        }
    };
    let ends = futures::future::join_all((0..300).map(submit)).await;
    assert!(ends.iter().all(|state| *state == JobState::Succeeded));
    assert_eq!(most.load(Ordering::SeqCst), MACHINE.cores, "the machine was not used");
    let by_tag = GroupBy::Tag("team".into());
    let rows = jobs.stats(&StatsQuery { kind: Some(KIND), since: 0, group: by_tag }).await;
    let rows = rows.expect("they can be read");
    assert_eq!((rows.len(), rows[0].0.as_str()), (1, "search"));
    assert_eq!((rows[0].1.jobs, rows[0].1.succeeded), (300, 300));
    assert!(rows[0].1.retries >= 100, "{:?}", rows[0].1);
}
