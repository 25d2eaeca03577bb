//! What handlers print: drained at once, passed on, and the last lines kept for messages.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::options::HandlerLog;

const LINES_KEPT: usize = 50;
/// Longer lines are cut where they are kept and shown.
const LINE_BYTES: usize = 2_000;
/// Lines that all workers together may write to our stderr.
const SHOWN_LINES: usize = 200;

/// Where the lines of all workers go.
#[derive(Debug)]
pub(super) enum Sink {
    Stderr { shown: AtomicUsize },
    File(Mutex<File>),
    Nowhere,
}

impl Sink {
    pub(super) fn open(log: &HandlerLog) -> io::Result<Self> {
        Ok(match log {
            HandlerLog::Stderr => Self::Stderr { shown: AtomicUsize::new(0) },
            HandlerLog::File(path) => Self::File(Mutex::new(append(path)?)),
            HandlerLog::Nowhere => Self::Nowhere,
        })
    }

    /// Passes a line on. What can't be written is lost: a full disk must not stop the work.
    fn write(&self, worker: usize, line: &str) {
        let text = format!("[handler {worker}] {line}\n");
        match self {
            Self::Stderr { shown } => match shown.fetch_add(1, Ordering::Relaxed) {
                0..SHOWN_LINES => drop(io::stderr().lock().write_all(text.as_bytes())),
                SHOWN_LINES => {
                    let end = "[handler] prints more, which is not shown\n";
                    drop(io::stderr().lock().write_all(end.as_bytes()));
                }
                _ => {}
            },
            Self::File(file) => drop(locked(file).write_all(text.as_bytes())),
            Self::Nowhere => {}
        }
    }
}

/// The last lines of one worker.
#[derive(Debug, Default)]
pub(super) struct Tail {
    state: Mutex<TailState>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct TailState {
    lines: VecDeque<String>,
    ended: bool,
}

impl Tail {
    /// Drains `source` in a thread of its own until it ends.
    pub(super) fn drain(
        source: impl Read + Send + 'static,
        worker: usize,
        sink: Arc<Sink>,
    ) -> io::Result<Arc<Self>> {
        let tail = Arc::new(Self::default());
        let theirs = Arc::clone(&tail);
        let name = format!("handler-{worker}-output");
        thread::Builder::new().name(name).spawn(move || {
            read_lines(source, |line| {
                sink.write(worker, line);
                theirs.push(line);
            });
            locked(&theirs.state).ended = true;
            theirs.ended.notify_all();
        })?;
        Ok(tail)
    }

    fn push(&self, line: &str) {
        let mut state = locked(&self.state);
        if state.lines.len() == LINES_KEPT {
            state.lines.pop_front();
        }
        state.lines.push_back(line.to_owned());
    }

    /// The last lines. Waits a moment for those that a worker that has ended left in the pipe.
    pub(super) fn lines(&self) -> Vec<String> {
        let state = locked(&self.state);
        let patience = Duration::from_millis(300);
        let waited = self.ended.wait_timeout_while(state, patience, |state| !state.ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.lines.iter().cloned().collect()
    }
}

/// Calls `each` with every line of `source`, cut to a bearable length.
fn read_lines(mut source: impl Read, mut each: impl FnMut(&str)) {
    let mut chunk = [0; 8192];
    let mut line = Vec::new();
    loop {
        let count = match source.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        for part in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = match part.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (part, false),
            };
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(&text[..text.len().min(room)]);
            if whole {
                each(String::from_utf8_lossy(&line).trim_end_matches('\r'));
                line.clear();
            }
        }
    }
    if !line.is_empty() {
        each(&String::from_utf8_lossy(&line));
    }
}

fn append(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).append(true).open(path)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_none_is_lost() {
        let text = format!("one\r\n\n{}\nlast", "x".repeat(100_000));
        let mut lines = Vec::new();
        read_lines(text.as_bytes(), |line| lines.push(line.to_owned()));
        assert_eq!(lines.len(), 4);
        assert_eq!((lines[0].as_str(), lines[1].as_str()), ("one", ""));
        assert_eq!((lines[2].len(), lines[3].as_str()), (LINE_BYTES, "last"));
    }
}
