//! `[functions]`: how many processes functions may have, and for how long.

use std::time::Duration;

use crate::reader::Table;

/// Functions (AWS Lambda).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSettings {
    /// Invocations at once, of all functions together.
    pub concurrency: u32,
    /// Processes that wait for the next invocation.
    pub idle_processes: u32,
    /// How long a process waits.
    pub idle_timeout: Duration,
    /// After how long an asynchronous invocation that failed is run again: after its first run, its
    /// second.
    pub retry_delays: Vec<Duration>,
}

impl Default for FunctionSettings {
    fn default() -> Self {
        Self {
            concurrency: 100,
            idle_processes: 16,
            idle_timeout: Duration::from_mins(10),
            retry_delays: vec![Duration::from_mins(1), Duration::from_mins(2)],
        }
    }
}

impl FunctionSettings {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let usual = Self::default();
        let Some(table) = top.table("functions") else { return usual };
        let read = Self {
            concurrency: table.or("concurrency", usual.concurrency),
            idle_processes: table.or("idle_processes", usual.idle_processes),
            idle_timeout: table.or("idle_timeout", usual.idle_timeout),
            retry_delays: table.or("retry_delays", usual.retry_delays),
        };
        if read.concurrency == 0 {
            table.refuse("concurrency", "has to be more than nothing");
        }
        if read.retry_delays.is_empty() {
            table.refuse("retry_delays", "has to name a time at least");
        }
        table.finish();
        read
    }
}
