//! The log streams of a job, as SageMaker names them: `<job>/algo-N-<seconds>` for what the model's
//! host of each instance writes, and `<that>/data-log` for what became of the data.

use std::{path::PathBuf, sync::Arc};

use bessemer_aws::log_group_of;
use bessemer_compute::{
    LogSink,
    logs::{LogFolder, LogWriter, Source},
};
use bessemer_domain::SystemClock;
use bessemer_store::Job;
use serde::{Deserialize, Serialize};

use super::super::container::host_name;

/// Bytes of a stream at most.
const MOST: u64 = 1 << 30;

/// The files of an instance's log streams. One process at a time writes to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Streams {
    host: PathBuf,
    data: PathBuf,
}

impl Streams {
    /// Those of instance `index`.
    pub(super) fn of(logs: &LogFolder, job: &Job, index: usize) -> Self {
        let group = log_group_of(job.kind);
        let stream = format!("{}/{}-{}", job.name, host_name(index), job.created_at / 1000);
        let data = logs.file(group, &format!("{stream}/data-log"));
        Self { host: logs.file(group, &stream), data }
    }

    /// Where a sandbox writes what the model's host does.
    pub(super) fn sink(&self) -> LogSink {
        LogSink { file: self.host.clone(), max_bytes: MOST }
    }

    /// Adds lines to what the model's host writes.
    pub(crate) fn say(&self, text: &str) {
        write(&self.host, Source::Platform, text);
    }

    /// Adds lines to what became of the data.
    pub(crate) fn say_of_data(&self, text: &str) {
        write(&self.data, Source::Platform, text);
    }
}

/// A log that can't be written must not stop the job that it is about.
fn write(path: &std::path::Path, source: Source, text: &str) {
    let write = || {
        let mut log = LogWriter::open(path, MOST, Arc::new(SystemClock))?;
        for line in text.lines() {
            log.add(source, false, line.as_bytes());
        }
        log.flush()
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "a job's log can't be written");
    }
}
