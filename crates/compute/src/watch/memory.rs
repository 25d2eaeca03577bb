//! The memory of a sandbox, looked at again and again where no control group does.

use std::time::{Duration, Instant};

use crate::processes;

/// How fast memory can be taken, in bytes a second: so long it is until the next look.
const FASTEST: f64 = 4e9;
const OFTEN: Duration = Duration::from_millis(5);
const SELDOM: Duration = Duration::from_millis(250);

/// Looks after memory.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    limit: u64,
    root: u32,
    next: Instant,
    peak: u64,
}

impl MemoryWatch {
    /// A watch over the process `root` and what descends from it.
    pub(super) fn new(limit: u64, root: u32) -> Self {
        Self { limit, root, next: Instant::now(), peak: 0 }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// The most bytes that were seen.
    pub(super) fn peak(&self) -> u64 {
        self.peak
    }

    /// Looks, if it is time. Whether there is too much.
    pub(super) fn exceeded(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        let pids = processes::tree(self.root);
        let mut bytes = processes::memory_bound(&pids);
        if bytes > self.limit {
            bytes = processes::memory(&pids).min(bytes); // shared pages were counted often
        }
        self.peak = self.peak.max(bytes);
        self.next = Instant::now() + pause(self.limit.saturating_sub(bytes));
        bytes > self.limit
    }
}

/// How long nothing can happen with `room` bytes left.
fn pause(room: u64) -> Duration {
    Duration::from_secs_f64(room as f64 / FASTEST).clamp(OFTEN, SELDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closer_the_limit_the_closer_the_look() {
        assert_eq!(pause(0), OFTEN);
        assert_eq!(pause(400_000_000), Duration::from_millis(100));
        assert_eq!(pause(u64::MAX), SELDOM);
    }

    #[test]
    fn too_much_is_seen_and_the_peak_kept() {
        let mut watch = MemoryWatch::new(1, std::process::id());
        assert!(watch.exceeded(Instant::now()));
        assert!(watch.peak() > 100 << 10);
        let mut watch = MemoryWatch::new(u64::MAX, std::process::id());
        assert!(!watch.exceeded(Instant::now()));
    }
}
