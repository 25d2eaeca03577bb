//! Servers that die at random moments while real processes run: no job is lost, and none is
//! completed twice or run twice at once. Once the runtime is dropped, once the server is a process
//! that is killed by SIGKILL. The seed is printed; `BESSEMER_TEST_SEED` sets it.

#![expect(clippy::print_stdout, reason = "a test without a harness, and a server that is told of")]

mod support;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
};

use bessemer_domain::{FailureClass, JobKind, Outcome, ProcessId, StateName};
use bessemer_jobs::{
    Attempt, Control, Jobs, JobsError, JobsOptions, NewJob, Resources, Runner, Runners,
    end_process, identify_process, is_running, wait_for_exit,
};
use bessemer_store::{JobQuery, Store, StoreError, StoreOptions};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{io::AsyncWriteExt, runtime::Runtime};

const KIND: JobKind = JobKind::Training;
const JOBS: usize = 40;
const MOMENTS: usize = 20;

/// Waits for its server's word, notes whether another of its job runs, works a little, and notes
/// that it is done.
const SCRIPT: &str = r#"
    read -r go || exit 97
    exec 9> "locks/$NAME"
    flock -n 9 || touch "overlaps/$NAME"
    sleep "$(printf '0.0%s' "${#NAME}")" 9>&-
    echo "$NAME" >> done
    echo 0 > "exits/$NAME.$NUMBER.new" && mv "exits/$NAME.$NUMBER.new" "exits/$NAME.$NUMBER"
"#;

/// Runs [`SCRIPT`]. `tell` hears of every step, before it is answered for.
struct Processes {
    directory: PathBuf,
    tell: mpsc::Sender<String>,
}

impl Processes {
    fn tell(&self, what: &str, attempt: &Attempt) {
        let _ = self.tell.send(format!("{what} {}", attempt.job.name));
    }

    fn outcome(&self, attempt: &Attempt) -> Outcome {
        let exit = format!("exits/{}.{}", attempt.job.name, attempt.number);
        if self.directory.join(exit).exists() {
            Outcome::Succeeded { result: None }
        } else {
            Outcome::failed(FailureClass::Infrastructure, "it was killed")
        }
    }
}

impl Runner for Processes {
    async fn run(&self, attempt: Attempt, control: Control) -> Outcome {
        self.tell("begin", &attempt);
        let mut command = tokio::process::Command::new("sh");
        command.args(["-c", SCRIPT]).current_dir(&self.directory).process_group(0);
        command.env("NAME", &attempt.job.name).env("NUMBER", attempt.number.to_string());
        let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
        let process = identify_process(child.id().expect("it runs")).expect("it runs");
        self.tell("started", &attempt);
        if control.launched(Some(process)).await.is_err() {
            child.kill().await.expect("it can be killed");
            return Outcome::failed(FailureClass::Infrastructure, "it is not wanted");
        }
        self.tell("launched", &attempt);
        let mut gate = child.stdin.take().expect("it has one");
        let _ = gate.write_all(b"go\n").await;
        drop(gate);
        child.wait().await.expect("it ends");
        self.tell("ended", &attempt);
        self.outcome(&attempt)
    }

    /// Goes on with the jobs of even numbers, and ends those of odd ones.
    async fn resume(&self, attempt: Attempt, left: Option<ProcessId>, _: Control) -> Outcome {
        self.tell("resume", &attempt);
        if let Some(left) = left {
            if attempt.job.name.ends_with(['0', '2', '4', '6', '8']) {
                wait_for_exit(&left).await.expect("it can be waited for");
            } else {
                end_process(&left).await.expect("it can be ended");
            }
            assert!(!is_running(&left));
        }
        self.outcome(&attempt)
    }
}

async fn start(directory: &Path, seed: u64, tell: mpsc::Sender<String>) -> (Store, Jobs) {
    let store = loop {
        match Store::open(&StoreOptions::new(directory)).await {
            Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
            opened => break opened.expect("it opens"),
        }
    };
    let runner = Processes { directory: directory.to_owned(), tell };
    let runners = Runners::new().with(KIND, runner);
    let machine = Resources { cores: 3, memory: 1_000 };
    let options = JobsOptions { machine, ..JobsOptions::new(store.clone(), runners, seed) };
    let jobs = Jobs::start(options).await.expect("it starts");
    (store, jobs)
}

fn name(index: usize) -> String {
    // Names of several lengths, which is how long their jobs sleep.
    format!("{}-{index}", "x".repeat(1 + index % 4))
}

async fn submit(jobs: &Jobs, index: usize) {
    let mut new: NewJob = support::new_job(&name(index));
    new.policy.backoff.base_millis = 1;
    match jobs.submit(new).await {
        Ok(_) | Err(JobsError::AlreadyExists { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

fn prepare() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for folder in ["locks", "overlaps", "exits"] {
        fs::create_dir(directory.path().join(folder)).expect("a folder");
    }
    directory
}

/// Holds what the processes themselves noted against what the database says.
async fn check(directory: &Path, store: &Store, acknowledged: &BTreeSet<usize>) {
    let query = JobQuery { limit: 1_000, ..JobQuery::default() };
    let jobs = store.jobs().list(&query).await.expect("they can be read").jobs;
    let done = fs::read_to_string(directory.join("done")).expect("something was done");
    let done: BTreeSet<&str> = done.lines().collect();
    for index in acknowledged {
        let name = name(*index);
        let job = jobs.iter().find(|job| job.name == name);
        let job = job.unwrap_or_else(|| panic!("job `{name}` is lost"));
        assert_eq!(job.lifecycle.state.name(), StateName::Succeeded, "{name}");
        let history = store.jobs().history(job.id).await.expect("it can be read");
        let completed = history.iter().filter(|entry| entry.state == StateName::Succeeded).count();
        assert_eq!(completed, 1, "`{name}` was completed more than once");
        assert!(done.contains(name.as_str()), "`{name}` never did its work");
    }
    let overlaps = fs::read_dir(directory.join("overlaps")).expect("a folder").count();
    assert_eq!(overlaps, 0, "jobs ran twice at once");
}

/// Drops the runtime, and with it the server, at each moment.
fn runtimes_that_are_dropped(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let directory = prepare();
    let mut acknowledged = BTreeSet::new();
    for moment in 0..MOMENTS {
        let runtime = Runtime::new().expect("a runtime");
        let (tell, told) = mpsc::channel();
        let (store, jobs) = runtime.block_on(start(directory.path(), random.random(), tell));
        for index in JOBS * moment / MOMENTS..JOBS * (moment + 1) / MOMENTS {
            runtime.block_on(submit(&jobs, index));
            acknowledged.insert(index);
        }
        // Every server has something to run, so this many steps always come.
        for _ in 0..random.random_range(1..6) {
            told.recv().expect("it runs");
        }
        println!("dropped {}", moment + 1);
        drop((store, jobs));
        drop(runtime);
    }
    let runtime = Runtime::new().expect("a runtime");
    let (tell, _told) = mpsc::channel();
    runtime.block_on(async {
        let (store, jobs) = start(directory.path(), random.random(), tell).await;
        for index in 0..JOBS {
            jobs.wait(KIND, &name(index)).await.expect("it is there");
        }
        check(directory.path(), &store, &acknowledged).await;
    });
}

/// A server that takes the numbers of jobs by its standard input, and says what it does by its
/// standard output.
fn serve(directory: &Path, seed: u64) {
    let runtime = Runtime::new().expect("a runtime");
    let (tell, told) = mpsc::channel::<String>();
    std::thread::spawn(move || told.into_iter().for_each(|line| println!("{line}")));
    let (_store, jobs) = runtime.block_on(start(directory, seed, tell));
    for line in std::io::stdin().lines() {
        let line = line.expect("it is text");
        if line == "wait" {
            for index in 0..JOBS {
                runtime.block_on(jobs.wait(KIND, &name(index))).expect("it is there");
            }
            println!("all");
        } else {
            runtime.block_on(submit(&jobs, line.parse().expect("it is a number")));
            println!("acknowledged {line}");
        }
    }
}

/// Kills the server's process at each moment.
fn servers_that_are_killed(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let directory = prepare();
    let mut acknowledged = BTreeSet::new();
    for moment in 0..=MOMENTS {
        let mut server = Command::new(env::current_exe().expect("it has a path"));
        server.arg("--serve").arg(directory.path()).arg(random.random::<u64>().to_string());
        let server = server.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut server = server.expect("it starts");
        let mut asks = server.stdin.take().expect("it has one");
        let mut says = BufReader::new(server.stdout.take().expect("it has one")).lines();
        let last = moment == MOMENTS;
        let most = if last { JOBS } else { JOBS * (moment + 1) / MOMENTS };
        for index in (0..most).filter(|index| !acknowledged.contains(index)) {
            writeln!(asks, "{index}").expect("it listens");
        }
        if last {
            writeln!(asks, "wait").expect("it listens");
        }
        let lines = if last { usize::MAX } else { random.random_range(1..8) };
        for line in says.by_ref().take(lines) {
            let line = line.expect("it is text");
            if let Some(index) = line.strip_prefix("acknowledged ") {
                acknowledged.insert(index.parse().expect("it is a number"));
            }
            if line == "all" {
                break;
            }
        }
        println!("killed {}", moment + 1);
        server.kill().expect("it runs");
        server.wait().expect("it has ended");
    }
    assert_eq!(acknowledged.len(), JOBS);
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(&StoreOptions::new(directory.path())).await.expect("it opens");
        check(directory.path(), &store, &acknowledged).await;
    });
}

fn main() {
    let mut args = env::args().skip(1);
    if args.next().as_deref() == Some("--serve") {
        let directory = args.next().expect("a directory");
        let seed = args.next().and_then(|seed| seed.parse().ok()).expect("a seed");
        return serve(Path::new(&directory), seed);
    }
    let seed = env::var("BESSEMER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(4);
    println!("seed {seed}");
    runtimes_that_are_dropped(seed);
    println!("runtimes that are dropped: ok");
    servers_that_are_killed(seed);
    println!("servers that are killed: ok");
}
