//! Threads that make calls: as many at once as the settings in use say.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

type Work = Box<dyn FnOnce() + Send>;

/// A pool of threads whose number in use follows `limit`, asked anew before each piece of work.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    limit: Box<dyn Fn() -> usize + Send + Sync>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Work>,
    running: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(limit: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        let shared =
            Shared { state: Mutex::default(), changed: Condvar::new(), limit: Box::new(limit) };
        Self { shared: Arc::new(shared), threads: Mutex::default() }
    }

    /// Queues `work`. A new thread is started if all are busy and the limit allows one more.
    pub(crate) fn submit(&self, work: impl FnOnce() + Send + 'static) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.shared.lock();
        state.queue.push_back(Box::new(work));
        if state.idle < state.queue.len() && threads.len() < (self.shared.limit)() {
            let shared = Arc::clone(&self.shared);
            threads.push(std::thread::spawn(move || shared.run()));
        }
        drop(state);
        self.shared.changed.notify_one();
    }

    /// Drops queued work and does not wait for what is running, which may be a call that hangs.
    pub(crate) fn detach(&self) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let mut state = self.shared.lock();
        state.queue.clear();
        state.closed = true;
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A panic in work was already reported by the work itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let may_run = state.running < (self.limit)();
            let next = if may_run { state.queue.pop_front() } else { None };
            if let Some(work) = next {
                state.running += 1;
                drop(state);
                work();
                state = self.lock();
                state.running -= 1;
                self.changed.notify_all();
            } else if state.closed && state.queue.is_empty() {
                return;
            } else {
                state.idle += 1;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_work_is_done_and_never_more_at_once_than_the_limit() {
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let done = Arc::new(AtomicUsize::new(0));
        let pool = Pool::new(|| 3);
        for _ in 0..200 {
            let (running, most, done) = (running.clone(), most.clone(), done.clone());
            pool.submit(move || {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        drop(pool);
        assert_eq!(done.load(Ordering::SeqCst), 200);
        assert!(most.load(Ordering::SeqCst) <= 3);
    }
}
