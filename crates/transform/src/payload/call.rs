//! One payload through the model: tried again where that may help.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bessemer_domain::Backoff;

use super::PayloadModel;
use crate::{
    TransformError,
    model::{CallError, CallErrorKind},
};

/// How long a model that can't be reached is tried.
const UNREACHABLE_AFTER: Duration = Duration::from_secs(30);

/// Calls the model.
pub(super) struct Caller<'r> {
    pub(super) model: &'r dyn PayloadModel,
    pub(super) retries: u32,
    /// The run is to end.
    pub(super) stop: &'r AtomicBool,
    /// Nobody waits for answers any more.
    pub(super) ended: AtomicBool,
    /// Calls that were made again.
    pub(super) retried: AtomicU64,
}

/// Why a payload has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// It failed, and its file with it.
    Payload(CallError),
    /// There is no model to ask.
    Unreachable(String),
    /// Its answer can't be kept.
    Unwritten(TransformError),
    /// The run is being stopped.
    Stopped,
}

impl Caller<'_> {
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.ended.load(Ordering::Relaxed)
    }

    /// Calls the model by `invoke`, again where that may help.
    pub(super) fn call<T>(
        &self,
        mut invoke: impl FnMut() -> Result<T, CallError>,
    ) -> Result<T, Failed> {
        let backoff = Backoff::default();
        let started = Instant::now();
        let mut attempts = 0;
        loop {
            if self.is_over() {
                return Err(Failed::Stopped);
            }
            let error = match invoke() {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            attempts += 1;
            match error.kind {
                CallErrorKind::Unreachable if started.elapsed() >= UNREACHABLE_AFTER => {
                    return Err(Failed::Unreachable(error.message));
                }
                CallErrorKind::Unreachable => {}
                CallErrorKind::Transient if attempts <= self.retries => {}
                _ => return Err(Failed::Payload(error)),
            }
            self.retried.fetch_add(1, Ordering::Relaxed);
            self.pause(backoff.delay(attempts - 1, rand::random()));
        }
    }

    /// Waits, less if the run is stopped.
    fn pause(&self, delay: Duration) {
        let end = Instant::now() + delay;
        while !self.is_over() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
