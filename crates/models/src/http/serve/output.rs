//! What a copy prints: its last lines kept for messages, all of it appended to a log file.

use std::{
    collections::VecDeque,
    fs::File,
    io::{BufRead, BufReader, PipeReader, Read, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Lines kept.
const LINES: usize = 20;
/// Bytes of a line kept; a longer one is cut into several.
const LINE: u64 = 2048;

/// The last lines that a copy printed.
#[derive(Debug, Default)]
pub(super) struct Output {
    kept: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// Whether all was read.
    whole: bool,
}

impl Output {
    /// Reads `pipe` in a thread of its own until all its writers are gone.
    pub(super) fn follow(pipe: PipeReader, log: Option<Arc<File>>, copy: usize) -> Arc<Self> {
        let output = Arc::new(Self::default());
        let reader = Arc::clone(&output);
        thread::spawn(move || {
            reader.read(pipe, log.as_deref(), copy);
            reader.lock().whole = true;
            reader.changed.notify_all();
        });
        output
    }

    fn read(&self, pipe: PipeReader, mut log: Option<&File>, copy: usize) {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader.by_ref().take(LINE).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if let Some(file) = &mut log {
                // A full disk must not stop the copy by a full pipe.
                let _ = file.write_all(format!("[copy {copy}] {text}\n").as_bytes());
            }
            let mut kept = self.lock();
            if kept.lines.len() == LINES {
                kept.lines.pop_front();
            }
            kept.lines.push_back(text);
        }
    }

    /// Waits until all is read, for `patience` at most: what left the group may hold the pipe open.
    pub(super) fn wait_whole(&self, patience: Duration) {
        let _ = self.changed.wait_timeout_while(self.lock(), patience, |kept| !kept.whole);
    }

    /// The last lines, oldest first; empty if nothing was printed.
    pub(super) fn tail(&self) -> Vec<String> {
        self.lock().lines.iter().cloned().collect()
    }

    /// The last line that says something.
    pub(super) fn last_line(&self) -> Option<String> {
        self.lock().lines.iter().rev().find(|line| !line.trim().is_empty()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
