//! Telling and waiting for the time.

use std::time::Duration;

use bessemer_domain::{Clock, SystemClock};
use futures::future::BoxFuture;

/// A clock that can be waited for, so that tests choose the time.
pub trait Timer: Clock + 'static {
    /// Returns when the clock shows `millis` (since 1970) or later; it may return before, and is
    /// then asked again.
    fn sleep_until(&self, millis: u64) -> BoxFuture<'static, ()>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemTimer;

impl Clock for SystemTimer {
    fn now_millis(&self) -> u64 {
        SystemClock.now_millis()
    }
}

impl Timer for SystemTimer {
    fn sleep_until(&self, millis: u64) -> BoxFuture<'static, ()> {
        let left = millis.saturating_sub(self.now_millis());
        Box::pin(tokio::time::sleep(Duration::from_millis(left)))
    }
}
