//! Copies of a command that are started by us.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use bessemer_domain::{ExitCode, RejectClass};
use bessemer_models::http::{HttpModel, HttpOptions, ServerLog, Target};
use bessemer_transform::model::{CallErrorKind, Copies, Model};
use tempfile::TempDir;

use crate::support::{call, echoed, eventually, runs, script};

/// A directory with the files of one test, and the options of its model.
struct Setup {
    dir: TempDir,
    options: HttpOptions,
}

impl Setup {
    /// One copy of the contract server with these options.
    fn new(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let command = format!("exec python3 '{}'", script().display());
        let mut options = HttpOptions::new(Target::Serve { command });
        options.copies = Some(1);
        options.timeout = Duration::from_secs(20);
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        options.env = env.collect();
        let setup = Self { dir, options };
        setup.with("STARTS_FILE", "starts").with("ECHO_FILE", "echo")
    }

    /// The option `name` set to a file in the directory.
    fn with(mut self, name: &str, file: &str) -> Self {
        let path = self.path(file);
        self.options.env.push((name.to_owned(), path.to_str().unwrap().to_owned()));
        self
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir.path().join(file)
    }

    fn open(&self) -> HttpModel {
        HttpModel::open(&self.options).unwrap()
    }

    /// The processes that were started so far.
    fn started(&self) -> Vec<u32> {
        started(self.dir.path())
    }
}

fn started(dir: &Path) -> Vec<u32> {
    let text = fs::read_to_string(dir.join("starts")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn a_command_is_started_told_its_port_and_ended() {
    let mut setup =
        Setup::new(&[("MINE", "yes"), ("PARENT_WITH_CHILD", "1")]).with("ENVIRON_FILE", "environ");
    setup.options.max_payload = Some(2 << 20);
    setup.options.log = Some(ServerLog::File(setup.path("log")));
    let model = setup.open();
    assert_eq!(model.copies(), Some(Copies { there: 1, ready: 1 }));
    assert_eq!(model.limits().start_concurrent, Some(1));
    assert_eq!(call(&model, &["1", "2"]).unwrap(), ["2", "4"]);

    let environ = fs::read(setup.path("environ")).unwrap();
    let environ: serde_json::Value = serde_json::from_slice(&environ).unwrap();
    for (name, value) in [
        ("SAGEMAKER_BATCH", "true"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "2"),
        ("MINE", "yes"),
        ("BESSEMER_PORT", environ["PORT"].as_str().unwrap()),
        ("SAGEMAKER_BIND_TO_PORT", environ["PORT"].as_str().unwrap()),
    ] {
        assert_eq!(environ[name], value, "{name}");
    }
    let processes = setup.started();
    assert_eq!(processes.len(), 2, "the server and its child");
    assert!(processes.iter().all(|pid| runs(*pid)));
    drop(model);
    assert!(!processes.iter().any(|pid| runs(*pid)), "all are gone after drop");
    let log = fs::read_to_string(setup.path("log")).unwrap();
    assert!(log.starts_with("[copy 1] contract server starting\n[copy 1] listening on "), "{log}");
}

#[test]
fn the_port_may_stand_in_a_longer_command() {
    let mut setup = Setup::new(&[]);
    let script = script();
    let command = format!("cd . && (python3 '{}' {{port}} | cat) 2>&1; true", script.display());
    setup.options.target = Target::Serve { command };
    let model = setup.open();
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    let processes = setup.started();
    drop(model);
    assert!(!processes.iter().any(|pid| runs(*pid)));
}

#[test]
fn calls_go_to_the_copy_with_the_fewest_in_flight() {
    let mut setup = Setup::new(&[("SLOW", "0.05")]);
    setup.options.copies = Some(3);
    let model = setup.open();
    assert_eq!(model.limits().start_concurrent, Some(3));
    let servers = || {
        let mut pids: Vec<_> =
            echoed(&setup.path("echo")).iter().map(|call| call["pid"].as_u64().unwrap()).collect();
        pids.sort_unstable();
        pids.dedup();
        pids.len()
    };
    eventually("all copies take part", || {
        calls_at_once(&model, 3);
        servers() == 3
    });
    let before = echoed(&setup.path("echo")).len();
    calls_at_once(&model, 3);
    let mut last: Vec<_> =
        echoed(&setup.path("echo"))[before..].iter().map(|call| call["pid"].clone()).collect();
    last.sort_by_key(serde_json::Value::as_u64);
    last.dedup();
    assert_eq!(last.len(), 3, "three calls at once have a copy each");
    let processes = setup.started();
    drop(model);
    assert!(!processes.iter().any(|pid| runs(*pid)));
}

#[test]
fn copies_without_a_number_follow_the_calls() {
    let mut setup = Setup::new(&[("SLOW", "0.05")]);
    setup.options.copies = None;
    let model = setup.open();
    for _ in 0..3 {
        call(&model, &["1"]).unwrap();
    }
    assert_eq!(model.copies(), Some(Copies { there: 1, ready: 1 }), "one call needs one copy");
    let most = thread::available_parallelism().unwrap().get();
    eventually("calls that share a copy get another", || {
        calls_at_once(&model, 2);
        model.copies().unwrap().ready == most.min(2)
    });
    calls_at_once(&model, 2);
    assert_eq!(model.copies().unwrap().there, most.min(2), "no more copies than calls");
    assert_eq!(setup.started().len(), most.min(2));
}

#[test]
fn copies_without_a_number_stay_within_memory_and_calls_at_once() {
    let mut setup = Setup::new(&[("SLOW", "0.05")]);
    setup.options.copies = None;
    setup.options.memory = Some(1 << 20);
    let in_a_megabyte = setup.open();
    setup.options.memory = None;
    setup.options.max_concurrent = Some(1);
    let for_one_call = setup.open();
    for model in [in_a_megabyte, for_one_call] {
        assert_eq!(model.limits().start_concurrent, Some(1));
        calls_at_once(&model, 3);
        assert_eq!(model.copies(), Some(Copies { there: 1, ready: 1 }));
    }
}

fn calls_at_once(model: &HttpModel, count: usize) {
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| call(model, &["1"]).unwrap());
        }
    });
}

#[test]
fn a_server_that_is_late_is_waited_for() {
    for option in ["LISTEN_AFTER_FILE", "PING_AFTER_FILE"] {
        let setup = Setup::new(&[]).with(option, "go");
        thread::scope(|scope| {
            let opening = scope.spawn(|| setup.open());
            eventually("the server starts", || !setup.started().is_empty());
            assert!(!opening.is_finished());
            fs::write(setup.path("go"), "").unwrap();
            assert_eq!(call(&opening.join().unwrap(), &["1"]).unwrap(), ["2"]);
        });
    }
}

#[test]
fn a_server_that_never_pings_is_an_error_with_its_output() {
    for env in [("PING_STATUS", "500"), ("LISTEN_AFTER_FILE", "/nowhere")] {
        let mut setup = Setup::new(&[env]);
        setup.options.ping_timeout = Duration::from_millis(1500);
        let error = HttpModel::open(&setup.options).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Configuration);
        let message = error.to_string();
        assert!(message.contains("did not answer 200 to /ping within 1.5 s"), "{message}");
        assert!(message.contains("; its output ends:\n  contract server starting"), "{message}");
        let processes = setup.started();
        assert!(!processes.is_empty() && !processes.iter().any(|pid| runs(*pid)));
    }
}

#[test]
fn a_command_that_ends_at_once_is_an_error_at_once() {
    let cases = [
        ("echo no such model >&2; exit 3", "exited with status 3", "no such model"),
        ("kill -9 $$", "killed by signal 9 (SIGKILL)", "it printed nothing"),
        ("no-such-command-here", "exited with status 127", "not found"),
        ("true", "exited with status 0", "it must stay in the foreground"),
    ];
    for (command, how, output) in cases {
        let options = HttpOptions::new(Target::Serve { command: command.to_owned() });
        let since = Instant::now();
        let message = HttpModel::open(&options).unwrap_err().to_string();
        assert!(since.elapsed() < Duration::from_secs(5));
        assert!(message.starts_with(&format!("start `{command}`: ")), "{message}");
        assert!(message.contains(how) && message.contains(output), "{message}");
    }
}

#[test]
fn a_copy_that_dies_on_a_record_is_restarted() {
    let setup = Setup::new(&[]);
    let model = setup.open();
    let error = call(&model, &["1", "\"die\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Transient, RejectClass::WorkerDied));
    assert_eq!(error.message, "the server exited with status 7; its output ends `out of luck`");
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    let error = call(&model, &["\"sigkill\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Transient, RejectClass::WorkerDied));
    let killed = "the server was killed by signal 9 (SIGKILL), perhaps for want of memory; ";
    assert!(error.message.starts_with(killed), "{}", error.message);
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    assert_eq!(setup.started().len(), 3);
    let error = call(&model, &["\"reset\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Transient, RejectClass::Model));
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    assert_eq!(setup.started().len(), 3, "one that lives is not restarted");
}

#[test]
fn a_copy_that_no_longer_starts_is_given_up() {
    let setup = Setup::new(&[("FAIL_AFTER_STARTS", "1")]);
    let model = setup.open();
    call(&model, &["\"die\""]).unwrap_err();
    let error = call(&model, &["1"]).unwrap_err();
    assert_eq!(error.kind, CallErrorKind::Unreachable);
    assert!(error.message.contains("exited with status 3"), "{}", error.message);
    assert!(error.message.contains("no model here"), "{}", error.message);
    assert_eq!(setup.started().len(), 6);
}

#[test]
fn a_copy_that_hangs_is_replaced_and_one_that_is_slow_is_not() {
    let mut setup = Setup::new(&[("SINGLE_THREAD", "1")]);
    setup.options.timeout = Duration::from_secs(1);
    let model = setup.open();
    let error = call(&model, &["\"hang\""]).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Transient, RejectClass::Timeout));
    assert!(error.message.ends_with("; the server hung and was restarted"), "{}", error.message);
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    assert_eq!(setup.started().len(), 2);

    let mut setup = Setup::new(&[]);
    setup.options.timeout = Duration::from_secs(1);
    let model = setup.open();
    let error = call(&model, &["\"hang\""]).unwrap_err();
    assert_eq!(error.class, RejectClass::Timeout);
    assert_eq!(call(&model, &["1"]).unwrap(), ["2"]);
    assert_eq!(setup.started().len(), 1);
}

#[test]
fn a_copy_that_ignores_sigterm_is_ended_by_force() {
    let setup = Setup::new(&[("IGNORE_SIGTERM", "1")]);
    let model = setup.open();
    let processes = setup.started();
    let since = Instant::now();
    drop(model);
    assert!(!processes.iter().any(|pid| runs(*pid)));
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
}

#[test]
fn copies_end_when_we_are_killed() {
    let setup = Setup::new(&[("PARENT_WITH_CHILD", "1")]);
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["serve::owner_of_a_copy", "--exact", "--ignored", "--nocapture"])
        .env("OWNER_STARTS_FILE", setup.path("starts"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the copy is ready", || setup.path("ready").exists());
    let processes = setup.started();
    assert_eq!(processes.len(), 2, "the server and its child");
    assert!(processes.iter().all(|pid| runs(*pid)));
    owner.kill().unwrap();
    owner.wait().unwrap();
    eventually("the copy's processes are gone", || !processes.iter().any(|pid| runs(*pid)));
}

/// Owns a copy until it is killed: the other half of the test above.
#[test]
#[ignore = "run by another test as a process of its own"]
fn owner_of_a_copy() {
    let Ok(starts) = std::env::var("OWNER_STARTS_FILE") else { return };
    let mut setup = Setup::new(&[("PARENT_WITH_CHILD", "1")]);
    setup.options.env.push(("STARTS_FILE".to_owned(), starts.clone()));
    let _model = setup.open();
    fs::write(Path::new(&starts).with_file_name("ready"), "").unwrap();
    loop {
        thread::park();
    }
}
