//! One worker process: started, called, ended.

use std::{
    fmt::Write as _,
    fs, io,
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bessemer_domain::hex;

use rustix::process::{Pid, Signal, kill_process_group};
use sha2::{Digest, Sha256};

use super::{
    launcher::Launcher,
    messages::{Call, Failure, Ready, Settings, kind},
    output::{Sink, Tail},
    pipes::{Frame, PipeError, Pipes},
};

/// The worker's program, as it is written to the cache folder.
const PROGRAM: [(&str, &str); 6] = [
    ("bessemer_worker.py", include_str!("worker/bessemer_worker.py")),
    ("bessemer_script.py", include_str!("worker/bessemer_script.py")),
    ("bessemer_predict.py", include_str!("worker/bessemer_predict.py")),
    ("bessemer_sagemaker.py", include_str!("worker/bessemer_sagemaker.py")),
    ("bessemer_frameworks.py", include_str!("worker/bessemer_frameworks.py")),
    ("bessemer_answers.py", include_str!("worker/bessemer_answers.py")),
];

/// How long a worker whose pipes are closed may take to end by itself.
const LAST_MOMENTS: Duration = Duration::from_secs(1);

/// How to start workers: the same for all of a pool.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) python: PathBuf,
    /// `bessemer_worker.py` in the cache folder.
    pub(super) program: PathBuf,
    pub(super) settings: Settings,
    pub(super) env: Vec<(String, String)>,
    pub(super) sink: Arc<Sink>,
    pub(super) load_timeout: Duration,
}

/// A worker that has loaded the handler.
#[derive(Debug)]
pub(super) struct Worker {
    process: Process,
    pipes: Pipes,
}

/// Why a worker could not be started.
#[derive(Debug)]
pub(super) enum StartError {
    /// The interpreter could not be started.
    Spawn(io::Error),
    /// The handler raised an error or can't be used.
    Failed(Failure),
    /// It ended: how, and its last lines.
    Died { message: String, output: String },
    /// It took too long.
    TimedOut,
}

/// Why a call has no answer. The worker is of no more use then.
#[derive(Debug)]
pub(super) enum Trouble {
    TimedOut,
    /// It ended: how.
    Died(String),
}

impl Worker {
    /// Starts worker number `number` and waits until it has loaded the handler.
    pub(super) fn start(
        recipe: &Recipe,
        launcher: &Launcher,
        number: usize,
    ) -> Result<(Self, Ready), StartError> {
        let mut command = Command::new(&recipe.python);
        command
            .arg(&recipe.program)
            .envs(recipe.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is ours to handle, and what a handler starts ends with it.
            .process_group(0);
        let mut child = launcher.launch(command).map_err(StartError::Spawn)?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let stderr = child.stderr.take().expect("stderr is piped");
        let tail = Tail::drain(stderr, number, Arc::clone(&recipe.sink));
        let tail = tail.map_err(StartError::Spawn)?;
        let process =
            Process { child, tail, script: recipe.settings.script.clone(), killed: false };
        let pipes = Pipes::new(
            stdin.expect("stdin is piped").into(),
            stdout.expect("stdout is piped").into(),
        );
        let mut worker = Self { process, pipes: pipes.map_err(StartError::Spawn)? };
        let settings = serde_json::to_vec(&recipe.settings).expect("settings become JSON");
        let deadline = Instant::now() + recipe.load_timeout;
        let frame = match worker.exchange(kind::SETTINGS, &settings, &[], deadline) {
            Ok(frame) => frame,
            Err(Trouble::TimedOut) => return Err(StartError::TimedOut),
            Err(Trouble::Died(message)) => {
                let output = worker.process.tail.lines().join("\n");
                return Err(StartError::Died { message, output });
            }
        };
        match frame.kind {
            kind::READY => serde_json::from_slice(&frame.meta)
                .map(|ready| (worker, ready))
                .map_err(|error| StartError::Died {
                    message: format!("its first message is damaged: {error}"),
                    output: String::new(),
                }),
            _ => Err(StartError::Failed(failure(&frame))),
        }
    }

    /// Has the handler score `rows` records, or a whole payload.
    pub(super) fn call(
        &mut self,
        rows: Option<usize>,
        body: &[u8],
        timeout: Duration,
    ) -> Result<Frame, Trouble> {
        let meta = serde_json::to_vec(&Call { rows }).expect("a number becomes JSON");
        self.exchange(kind::CALL, &meta, body, Instant::now() + timeout)
    }

    /// Whether the process is still there.
    pub(super) fn lives(&mut self) -> bool {
        matches!(self.process.child.try_wait(), Ok(None))
    }

    /// Lets the worker end by itself: it does so once its input ends. Dropped, it is killed.
    pub(super) fn retire(self) -> Retired {
        let Self { process, pipes } = self;
        drop(pipes);
        Retired(process)
    }

    fn exchange(
        &mut self,
        kind: u32,
        meta: &[u8],
        body: &[u8],
        deadline: Instant,
    ) -> Result<Frame, Trouble> {
        let Self { process, pipes } = self;
        let gone = &mut || !matches!(process.child.try_wait(), Ok(None));
        let passed = pipes
            .send(kind, meta, body, deadline, gone)
            .and_then(|()| pipes.receive(deadline, gone));
        passed.map_err(|error| match error {
            PipeError::TimedOut => {
                process.kill();
                Trouble::TimedOut
            }
            PipeError::Closed => Trouble::Died(process.obituary()),
            PipeError::Garbled(how) => {
                process.kill();
                Trouble::Died(format!("the handler's process broke its protocol: {how}"))
            }
        })
    }
}

/// Several workers that were told to end.
pub(super) fn bury(retired: Vec<Retired>) {
    let deadline = Instant::now() + LAST_MOMENTS;
    for mut worker in retired {
        worker.0.wait_until(deadline);
    }
}

/// A worker that was told to end.
#[derive(Debug)]
pub(super) struct Retired(Process);

/// The process behind a worker; killed when dropped.
#[derive(Debug)]
struct Process {
    child: Child,
    tail: Arc<Tail>,
    script: String,
    /// Its number may belong to another process by now.
    killed: bool,
}

impl Process {
    /// Ends the process and all that it started; these may outlive it.
    fn kill(&mut self) {
        if !self.killed {
            self.killed = true;
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }

    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }

    /// How the process ended that closed its pipes, and its last words.
    fn obituary(&mut self) -> String {
        let status = self.wait_until(Instant::now() + LAST_MOMENTS);
        self.kill();
        let mut message = match status {
            Some(status) => format!("the handler's process {}", describe(status)),
            None => "the handler's process closed its pipe".to_owned(),
        };
        let lines = self.tail.lines();
        if let Some(line) = crashed_at(&lines, &self.script) {
            let _ = write!(message, " ({line})");
        } else if let Some(last) = lines.iter().rev().find(|line| !line.trim().is_empty()) {
            let last: String = last.trim().chars().take(200).collect();
            let _ = write!(message, "; its last line: `{last}`");
        }
        message
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a `FAILED` frame, or one of an unknown kind, says.
pub(super) fn failure(frame: &Frame) -> Failure {
    let unknown = || Failure {
        error: format!("the handler's process sent a message of kind {}", frame.kind),
        line: None,
        transient: false,
        refused: false,
        needs: None,
        traceback: String::new(),
    };
    let told = (frame.kind == kind::FAILED).then(|| serde_json::from_slice(&frame.meta).ok());
    told.flatten().unwrap_or_else(unknown)
}

fn describe(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("ended with exit code {}", status.code().unwrap_or(-1));
    };
    match signal {
        4 => "was ended by SIGILL".to_owned(),
        6 => "was ended by SIGABRT".to_owned(),
        7 => "was ended by SIGBUS".to_owned(),
        8 => "was ended by SIGFPE".to_owned(),
        9 => "was ended by SIGKILL, perhaps for want of memory".to_owned(),
        11 => "was ended by SIGSEGV".to_owned(),
        15 => "was ended by SIGTERM".to_owned(),
        other => format!("was ended by signal {other}"),
    }
}

/// Where in the script a crash happened, from what Python's faulthandler wrote.
fn crashed_at(lines: &[String], script: &str) -> Option<String> {
    let start = lines.iter().rposition(|line| line.starts_with("Fatal Python error"))?;
    let place = format!("File \"{script}\", line ");
    let after = lines[start..].iter().find_map(|line| line.split_once(&place)).map(|(_, it)| it)?;
    let number: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("{} line {number}", file_name(script)))
}

/// A path's last part, as it is shown in messages.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Writes the worker's program below `cache`, once for each version of it, and returns its first file.
pub(super) fn install_program(cache: &Path) -> io::Result<PathBuf> {
    let mut hash = Sha256::new();
    for (name, text) in PROGRAM {
        hash.update(name);
        hash.update(text);
    }
    let folder = cache.join("worker").join(hex(&hash.finalize()));
    if !folder.is_dir() {
        let parent = folder.parent().expect("the folder has a parent");
        fs::create_dir_all(parent)?;
        let unfinished = tempfile::Builder::new().prefix("unfinished-").tempdir_in(parent)?;
        for (name, text) in PROGRAM {
            fs::write(unfinished.path().join(name), text)?;
        }
        // Who lost a race to another process finds the same files there.
        if let Err(error) = fs::rename(unfinished.path(), &folder)
            && !folder.is_dir()
        {
            return Err(error);
        }
    }
    fs::canonicalize(folder.join(PROGRAM[0].0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_placed_in_the_script() {
        let text = "hello\nFatal Python error: Segmentation fault\n\nCurrent thread 0x1 (most recent \
                    call first):\n  File \"/lib/ctypes.py\", line 5 in f\n  File \"/a/h.py\", line 12 \
                    in predict\n  File \"/c/bessemer_worker.py\", line 9 in call";
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        assert_eq!(crashed_at(&lines, "/a/h.py").as_deref(), Some("h.py line 12"));
        assert_eq!(crashed_at(&lines[..1], "/a/h.py"), None);
    }

    #[test]
    fn the_program_is_written_once() {
        let cache = tempfile::tempdir().unwrap();
        let first = install_program(cache.path()).unwrap();
        assert_eq!(install_program(cache.path()).unwrap(), first);
        assert_eq!(fs::read_dir(cache.path().join("worker")).unwrap().count(), 1);
        assert_eq!(fs::read_dir(first.parent().unwrap()).unwrap().count(), PROGRAM.len());
    }
}
