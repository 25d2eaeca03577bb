//! Puts finished files in place, while the next ones are still being made.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use bessemer_objects::{Location, Objects, durable::publish_many};
use crossbeam_channel::{Receiver, Sender};

use super::ledger::{Entry, Ledger};
use crate::{error::TransformError, stats::Stats};

/// A file that is whole, and where it belongs.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Temporary file and place, in the order in which they appear: rejects, then the output.
    pub(crate) files: Vec<(PathBuf, Location)>,
    pub(crate) entry: Entry,
}

/// Commits finished files on threads of its own: local files in batches that share their syncs,
/// remote ones several uploads at once.
pub(crate) struct Committer {
    sender: Option<Sender<Finished>>,
    threads: Vec<JoinHandle<()>>,
    failure: Arc<Mutex<Option<TransformError>>>,
}

/// Files whose syncs are shared, at most.
const BATCH: usize = 256;
const UPLOADS: usize = 4;

impl Committer {
    pub(crate) fn start(
        ledger: Ledger,
        objects: &Objects,
        stats: &Arc<Stats>,
        on_done: impl Fn(&Entry) + Send + Sync + 'static,
    ) -> Self {
        let (sender, receiver) = crossbeam_channel::bounded::<Finished>(BATCH);
        let threads = match ledger {
            Ledger::Local(_) => 1,
            Ledger::Remote(..) => UPLOADS,
        };
        let ledger = Arc::new(ledger);
        let on_done = Arc::new(on_done);
        let failure: Arc<Mutex<Option<TransformError>>> = Arc::default();
        let spawn = |_| {
            let receiver = receiver.clone();
            let (ledger, objects, stats) = (ledger.clone(), objects.clone(), stats.clone());
            let (on_done, failure) = (on_done.clone(), failure.clone());
            std::thread::spawn(move || {
                while let Some(batch) = next_batch(&receiver) {
                    let started = Instant::now();
                    let result = commit(&batch, &ledger, &objects);
                    stats.commit.add_time(started.elapsed());
                    if let Err(error) = result {
                        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
                        first.get_or_insert(error);
                        return;
                    }
                    for finished in &batch {
                        stats.files_done.add(1);
                        stats.bytes_written.add(finished.entry.bytes);
                        on_done(&finished.entry);
                    }
                }
            })
        };
        Self { sender: Some(sender), threads: (0..threads).map(spawn).collect(), failure }
    }

    /// Hands over a finished file.
    pub(crate) fn commit(&self, finished: Finished) -> Result<(), TransformError> {
        let sent = self.sender.as_ref().map(|sender| sender.send(finished));
        match sent {
            Some(Ok(())) => Ok(()),
            // All threads are gone: one of them says why.
            _ => Err(self.take_failure()),
        }
    }

    /// Waits until all is in place.
    pub(crate) fn finish(mut self) -> Result<(), TransformError> {
        drop(self.sender.take());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                return Err(TransformError::Internal("a committing thread panicked".to_owned()));
            }
        }
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn take_failure(&self) -> TransformError {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure
            .take()
            .unwrap_or_else(|| TransformError::Internal("committing ended too early".to_owned()))
    }
}

fn next_batch(receiver: &Receiver<Finished>) -> Option<Vec<Finished>> {
    let mut batch = vec![receiver.recv().ok()?];
    while batch.len() < BATCH {
        let Ok(finished) = receiver.try_recv() else { break };
        batch.push(finished);
    }
    Some(batch)
}

fn commit(batch: &[Finished], ledger: &Ledger, objects: &Objects) -> Result<(), TransformError> {
    let mut local = Vec::new();
    for (temporary, place) in batch.iter().flat_map(|finished| &finished.files) {
        match place {
            Location::Local(path) => local.push((temporary.clone(), path.clone())),
            Location::S3 { .. } => {
                objects.publish(temporary, place)?;
                // The upload is whole; what is left in the temporary folder goes with it.
                let _ = std::fs::remove_file(temporary);
            }
        }
    }
    publish_many(&local)?;
    let entries: Vec<Entry> = batch.iter().map(|finished| finished.entry.clone()).collect();
    ledger.append(&entries)
}
