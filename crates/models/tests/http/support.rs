//! Starts the contract server, makes records, reads answers, waits for conditions.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use bessemer_models::http::{ContentType, HttpModel, HttpOptions, Target};
use bessemer_transform::{
    model::{Answer, CallError, Model},
    records::Records,
};
use serde_json::Value;
use tempfile::TempDir;

/// The script of the server.
pub(crate) fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/contract_server.py")
}

/// A server that was there before us, ended with the value.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
}

impl Server {
    /// A server with these options. `ECHO_FILE` is always set.
    pub(crate) fn start(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("python3")
            .arg(script())
            .arg("0")
            .env("ECHO_FILE", dir.path().join("echo"))
            .envs(env.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let port = stdout
            .lines()
            .find_map(|line| line.unwrap().strip_prefix("listening on ")?.parse().ok())
            .expect("the server says its port");
        Self { child, port, dir }
    }

    pub(crate) fn options(&self, path: &str) -> HttpOptions {
        let url = format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap();
        HttpOptions { timeout: Duration::from_secs(20), ..HttpOptions::new(Target::Endpoint(url)) }
    }

    pub(crate) fn open(&self) -> HttpModel {
        HttpModel::open(&self.options("")).unwrap()
    }

    pub(crate) fn open_with(&self, content_type: ContentType) -> HttpModel {
        let options = HttpOptions { content_type, ..self.options("") };
        HttpModel::open(&options).unwrap()
    }

    /// What the server was sent: one object a call.
    pub(crate) fn calls(&self) -> Vec<Value> {
        echoed(&self.dir.path().join("echo"))
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The calls in an `ECHO_FILE`.
pub(crate) fn echoed(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn lines(records: &[&str]) -> Records {
    Records::Lines(records.iter().collect())
}

/// The answers to `records` as JSON texts.
pub(crate) fn call(model: &HttpModel, records: &[&str]) -> Result<Vec<String>, CallError> {
    match model.call(&lines(records))? {
        Answer::Json(lines) => {
            Ok(lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect())
        }
        Answer::Columns(batch) => panic!("columns: {batch:?}"),
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the process with this number runs, other than as a zombie.
pub(crate) fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
