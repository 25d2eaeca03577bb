//! The log streams of a job's instances, as SageMaker names them: `<job>/algo-1-<seconds>`.

use std::{io, path::PathBuf, sync::Arc};

use bessemer_aws::log_group_of;
use bessemer_compute::logs::{LogFolder, LogReader, LogWriter, Record, Source, Window};
use bessemer_domain::SystemClock;
use bessemer_store::Job;

use super::stage::host_name;

/// Bytes of a stream at most.
pub(super) const MOST: u64 = 1 << 30;

/// The files of a job's log streams.
#[derive(Debug, Clone)]
pub(crate) struct HostLogs {
    files: Vec<PathBuf>,
}

impl HostLogs {
    pub(crate) fn of(logs: &LogFolder, job: &Job, instances: usize) -> Self {
        let group = log_group_of(job.kind);
        let file = |index: usize| {
            let seconds = job.created_at / 1000;
            logs.file(group, &format!("{}/{}-{seconds}", job.name, host_name(index)))
        };
        Self { files: (0..instances.max(1)).map(file).collect() }
    }

    /// The lines of one instance, in `file`.
    pub(crate) fn in_file(file: PathBuf) -> Self {
        Self { files: vec![file] }
    }

    /// The file of instance `index`.
    pub(super) fn file(&self, index: usize) -> &PathBuf {
        &self.files[index]
    }

    /// Adds lines of our own to the first instance's, when no process of it writes there. A log that
    /// can't be written must not stop the job that it is about.
    pub(crate) fn say(&self, text: &str) {
        let write = || {
            let mut log = LogWriter::open(&self.files[0], MOST, Arc::new(SystemClock))?;
            for line in text.lines() {
                log.add(Source::Platform, false, line.as_bytes());
            }
            log.flush()
        };
        if let Err(error) = write() {
            let path = self.files[0].display();
            tracing::warn!(%path, %error, "a job's log can't be written");
        }
    }

    /// Goes through all lines that the programs wrote since `from` (milliseconds since 1970).
    pub(crate) fn each_line(&self, from: u64, mut see: impl FnMut(&Record)) -> io::Result<()> {
        for file in &self.files {
            let Some(mut reader) = LogReader::open(file)? else { continue };
            let window = Window { from_millis: from, ..Window::default() };
            let mut position = 0;
            loop {
                let page = reader.forward(position, &window)?;
                if page.records.is_empty() {
                    break;
                }
                position = page.end;
                page.records.iter().filter(|record| is_program(record)).for_each(&mut see);
            }
        }
        Ok(())
    }

    /// The last line of instance `index` on standard error that says something, or else on standard
    /// output.
    pub(crate) fn last_words(&self, index: usize, from: u64) -> Option<String> {
        let mut reader = LogReader::open(&self.files[index]).ok()??;
        let end = reader.end().ok()?;
        let window = Window { from_millis: from, most: 200, ..Window::default() };
        let records = reader.backward(end, &window).ok()?.records;
        let last = |source: Source| {
            let said = records.iter().rev().filter(|record| record.source == source);
            said.map(|record| record.text.trim()).find(|text| !text.is_empty()).map(str::to_owned)
        };
        last(Source::Error).or_else(|| last(Source::Output))
    }
}

fn is_program(record: &Record) -> bool {
    matches!(record.source, Source::Output | Source::Error)
}
