//! What the tests of jobs share.

use std::collections::HashMap;

use bessemer_domain::{Clock, JobKind, Limits, Outcome, RetryBackoff, RetryPolicy};
use bessemer_jobs::{
    Attempt, Control, Jobs, JobsOptions, NewJob, Resources, Runner, Runners, Tag, Timer,
};
use bessemer_store::{Store, StoreOptions};
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

/// A clock that moves when it is told to.
pub struct ManualTimer(watch::Sender<u64>);

impl ManualTimer {
    pub fn new(now: u64) -> Self {
        Self(watch::channel(now).0)
    }

    pub fn pass(&self, millis: u64) {
        self.0.send_modify(|now| *now += millis);
    }
}

impl Clock for ManualTimer {
    fn now_millis(&self) -> u64 {
        *self.0.borrow()
    }
}

impl Timer for ManualTimer {
    fn sleep_until(&self, millis: u64) -> BoxFuture<'static, ()> {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            let _ = now.wait_for(|now| *now >= millis).await;
        })
    }
}

/// An attempt that the test plays the runner of.
pub struct Run {
    pub attempt: Attempt,
    pub control: Control,
    end: oneshot::Sender<Outcome>,
}

impl Run {
    pub fn end(self, outcome: Outcome) {
        // A runner that was given up is no longer there.
        let _ = self.end.send(outcome);
    }

    pub fn succeed(self) {
        self.end(Outcome::Succeeded { result: None });
    }
}

/// Hands every attempt to the test.
pub struct Handed(mpsc::UnboundedSender<Run>);

impl Runner for Handed {
    async fn run(&self, attempt: Attempt, control: Control) -> Outcome {
        let (end, ended) = oneshot::channel();
        let _ = self.0.send(Run { attempt, control, end });
        ended.await.unwrap_or_else(|_| panic!("the test dropped the attempt"))
    }
}

/// A server whose attempts the test plays.
pub struct Bench {
    pub jobs: Jobs,
    pub store: Store,
    pub timer: std::sync::Arc<ManualTimer>,
    runs: Mutex<(mpsc::UnboundedReceiver<Run>, HashMap<String, Run>)>,
    pub directory: TempDir,
}

pub const START: u64 = 1_800_000_000_000;
pub const MACHINE: Resources = Resources { cores: 2, memory: 1_000 };

impl Bench {
    pub async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
        let timer = std::sync::Arc::new(ManualTimer::new(START));
        let (jobs, runs) = serve(&store, &timer, 1).await;
        Self { jobs, store, timer, runs: Mutex::new((runs, HashMap::new())), directory }
    }

    /// The next attempt at job `name`.
    pub async fn run(&self, name: &str) -> Run {
        let mut runs = self.runs.lock().await;
        loop {
            if let Some(run) = runs.1.remove(name) {
                return run;
            }
            let run = runs.0.recv().await.expect("the server runs");
            runs.1.insert(run.attempt.job.name.clone(), run);
        }
    }

    /// The next attempt at whatever job.
    pub async fn any_run(&self) -> Run {
        self.runs.lock().await.0.recv().await.expect("the server runs")
    }
}

/// A server on `store`, and the attempts that it wants run.
pub async fn serve(
    store: &Store,
    timer: &std::sync::Arc<ManualTimer>,
    seed: u64,
) -> (Jobs, mpsc::UnboundedReceiver<Run>) {
    let (hand, runs) = mpsc::unbounded_channel();
    let runners = Runners::new().with(JobKind::Training, Handed(hand));
    let options = JobsOptions {
        machine: MACHINE,
        timer: std::sync::Arc::clone(timer) as _,
        ..JobsOptions::new(store.clone(), runners, seed)
    };
    (Jobs::start(options).await.expect("it starts"), runs)
}

pub fn new_job(name: &str) -> NewJob {
    NewJob {
        kind: JobKind::Training,
        name: name.into(),
        arn: format!("arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"),
        request: "{}".into(),
        tags: vec![Tag::new("team", "search")],
        priority: 0,
        share: "search".into(),
        cores: 1,
        memory: 100,
        note: None,
        policy: RetryPolicy {
            attempts: 100,
            backoff: RetryBackoff { base_millis: 1_000, factor: 1.0, cap_millis: 1_000 },
            ..RetryPolicy::default()
        },
        limits: Limits::default(),
    }
}
