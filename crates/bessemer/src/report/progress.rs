//! Progress: a line on a terminal, events in JSON, nothing on a pipe.

use std::{
    io::IsTerminal,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use bessemer_domain::ByteSize;
use bessemer_transform::Stats;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{ReportOptions, event};

const EVERY: Duration = Duration::from_millis(200);
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// The thread that shows progress, if it is shown.
pub(super) struct Progress {
    ended: Arc<(Mutex<bool>, Condvar)>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Progress {
    pub(super) fn start(
        options: &ReportOptions,
        stats: &Arc<Stats>,
        files: usize,
        bytes: u64,
    ) -> Self {
        let ended: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let bar = !options.json && !options.quiet && std::io::stderr().is_terminal();
        let thread = (options.json || bar).then(|| {
            let (stats, ended, json) = (Arc::clone(stats), Arc::clone(&ended), options.json);
            std::thread::spawn(move || {
                if json {
                    tell_events(&stats, files, &ended);
                } else {
                    draw(&stats, files, bytes, &ended);
                }
            })
        });
        Self { ended, thread: Mutex::new(thread) }
    }

    /// Ends the display.
    pub(super) fn end(&self) {
        *self.ended.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.ended.1.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A display that panicked is no reason to fail a run that did not.
            let _ = thread.join();
        }
    }
}

/// Waits `time`; says whether it is over.
fn wait(ended: &(Mutex<bool>, Condvar), time: Duration) -> bool {
    let over = ended.0.lock().unwrap_or_else(PoisonError::into_inner);
    let wait = ended.1.wait_timeout_while(over, time, |over| !*over);
    *wait.unwrap_or_else(PoisonError::into_inner).0
}

fn tell_events(stats: &Stats, files: usize, ended: &(Mutex<bool>, Condvar)) {
    let started = Instant::now();
    while !wait(ended, EVENT_EVERY) {
        event(&json!({
            "event": "progress",
            "seconds": started.elapsed().as_secs_f64(),
            "rows": stats.rows.get(),
            "rejected": stats.rejected.get(),
            "calls": stats.calls.get(),
            "files": { "done": stats.files_done.get(), "total": files },
        }));
    }
}

fn draw(stats: &Stats, files: usize, bytes: u64, ended: &(Mutex<bool>, Condvar)) {
    let bar = ProgressBar::new(bytes.max(1));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3}%  {msg}") {
        bar.set_style(style);
    }
    let started = Instant::now();
    while !wait(ended, EVERY) {
        let seconds = started.elapsed().as_secs_f64().max(0.001);
        let (rows, read) = (stats.rows.get(), stats.bytes_read.get());
        bar.set_position(read);
        let left = if read == 0 {
            f64::NAN
        } else {
            seconds * (bytes - read.min(bytes)) as f64 / read as f64
        };
        let eta = if left.is_finite() { format!(", {left:.0} s left") } else { String::new() };
        bar.set_message(format!(
            "{rows} rows ({:.0}/s, {}/s), {} rejected, {}/{files} files{eta}",
            rows as f64 / seconds,
            ByteSize((read as f64 / seconds) as u64),
            stats.rejected.get(),
            stats.files_done.get(),
        ));
    }
    bar.finish_and_clear();
}
