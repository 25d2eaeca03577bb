//! What the run has done so far, counted without locks.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(crate) fn add_time(&self, time: Duration) {
        self.add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The number as seconds, of a counter of time.
    pub fn seconds(&self) -> f64 {
        self.get() as f64 / 1e9
    }
}

/// The counters of a run. Times are summed over threads.
#[derive(Debug, Default)]
pub struct Stats {
    /// Records read.
    pub rows: Counter,
    /// Records rejected.
    pub rejected: Counter,
    /// Calls made, retries included.
    pub calls: Counter,
    /// Calls that were planned: payloads, and what was left of a payload behind a bad record.
    pub planned: Counter,
    /// Calls made to find bad records.
    pub isolating: Counter,
    /// Calls made again.
    pub retries: Counter,
    /// Calls that failed.
    pub failed_calls: Counter,
    /// Input bytes of the files read so far.
    pub bytes_read: Counter,
    /// Output bytes.
    pub bytes_written: Counter,
    /// Files whose output is in place.
    pub files_done: Counter,
    /// Time spent reading and decoding.
    pub read: Counter,
    /// Time spent on bringing records into the model's form and answers into columns.
    pub convert: Counter,
    /// Time spent in calls.
    pub invoke: Counter,
    /// Time spent on encoding and writing.
    pub write: Counter,
    /// Time spent on putting files in place.
    pub commit: Counter,
}
