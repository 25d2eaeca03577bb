//! A server whose clock and attempts the test has in hand.

use std::{collections::HashMap, sync::Arc};

use bessemer_domain::{Clock, JobKind, Outcome};
use bessemer_jobs::{Attempt, Control, Jobs, JobsOptions, Resources, Runner, Runners, Timer};
use bessemer_store::{Store, StoreOptions};
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

/// A clock that moves when it is told to.
pub(crate) struct ManualTimer(watch::Sender<u64>);

impl ManualTimer {
    pub(crate) fn new(now: u64) -> Self {
        Self(watch::channel(now).0)
    }

    pub(crate) fn pass(&self, millis: u64) {
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
pub(crate) struct Run {
    pub(crate) attempt: Attempt,
    pub(crate) control: Control,
    end: oneshot::Sender<Outcome>,
}

impl Run {
    pub(crate) fn end(self, outcome: Outcome) {
        // A runner that was given up is no longer there.
        let _ = self.end.send(outcome);
    }

    pub(crate) fn succeed(self) {
        self.end(Outcome::Succeeded { result: None });
    }
}

/// Hands every attempt to the test.
pub(crate) struct Handed(mpsc::UnboundedSender<Run>);

impl Runner for Handed {
    async fn run(&self, attempt: Attempt, control: Control) -> Outcome {
        let (end, ended) = oneshot::channel();
        let _ = self.0.send(Run { attempt, control, end });
        ended.await.unwrap_or_else(|_| panic!("the test dropped the attempt"))
    }
}

/// A server whose attempts the test plays.
pub(crate) struct Bench {
    pub(crate) jobs: Jobs,
    pub(crate) store: Store,
    pub(crate) timer: Arc<ManualTimer>,
    runs: Mutex<(mpsc::UnboundedReceiver<Run>, HashMap<String, Run>)>,
    _directory: TempDir,
}

pub(crate) const START: u64 = 1_800_000_000_000;
pub(crate) const MACHINE: Resources = Resources { cores: 2, memory: 1_000 };

impl Bench {
    pub(crate) async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
        let timer = Arc::new(ManualTimer::new(START));
        let (jobs, runs) = serve(&store, &timer, 1).await;
        Self { jobs, store, timer, runs: Mutex::new((runs, HashMap::new())), _directory: directory }
    }

    /// The next attempt at job `name`.
    pub(crate) async fn run(&self, name: &str) -> Run {
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
    pub(crate) async fn any_run(&self) -> Run {
        self.runs.lock().await.0.recv().await.expect("the server runs")
    }
}

/// A server on `store`, and the attempts that it wants run.
pub(crate) async fn serve(
    store: &Store,
    timer: &Arc<ManualTimer>,
    seed: u64,
) -> (Jobs, mpsc::UnboundedReceiver<Run>) {
    let (hand, runs) = mpsc::unbounded_channel();
    let runners = Runners::new().with(JobKind::Training, Handed(hand));
    let options = JobsOptions {
        machine: MACHINE,
        timer: Arc::clone(timer) as _,
        ..JobsOptions::new(store.clone(), runners, seed)
    };
    (Jobs::start(options).await.expect("it starts"), runs)
}
