//! What the dispatcher keeps in memory: who waits for room, what is due when, which attempts are
//! under way, who waits for a job's end. The database holds all that has to last.

use std::collections::{BTreeSet, HashMap};

use bessemer_domain::{JobId, Token};
use tokio::sync::{oneshot, watch};

use crate::{
    control::Stop,
    queue::{Entry, Queue, Weights},
    resources::Resources,
};

/// An attempt under way in this server, as others reach it.
#[derive(Debug)]
pub(crate) struct Live {
    /// Tells attempts at one job apart.
    serial: u64,
    /// Tells the runner to stop.
    pub(crate) stop: watch::Sender<Option<Stop>>,
    /// Tells that an attempt of this token or an earlier one is no longer wanted.
    pub(crate) abandoned: watch::Sender<Option<Token>>,
}

/// The attempt's own side of [`Live`].
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) serial: u64,
    pub(crate) stop: watch::Receiver<Option<Stop>>,
    pub(crate) abandoned: watch::Receiver<Option<Token>>,
}

#[derive(Debug)]
pub(crate) struct Board {
    pub(crate) queue: Queue,
    /// The jobs for which something is due, and when. Some have changed since; then nothing is.
    alarms: BTreeSet<(u64, JobId)>,
    live: HashMap<JobId, Live>,
    /// Jobs whose turn came while their last attempt was still being cleared away.
    parked: HashMap<JobId, Entry>,
    waiters: HashMap<JobId, Vec<oneshot::Sender<()>>>,
    serials: u64,
    pub(crate) closing: bool,
}

impl Board {
    pub(crate) fn new(machine: Resources, weights: Weights) -> Self {
        Self {
            queue: Queue::new(machine, weights),
            alarms: BTreeSet::new(),
            live: HashMap::new(),
            parked: HashMap::new(),
            waiters: HashMap::new(),
            serials: 0,
            closing: false,
        }
    }

    /// The next job that can run now: it has been given room, and its attempt entered.
    pub(crate) fn next_job(&mut self, now: u64) -> Option<(Entry, Entered)> {
        self.queue.pass(now);
        while !self.closing {
            let entry = self.queue.next()?;
            if !self.live.contains_key(&entry.job) {
                let entered = self.enter(entry.job);
                return Some((entry, entered));
            }
            self.queue.release(&entry);
            self.parked.insert(entry.job, entry);
        }
        None
    }

    pub(crate) fn set_alarm(&mut self, at: u64, job: JobId) {
        self.alarms.insert((at, job));
    }

    pub(crate) fn clear_alarm(&mut self, at: u64, job: JobId) {
        self.alarms.remove(&(at, job));
    }

    pub(crate) fn next_alarm(&self) -> Option<u64> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Takes out the jobs for which something is due.
    pub(crate) fn due(&mut self, now: u64) -> Vec<JobId> {
        let later = self.alarms.split_off(&(now.saturating_add(1), JobId(i64::MIN)));
        let due = std::mem::replace(&mut self.alarms, later);
        due.into_iter().map(|(_, job)| job).collect()
    }

    /// Enters an attempt at a job that has none.
    pub(crate) fn enter(&mut self, job: JobId) -> Entered {
        self.serials += 1;
        let serial = self.serials;
        let (stop, stopping) = watch::channel(None);
        let (abandoned, gone) = watch::channel(None);
        self.live.insert(job, Live { serial, stop, abandoned });
        Entered { serial, stop: stopping, abandoned: gone }
    }

    /// Strikes out an attempt that has ended, and lets the job's next one have its turn.
    pub(crate) fn leave(&mut self, job: JobId, serial: u64) {
        if self.live.get(&job).is_some_and(|live| live.serial == serial) {
            self.live.remove(&job);
            if let Some(parked) = self.parked.remove(&job) {
                self.queue.push(parked);
            }
        }
    }

    pub(crate) fn live(&self, job: JobId) -> Option<&Live> {
        self.live.get(&job)
    }

    /// Whether an attempt at `job` is under way that was told to stop.
    pub(crate) fn is_stopping(&self, job: JobId) -> bool {
        self.live.get(&job).is_some_and(|live| live.stop.borrow().is_some())
    }

    pub(crate) fn has_live(&self) -> bool {
        !self.live.is_empty()
    }

    /// Hears when `job` comes to its end.
    pub(crate) fn wait_for(&mut self, job: JobId) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let waiters = self.waiters.entry(job).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(tell);
        told
    }

    /// Tells those who wait that `job` has come to its end.
    pub(crate) fn finish(&mut self, job: JobId) {
        for waiter in self.waiters.remove(&job).into_iter().flatten() {
            // Whoever waited may have gone away.
            let _ = waiter.send(());
        }
    }
}
