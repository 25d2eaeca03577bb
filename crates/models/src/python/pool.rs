//! The workers of a handler: taken for a call, given back after it.

use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard},
};

use bessemer_transform::model::Copies;

use super::{
    launcher::Launcher,
    machine,
    messages::Ready,
    worker::{Recipe, StartError, Worker, bury},
};

/// Up to `copies` workers, started when a call finds none idle and memory bears one more.
#[derive(Debug)]
pub(super) struct Pool {
    recipe: Recipe,
    launcher: Launcher,
    /// Bytes that one more worker takes, if free memory is to be looked at before.
    each: Option<u64>,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug)]
struct State {
    idle: Vec<Worker>,
    /// Workers there are or that are being started.
    alive: usize,
    /// Those of them that are being started.
    starting: usize,
    copies: usize,
    /// Workers ever started; the number of the last one.
    started: usize,
}

impl Pool {
    /// A pool that holds no worker yet and may hold one.
    pub(super) fn new(recipe: Recipe) -> io::Result<Self> {
        let state = State { idle: Vec::new(), alive: 0, starting: 0, copies: 1, started: 0 };
        let launcher = Launcher::start()?;
        Ok(Self { recipe, launcher, each: None, state: Mutex::new(state), freed: Condvar::new() })
    }

    /// Starts the first worker, which tells what the handler is.
    pub(super) fn start_first(&self) -> Result<Ready, StartError> {
        let (worker, ready) = Worker::start(&self.recipe, &self.launcher, 1)?;
        let mut state = self.lock();
        state.alive = 1;
        state.started = 1;
        state.idle.push(worker);
        Ok(ready)
    }

    /// Ends the workers and goes on with this environment and number of copies.
    pub(super) fn reset(mut self, env: Vec<(String, String)>) -> Self {
        self.dismiss();
        self.recipe.env = env;
        self
    }

    /// Lets there be so many workers. With `each`, further ones are started only while that many
    /// bytes are free.
    pub(super) fn allow(&mut self, copies: usize, each: Option<u64>) {
        self.each = each;
        self.lock().copies = copies;
    }

    /// The workers there are.
    pub(super) fn copies(&self) -> Copies {
        let state = self.lock();
        Copies { there: state.alive, ready: state.alive - state.starting }
    }

    /// Whether one worker more may be started.
    fn has_room(&self, state: &State) -> bool {
        let bearable =
            || self.each.zip(machine::free_memory()).is_none_or(|(each, free)| each <= free);
        state.alive < state.copies && (state.alive == 0 || bearable())
    }

    /// A worker for one call: an idle one, else a new one, else the next that is given back.
    pub(super) fn take(&self) -> Result<Worker, StartError> {
        let mut state = self.lock();
        loop {
            if let Some(mut worker) = state.idle.pop() {
                if worker.lives() {
                    return Ok(worker);
                }
                state.alive -= 1;
                continue;
            }
            if self.has_room(&state) {
                state.alive += 1;
                state.starting += 1;
                state.started += 1;
                let number = state.started;
                drop(state);
                let worker = Worker::start(&self.recipe, &self.launcher, number);
                self.lock().starting -= 1;
                match worker {
                    Ok((worker, _)) => return Ok(worker),
                    Err(error) => state = self.do_without(error)?,
                }
            } else {
                state = self.freed.wait(state).expect("no thread panics while it holds the pool");
            }
        }
    }

    /// Gives `worker` back after a call, for others to take.
    pub(super) fn give_back(&self, worker: Worker) {
        self.lock().idle.push(worker);
        self.freed.notify_one();
    }

    /// Takes note that a taken worker is no more.
    pub(super) fn discard(&self, worker: Worker) {
        drop(worker);
        self.lock().alive -= 1;
        self.freed.notify_one();
    }

    /// A worker could not be started: the others, if there are any, do its work too.
    fn do_without(&self, error: StartError) -> Result<MutexGuard<'_, State>, StartError> {
        let mut state = self.lock();
        state.alive -= 1;
        if state.alive == 0 {
            self.freed.notify_one();
            return Err(error);
        }
        state.copies = state.alive;
        Ok(state)
    }

    fn dismiss(&mut self) {
        let state = self.state.get_mut().expect("no thread panics while it holds the pool");
        let retired = state.idle.drain(..).map(Worker::retire).collect();
        state.alive = 0;
        bury(retired);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the pool")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.dismiss();
    }
}
