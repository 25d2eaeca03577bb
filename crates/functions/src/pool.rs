//! [`Pool`]: the processes that there are, busy and idle, and how many there may be.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bessemer_domain::Clock;
use tokio::time::Instant;

use crate::{
    Function, FunctionsError, Limits, Throttle, Version,
    process::{Process, Site},
    runtime::Runtimes,
};

/// The part of the machine's memory below which nothing idle is kept.
const SHORT: f64 = 0.1;
/// Time between two looks at idle processes.
const LOOK: Duration = Duration::from_secs(1);

/// The processes of all functions.
pub(crate) struct Pool {
    pub(crate) site: Arc<Site>,
    pub(crate) runtimes: Runtimes,
    pub(crate) limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those that became idle first come first.
    idle: Vec<Idle>,
    counts: Counts,
    is_closed: bool,
}

struct Idle {
    process: Process,
    function: String,
    since: Instant,
}

/// How many invocations there are at once, and how many there may be.
#[derive(Debug, Default)]
struct Counts {
    reserved: HashMap<String, u32>,
    busy: HashMap<String, u32>,
    /// Those of functions that have reserved nothing.
    shared: u32,
}

/// The right to run an invocation.
pub(crate) struct Slot {
    pool: Arc<Pool>,
    function: String,
    is_shared: bool,
}

impl Pool {
    pub(crate) fn new(site: Arc<Site>, runtimes: Runtimes, limits: Limits) -> Arc<Self> {
        let pool = Arc::new(Self { site, runtimes, limits, state: Mutex::default() });
        let weak = Arc::downgrade(&pool);
        tokio::spawn(async move {
            let mut looks = tokio::time::interval(LOOK);
            loop {
                looks.tick().await;
                let Some(pool) = weak.upgrade() else { break };
                pool.sweep();
            }
        });
        pool
    }

    /// Sets or takes away what a function has reserved.
    pub(crate) fn reserve(&self, function: &str, reserved: Option<u32>) {
        let counts = &mut self.state().counts.reserved;
        match reserved {
            Some(reserved) => drop(counts.insert(function.to_owned(), reserved)),
            None => drop(counts.remove(function)),
        }
    }

    /// Takes a place among the invocations at once.
    pub(crate) fn admit(self: &Arc<Self>, function: &str) -> Result<Slot, FunctionsError> {
        let taken = self.state().counts.take(function, self.limits.concurrency);
        let is_shared = taken.map_err(FunctionsError::Throttled)?;
        Ok(Slot { pool: Arc::clone(self), function: function.to_owned(), is_shared })
    }

    /// An idle process for the version, the one that was used last.
    pub(crate) fn take(&self, function: &str, version: &Version) -> Option<Process> {
        let mut state = self.state();
        let fits = |idle: &Idle| {
            idle.function == function && idle.process.version.revision == version.revision
        };
        let at = state.idle.iter().rposition(fits)?;
        Some(state.idle.remove(at).process)
    }

    /// Starts a process for the version.
    pub(crate) async fn start(
        &self,
        function: &Arc<Function>,
        version: &Arc<Version>,
    ) -> Result<Process, FunctionsError> {
        let environment = self.runtimes.ready(&version.settings.runtime).await?;
        if is_short_of_memory() {
            self.end(<[Idle]>::len);
        }
        let (site, function, version) =
            (Arc::clone(&self.site), Arc::clone(function), Arc::clone(version));
        let started = tokio::task::spawn_blocking(move || {
            Process::start(&site, &function, &version, &environment)
        });
        started.await.map_err(FunctionsError::internal)?
    }

    /// Keeps a process for the next invocation.
    pub(crate) fn keep(&self, process: Process, function: &str) {
        let since = Instant::now();
        let function = function.to_owned();
        {
            let mut state = self.state();
            if !state.is_closed {
                state.idle.push(Idle { process, function, since });
                drop(state);
                let most = self.limits.idle_processes as usize;
                self.end(|idle| idle.len().saturating_sub(most));
                return;
            }
        }
        tokio::spawn(process.end());
    }

    /// Ends the idle processes of a function whose revisions are none of `current`.
    pub(crate) fn retire(&self, function: &str, current: &HashSet<&str>) {
        let is_old = |idle: &mut Idle| {
            idle.function == function && !current.contains(idle.process.version.revision.as_str())
        };
        let old: Vec<Idle> = self.state().idle.extract_if(.., is_old).collect();
        for idle in old {
            tokio::spawn(idle.process.end());
        }
    }

    /// Ends all idle processes, and keeps none any more.
    pub(crate) async fn close(&self) {
        let idle = {
            let mut state = self.state();
            state.is_closed = true;
            std::mem::take(&mut state.idle)
        };
        futures::future::join_all(idle.into_iter().map(|idle| idle.process.end())).await;
    }

    fn sweep(&self) {
        let (now, timeout) = (Instant::now(), self.limits.idle_timeout);
        let ended: Vec<Idle> =
            self.state().idle.extract_if(.., |idle| idle.process.has_ended()).collect();
        for idle in ended {
            tokio::spawn(idle.process.end());
        }
        let is_short = is_short_of_memory();
        self.end(|idle| {
            let ages: Vec<Duration> = idle.iter().map(|idle| now - idle.since).collect();
            to_end(&ages, timeout, is_short)
        });
    }

    /// Ends as many of the processes that are idle for longest as `choose` says.
    fn end(&self, choose: impl FnOnce(&[Idle]) -> usize) {
        let ended: Vec<Idle> = {
            let mut state = self.state();
            let count = choose(&state.idle);
            state.idle.drain(..count).collect()
        };
        for idle in ended {
            tokio::spawn(idle.process.end());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The clock.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.site.clock
    }
}

impl Counts {
    /// Takes a place for an invocation; whether it is one of those that all functions share.
    fn take(&mut self, function: &str, concurrency: u32) -> Result<bool, Throttle> {
        let busy = self.busy.get(function).copied().unwrap_or_default();
        let is_shared = match self.reserved.get(function) {
            Some(reserved) if busy >= *reserved => return Err(Throttle::Reserved),
            Some(_) => false,
            None => {
                let reserved: u32 = self.reserved.values().sum();
                if self.shared >= concurrency.saturating_sub(reserved) {
                    return Err(Throttle::Shared);
                }
                true
            }
        };
        self.shared += u32::from(is_shared);
        self.busy.insert(function.to_owned(), busy + 1);
        Ok(is_shared)
    }

    fn give_back(&mut self, function: &str, is_shared: bool) {
        self.shared -= u32::from(is_shared);
        if let Some(busy) = self.busy.get_mut(function) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(function);
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.pool.state().counts.give_back(&self.function, self.is_shared);
    }
}

/// How many of the idle processes to end, of which those that are idle for longest come first: those
/// that are idle for too long, and half of them when memory is short.
fn to_end(ages: &[Duration], timeout: Duration, is_short: bool) -> usize {
    let expired = ages.iter().take_while(|age| **age >= timeout).count();
    if is_short { expired.max(ages.len().div_ceil(2)) } else { expired }
}

fn is_short_of_memory() -> bool {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let of = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    match (of("MemAvailable:"), of("MemTotal:")) {
        (Some(available), Some(total)) => available < total * SHORT,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_places_are_kept_and_shared_ones_bounded() {
        let mut counts = Counts::default();
        counts.reserved.insert("mine".to_owned(), 2);
        for expected in [Ok(false), Ok(false), Err(Throttle::Reserved)] {
            assert_eq!(counts.take("mine", 5), expected);
        }
        for expected in [Ok(true), Ok(true), Ok(true), Err(Throttle::Shared)] {
            assert_eq!(counts.take("other", 5), expected);
        }
        counts.give_back("mine", false);
        assert_eq!(counts.take("other", 5), Err(Throttle::Shared));
        assert_eq!(counts.take("mine", 5), Ok(false));
        counts.give_back("other", true);
        assert_eq!(counts.take("third", 5), Ok(true));
        counts.reserved.insert("none".to_owned(), 0);
        assert_eq!(counts.take("none", 5), Err(Throttle::Reserved));
    }

    #[test]
    fn the_longest_idle_go_first() {
        let ages = [9, 8, 3, 1].map(Duration::from_secs);
        let end = |timeout, short| to_end(&ages, Duration::from_secs(timeout), short);
        assert_eq!([end(10, false), end(8, false), end(1, false)], [0, 2, 4]);
        assert_eq!([end(10, true), end(3, true)], [2, 3]);
        assert_eq!(to_end(&[], Duration::ZERO, true), 0);
    }
}
