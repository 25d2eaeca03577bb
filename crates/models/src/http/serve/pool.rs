//! The copies of a command: the rotation that calls take one from, and the threads that keep every
//! copy running.

use std::{
    fs::File,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bessemer_domain::Backoff;
use bessemer_transform::model::Copies;
use url::Url;

use super::{
    copy::{Command, Copy, StartError, await_ping, free_port},
    memory,
    process::{Exit, Process},
    watchdog::Watchdog,
};
use crate::http::client::{Client, SendError};

/// A copy that fails to start this often in a row is given up.
const ATTEMPTS: u32 = 5;
/// How long a copy's end may take to be noticed after its connection broke.
const NOTICE: Duration = Duration::from_millis(100);
/// How long a copy that lived without answering any call rests before it starts again.
const REST: Duration = Duration::from_millis(100);
/// How long it takes until memory that had no room for another copy is looked at again.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The copies of a command.
#[derive(Debug)]
pub(in crate::http) struct Pool {
    shared: Arc<Shared>,
    supervisors: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    command: Command,
    client: Arc<Client>,
    ping_timeout: Duration,
    log: Option<Arc<File>>,
    watchdog: Arc<Watchdog>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    closing: bool,
    /// How many copies there may be once calls need them.
    most: usize,
    /// Bytes for all copies; none: what is free.
    budget: Option<u64>,
    /// When memory last had no room for another copy.
    no_room: Option<Instant>,
    /// Where the search for the least busy copy begins, so that idle copies take turns.
    turn: usize,
}

/// A copy's place. Its number stays through restarts.
#[derive(Debug)]
struct Slot {
    /// Its latest process, dead or alive.
    process: Option<Arc<Process>>,
    status: Status,
}

#[derive(Debug)]
enum Status {
    Starting,
    Ready(Arc<Copy>),
    /// It failed to start too often, lastly for this reason.
    GivenUp(String),
}

/// There is no copy for a call.
#[derive(Debug, thiserror::Error)]
pub(in crate::http) enum NoCopy {
    #[error("no copy of the server starts any more: {0}")]
    GivenUp(String),
    #[error("no copy of the server was ready within {} s", .0.as_secs_f64())]
    Waited(Duration),
}

impl Pool {
    /// Starts the first copy and waits until it answers `/ping`.
    pub(in crate::http) fn start(
        command: Command,
        client: Arc<Client>,
        ping_timeout: Duration,
        log: Option<File>,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared {
            command,
            client,
            ping_timeout,
            log: log.map(Arc::new),
            watchdog: Arc::new(Watchdog::start()?),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        shared.lock().slots.push(Slot { process: None, status: Status::Starting });
        let pool = Self { shared, supervisors: Mutex::default() };
        let first = pool.shared.start_copy(0)?;
        pool.supervise(&mut pool.supervisors(), Some(first));
        Ok(pool)
    }

    /// Bytes that the first copy takes, if the system tells.
    pub(in crate::http) fn memory_of_one(&self) -> Option<u64> {
        let group = self.shared.lock().slots.first()?.process.as_ref()?.group();
        memory::of_tree(group)
    }

    /// Starts copies until there are `count`. They join the rotation once they answer `/ping`.
    pub(in crate::http) fn grow(&self, count: usize) {
        let mut supervisors = self.supervisors();
        while supervisors.len() < count {
            self.shared.lock().slots.push(Slot { process: None, status: Status::Starting });
            self.supervise(&mut supervisors, None);
        }
    }

    /// Lets copies be started, up to `most`, as calls need them and memory bears them: `budget`
    /// bytes for all, or what is free.
    pub(in crate::http) fn allow(&self, most: usize, budget: Option<u64>) {
        let mut state = self.shared.lock();
        state.most = most;
        state.budget = budget;
    }

    /// The copies that are not given up.
    pub(in crate::http) fn copies(&self) -> Copies {
        let state = self.shared.lock();
        let count =
            |is: fn(&Status) -> bool| state.slots.iter().filter(|slot| is(&slot.status)).count();
        Copies {
            there: count(|status| !matches!(status, Status::GivenUp(_))),
            ready: count(|status| matches!(status, Status::Ready(_))),
        }
    }

    /// Starts one more copy if there are more calls than copies.
    fn grow_by_need(&self, state: MutexGuard<'_, State>) {
        let (copies, budget) = (state.slots.len(), state.budget);
        if !state.needs_another() {
            return;
        }
        drop(state);
        if memory::bears_another(self.memory_of_one(), copies, budget) {
            self.grow(copies + 1);
        } else {
            self.shared.lock().no_room = Some(Instant::now());
        }
    }

    /// The address of the first copy, as it was first ready.
    pub(in crate::http) fn first_base(&self) -> Option<Url> {
        self.shared.lock().slots.iter().find_map(|slot| match &slot.status {
            Status::Ready(copy) => Some(copy.base.clone()),
            Status::Starting | Status::GivenUp(_) => None,
        })
    }

    /// The copy with the fewest calls in flight, waiting for one to be ready if none is.
    pub(in crate::http) fn lease(&self) -> Result<Lease<'_>, NoCopy> {
        let since = Instant::now();
        let mut state = self.shared.lock();
        loop {
            if let Some(copy) = state.least_busy() {
                copy.in_flight.fetch_add(1, Ordering::SeqCst);
                self.grow_by_need(state);
                return Ok(Lease { pool: self, copy, since: Instant::now() });
            }
            if let Some(reason) = state.all_given_up() {
                return Err(NoCopy::GivenUp(reason));
            }
            let left = self.shared.ping_timeout.saturating_sub(since.elapsed());
            if left.is_zero() {
                return Err(NoCopy::Waited(self.shared.ping_timeout));
            }
            let waiting = self.shared.changed.wait_timeout(state, left);
            state = waiting.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn supervisors(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.supervisors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn supervise(&self, supervisors: &mut Vec<JoinHandle<()>>, first: Option<Arc<Copy>>) {
        let (shared, index) = (Arc::clone(&self.shared), supervisors.len());
        supervisors.push(thread::spawn(move || shared.keep_running(index, first)));
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let processes: Vec<Arc<Process>> = {
            let mut state = self.shared.lock();
            state.closing = true;
            state.slots.iter().filter_map(|slot| slot.process.clone()).collect()
        };
        self.shared.changed.notify_all();
        let asked = Instant::now();
        for process in &processes {
            process.terminate("was ended with the run");
        }
        for process in &processes {
            process.end(asked, "was ended with the run");
        }
        for supervisor in self.supervisors().drain(..) {
            let _ = supervisor.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the copy of one slot running until the pool is closed or the copy is given up.
    fn keep_running(&self, index: usize, first: Option<Arc<Copy>>) {
        let backoff = Backoff { base: REST, max: Duration::from_secs(5) };
        let mut running = first;
        let mut failures = 0;
        loop {
            let started = running.take().map_or_else(|| self.start_copy(index), Ok);
            let rest = match started {
                Ok(copy) => {
                    failures = 0;
                    let ready = Instant::now();
                    copy.process.wait();
                    self.set(index, Status::Starting);
                    if copy.answered_since(ready) { Duration::ZERO } else { REST }
                }
                Err(StartError::Closing) => return,
                Err(error) => {
                    failures += 1;
                    if failures == ATTEMPTS {
                        self.set(index, Status::GivenUp(error.to_string()));
                        return;
                    }
                    backoff.delay(failures - 1, 1.0)
                }
            };
            let state = self.lock();
            let resting = self.changed.wait_timeout_while(state, rest, |state| !state.closing);
            if resting.unwrap_or_else(PoisonError::into_inner).0.closing {
                return;
            }
        }
    }

    /// Starts the copy of one slot and puts it into the rotation when it answers `/ping`.
    fn start_copy(&self, index: usize) -> Result<Arc<Copy>, StartError> {
        let port = self.command.port.map_or_else(free_port, Ok)?;
        let process = {
            let mut state = self.lock();
            if state.closing {
                return Err(StartError::Closing);
            }
            let log = self.log.clone();
            let process = Process::start(&self.command, port, &self.watchdog, log, index + 1)?;
            state.slots[index].process = Some(Arc::clone(&process));
            process
        };
        let copy = Arc::new(await_ping(process, port, &self.client, self.ping_timeout)?);
        self.set(index, Status::Ready(Arc::clone(&copy)));
        Ok(copy)
    }

    fn set(&self, index: usize, status: Status) {
        self.lock().slots[index].status = status;
        self.changed.notify_all();
    }
}

impl State {
    fn least_busy(&mut self) -> Option<Arc<Copy>> {
        let count = self.slots.len();
        let ready = |index: usize| match &self.slots[index % count].status {
            Status::Ready(copy) => Some(copy).filter(|copy| copy.takes_calls()),
            Status::Starting | Status::GivenUp(_) => None,
        };
        let found = (self.turn..self.turn + count)
            .filter_map(ready)
            .min_by_key(|copy| copy.in_flight.load(Ordering::SeqCst))
            .cloned();
        self.turn = (self.turn + 1) % count.max(1);
        found
    }

    /// Whether there are more calls than copies, and another copy may be tried.
    fn needs_another(&self) -> bool {
        let mut calls = 0;
        for slot in &self.slots {
            match &slot.status {
                Status::Ready(copy) => calls += copy.in_flight.load(Ordering::SeqCst),
                Status::Starting => {}
                Status::GivenUp(_) => return false,
            }
        }
        calls > self.slots.len()
            && self.slots.len() < self.most
            && self.no_room.is_none_or(|looked| looked.elapsed() >= NO_ROOM)
    }

    /// The first copy's reason, if all are given up.
    fn all_given_up(&self) -> Option<String> {
        let mut reasons = self.slots.iter().map(|slot| match &slot.status {
            Status::GivenUp(reason) => Some(reason),
            Status::Starting | Status::Ready(_) => None,
        });
        let first = reasons.next()??;
        reasons.all(|reason| reason.is_some()).then(|| first.clone())
    }
}

/// A copy that a call has taken.
#[derive(Debug)]
pub(in crate::http) struct Lease<'a> {
    pool: &'a Pool,
    copy: Arc<Copy>,
    since: Instant,
}

/// What became of a copy whose call brought no answer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) enum Aftermath {
    /// It ended.
    Ended { exit: Exit, last_line: Option<String> },
    /// It still runs.
    Runs { last_line: Option<String> },
    /// It no longer answered `/ping`, so it was ended.
    Hung,
}

impl Lease<'_> {
    pub(in crate::http) fn url(&self) -> &Url {
        &self.copy.invocations
    }

    /// Notes that the call was answered.
    pub(in crate::http) fn answered(&self) {
        self.copy.answered();
    }

    /// Finds out what became of the copy after `error`. One that hangs is ended, to be replaced:
    /// it neither answers `/ping` nor answered any other call since this one began.
    pub(in crate::http) fn aftermath(&self, error: &SendError) -> Aftermath {
        let process = &self.copy.process;
        match error {
            SendError::Connect(_) | SendError::Broken(_) => {
                let last_line = |process: &Process| process.output.last_line();
                match process.wait_exit(NOTICE) {
                    Some(exit) => Aftermath::Ended { exit, last_line: last_line(process) },
                    None => Aftermath::Runs { last_line: last_line(process) },
                }
            }
            SendError::Timeout(_) if self.hangs() => {
                process.kill("was ended: it hung and no longer answered /ping");
                Aftermath::Hung
            }
            _ => Aftermath::Runs { last_line: None },
        }
    }

    fn hangs(&self) -> bool {
        if self.copy.doubted.swap(true, Ordering::SeqCst) {
            return false; // another call is asking
        }
        let lives = self.copy.answered_since(self.since)
            || self.copy.pings(&self.pool.shared.client)
            || self.copy.answered_since(self.since);
        if lives {
            // A copy that hangs stays doubted, so that no call takes it before its end is noticed.
            self.copy.doubted.store(false, Ordering::SeqCst);
            self.pool.shared.changed.notify_all();
        }
        !lives
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.copy.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}
