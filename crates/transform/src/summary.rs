//! What a run did, in figures.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{call::Setting, output::Entry, run::list_failed, shared::FailedFile, stats::Stats};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Everything was delivered, or rejected within the limit.
    Succeeded,
    /// All good records were delivered; too many were rejected, or files could not be read.
    Rejected,
    /// Stopped by a signal; it can be resumed.
    Stopped,
}

impl Status {
    /// The status's name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Rejected => "rejected",
            Self::Stopped => "stopped",
        }
    }
}

/// What a run did.
#[derive(Debug, Clone)]
pub struct Summary {
    /// How it ended.
    pub status: Status,
    /// Records of all finished files, those of an earlier part of a resumed run included.
    pub rows: u64,
    /// How many of them were rejected.
    pub rejected: u64,
    /// Input files.
    pub files: usize,
    /// Files written now.
    pub written: usize,
    /// Files that were finished before.
    pub skipped: usize,
    /// Files that could not be read.
    pub failed: Vec<FailedFile>,
    figures: Value,
}

impl Summary {
    /// Of a run that has `kept` behind it.
    pub(crate) fn new(files: usize, kept: &[&Entry]) -> Self {
        Self {
            status: Status::Succeeded,
            rows: kept.iter().map(|entry| entry.rows).sum(),
            rejected: kept.iter().map(|entry| entry.rejected).sum(),
            files,
            written: 0,
            skipped: kept.len(),
            failed: Vec::new(),
            figures: json!({}),
        }
    }

    pub(crate) fn conclude(
        &mut self,
        entries: &[Entry],
        mut failed: Vec<FailedFile>,
        stats: &Stats,
        (setting, max_payload): (Setting, Option<u64>),
        wall: Duration,
    ) {
        failed.sort_by(|a, b| a.file.cmp(&b.file));
        self.rows += entries.iter().map(|entry| entry.rows).sum::<u64>();
        self.rejected += entries.iter().map(|entry| entry.rejected).sum::<u64>();
        self.written = entries.len();
        self.failed = failed;
        self.figures = json!({
            "calls": {
                "total": stats.calls.get(),
                "planned": stats.planned.get(),
                "isolating": stats.isolating.get(),
                "retries": stats.retries.get(),
                "failed": stats.failed_calls.get(),
            },
            "bytes": { "read": stats.bytes_read.get(), "written": stats.bytes_written.get() },
            "seconds": {
                "wall": wall.as_secs_f64(),
                "read": stats.read.seconds(),
                "convert": stats.convert.seconds(),
                "invoke": stats.invoke.seconds(),
                "write": stats.write.seconds(),
                "commit": stats.commit.seconds(),
            },
            "settings": {
                "batch_rows": setting.rows,
                "max_concurrent": setting.concurrent,
                "max_payload": max_payload,
            },
        });
    }

    /// Records that got an answer.
    pub fn delivered(&self) -> u64 {
        self.rows - self.rejected
    }

    /// The figures as JSON: members of the `summary` event.
    pub fn to_json(&self) -> Value {
        let mut summary = json!({
            "status": self.status.as_str(),
            "rows": self.rows,
            "rejected": self.rejected,
            "delivered": self.delivered(),
            "files": {
                "total": self.files,
                "written": self.written,
                "skipped": self.skipped,
                "failed": list_failed(&self.failed),
            },
        });
        if let (Some(summary), Some(figures)) = (summary.as_object_mut(), self.figures.as_object())
        {
            summary.extend(figures.clone());
        }
        summary
    }
}
