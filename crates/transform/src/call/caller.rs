//! One block of records through the model: retries, splitting, isolation.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bessemer_domain::{Backoff, RejectClass};

use super::{
    isolate::{Isolation, Reply, Step},
    tune::{Setting, Signal, Tuner},
};
use crate::{
    model::{Answer, CallError, CallErrorKind, Model},
    records::Records,
    stats::Stats,
    text::to_columns::RowError,
};

/// Calls the model and takes care of every failure.
pub(crate) struct Caller {
    model: Arc<dyn Model>,
    tuner: Mutex<Tuner>,
    started: Instant,
    retries: u32,
    backoff: Backoff,
    unreachable_after: Duration,
    stop: Arc<AtomicBool>,
    stats: Arc<Stats>,
}

/// What became of a block: its answers in order, and the records that got none.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) pieces: Vec<(Range<usize>, Answer)>,
    pub(crate) failures: Vec<RowFailure>,
}

/// A record that is rejected.
#[derive(Debug, Clone)]
pub(crate) struct RowFailure {
    /// Its place in the block.
    pub(crate) row: usize,
    pub(crate) class: RejectClass,
    pub(crate) message: String,
    /// Calls that were made for it and failed.
    pub(crate) attempts: u32,
}

impl RowFailure {
    /// A record that was found bad before any call.
    pub(crate) fn without_a_call((row, error): (usize, RowError)) -> Self {
        Self { row, class: error.class, message: error.message, attempts: 0 }
    }
}

/// Why a block could not be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Halt {
    /// The run is being stopped.
    Stopped,
    /// The model could not be reached for too long.
    Unreachable(String),
}

#[derive(Debug)]
struct Failed {
    error: CallError,
    attempts: u32,
}

/// How hard to try a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// A payload or a lone suspect: all retries.
    Full,
    /// A step of a search: its failure is information.
    Once,
}

impl Caller {
    pub(crate) fn new(
        model: Arc<dyn Model>,
        tuner: Tuner,
        retries: u32,
        unreachable_after: Duration,
        stop: Arc<AtomicBool>,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            model,
            tuner: Mutex::new(tuner),
            started: Instant::now(),
            retries,
            backoff: Backoff::default(),
            unreachable_after,
            stop,
            stats,
        }
    }

    /// The settings in use.
    pub(crate) fn setting(&self) -> Setting {
        self.tuner.lock().unwrap_or_else(PoisonError::into_inner).setting()
    }

    /// Scores a block that was cut as one payload.
    pub(crate) fn score(&self, records: &Records) -> Result<Outcome, Halt> {
        let mut outcome = Outcome::default();
        let mut todo = Vec::new();
        todo.push(0..records.len());
        while let Some(range) = todo.pop() {
            self.stats.planned.add(1);
            match self.call(records, range.clone(), Effort::Full)? {
                Ok(answer) => outcome.pieces.push((range, answer)),
                Err(failed) if failed.error.kind == CallErrorKind::TooLarge && range.len() > 1 => {
                    let half = range.start + range.len() / 2;
                    todo.push(half..range.end);
                    todo.push(range.start..half);
                }
                Err(failed) => self.isolate(records, range, failed, &mut outcome)?,
            }
        }
        Ok(outcome)
    }

    fn isolate(
        &self,
        records: &Records,
        block: Range<usize>,
        failed: Failed,
        outcome: &mut Outcome,
    ) -> Result<(), Halt> {
        let mut isolation = Isolation::new(block.len(), is_certain(&failed.error));
        let mut last = failed;
        loop {
            let (range, effort) = match isolation.step() {
                Step::Done => return Ok(()),
                Step::Reject(row) => {
                    outcome.failures.push(RowFailure {
                        row: block.start + row,
                        class: last.error.class,
                        message: last.error.message.clone(),
                        attempts: last.attempts,
                    });
                    continue;
                }
                Step::Search(range) => {
                    self.stats.isolating.add(1);
                    let effort = if range.len() == 1 { Effort::Full } else { Effort::Once };
                    (range, effort)
                }
                Step::Rest(range) => {
                    self.stats.planned.add(1);
                    (range, Effort::Full)
                }
            };
            let rows = block.start + range.start..block.start + range.end;
            match self.call(records, rows.clone(), effort)? {
                Ok(answer) => {
                    outcome.pieces.push((rows, answer));
                    isolation.reply(Reply::Answered);
                }
                Err(failed) => {
                    isolation.reply(Reply::Failed { certain: is_certain(&failed.error) });
                    last = failed;
                }
            }
        }
    }

    fn call(
        &self,
        records: &Records,
        range: Range<usize>,
        effort: Effort,
    ) -> Result<Result<Answer, Failed>, Halt> {
        let payload = records.slice(range);
        let mut attempts = 0;
        let mut unreachable_since: Option<Instant> = None;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Halt::Stopped);
            }
            attempts += 1;
            let error = match self.call_once(&payload) {
                Ok(answer) => return Ok(Ok(answer)),
                Err(error) => error,
            };
            match error.kind {
                CallErrorKind::Unreachable => {
                    let since = *unreachable_since.get_or_insert_with(Instant::now);
                    if since.elapsed() >= self.unreachable_after {
                        return Err(Halt::Unreachable(error.message));
                    }
                }
                CallErrorKind::Transient
                    if effort == Effort::Full
                        && attempts <= self.allowed_retries(&error, &payload) => {}
                _ => return Ok(Err(Failed { error, attempts })),
            }
            self.stats.retries.add(1);
            self.pause(self.backoff.delay(attempts - 1, rand::random()));
        }
    }

    /// A lone record that hangs or kills its worker gets one more chance, not all of them: each
    /// costs a whole timeout or a new process.
    fn allowed_retries(&self, error: &CallError, payload: &Records) -> u32 {
        match error.class {
            RejectClass::Timeout | RejectClass::WorkerDied if payload.len() == 1 => {
                self.retries.min(1)
            }
            _ => self.retries,
        }
    }

    fn call_once(&self, payload: &Records) -> Result<Answer, CallError> {
        let rows = payload.len();
        self.stats.calls.add(1);
        let started = Instant::now();
        let result = self.model.call(payload).and_then(|answer| {
            if answer.len() == rows { Ok(answer) } else { Err(wrong_count(rows, answer.len())) }
        });
        self.stats.invoke.add_time(started.elapsed());
        let signal = match &result {
            Ok(_) => Some(Signal::Answered { rows }),
            Err(error) => {
                self.stats.failed_calls.add(1);
                match error.kind {
                    CallErrorKind::Transient => Some(Signal::Overload),
                    CallErrorKind::TooLarge => Some(Signal::TooLarge { rows }),
                    _ => None,
                }
            }
        };
        let copies = self.model.copies().map(|copies| Signal::Copies { ready: copies.ready });
        let mut tuner = self.tuner.lock().unwrap_or_else(PoisonError::into_inner);
        for signal in [signal, copies].into_iter().flatten() {
            tuner.observe(signal, self.started.elapsed());
        }
        drop(tuner);
        result
    }

    /// Waits for `delay`, less if the run is stopped.
    fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        while !self.stop.load(Ordering::Relaxed) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}

fn is_certain(error: &CallError) -> bool {
    matches!(error.kind, CallErrorKind::Records | CallErrorKind::TooLarge)
}

fn wrong_count(records: usize, answers: usize) -> CallError {
    CallError {
        kind: CallErrorKind::Records,
        class: RejectClass::WrongCount,
        message: format!("the model answered {records} records with {answers}"),
    }
}
