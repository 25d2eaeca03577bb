//! How often and when a job is tried again, and how long it may take.

use serde::{Deserialize, Serialize};

use super::FailureClass;

/// When a failed attempt is followed by another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; those that failed for [`FailureClass::Capacity`] do not
    /// count. At least 1.
    pub attempts: u32,
    /// How long to wait before the next attempt.
    pub backoff: RetryBackoff,
    /// The classes that are tried again. `Capacity` always is and `Invalid` never, named or not.
    pub classes: Vec<FailureClass>,
    /// After [`FailureClass::OutOfMemory`], the next attempt gets this many times the memory. At
    /// 1.0 it gets the same.
    pub memory_growth: f64,
    /// Memory never grows past this many bytes; an attempt that had them already and ran out is the
    /// last, if memory was to grow.
    pub memory_max: Option<u64>,
}

impl Default for RetryPolicy {
    /// Three attempts, and only for failures that the job did not cause.
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: RetryBackoff::default(),
            classes: vec![FailureClass::Infrastructure],
            memory_growth: 1.0,
            memory_max: None,
        }
    }
}

impl RetryPolicy {
    /// Whether a failure of this class may be followed by another attempt at all.
    #[must_use]
    pub fn covers(&self, class: FailureClass) -> bool {
        match class {
            FailureClass::Capacity => true,
            FailureClass::Invalid => false,
            other => self.classes.contains(&other),
        }
    }

    /// The memory of the attempt after one that ran out of `memory` bytes; none if it was to grow
    /// and can't.
    #[must_use]
    pub fn memory_after(&self, memory: u64) -> Option<u64> {
        if self.memory_growth <= 1.0 {
            return Some(memory);
        }
        let grown = (memory as f64 * self.memory_growth).ceil() as u64;
        let grown = grown.min(self.memory_max.unwrap_or(u64::MAX));
        (grown > memory).then_some(grown)
    }
}

/// Delays that grow by a factor up to a cap, half of each random, so that jobs that failed together
/// do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RetryBackoff {
    /// The delay before the first retry, at most, in milliseconds.
    pub base_millis: u64,
    /// How many times longer each further delay is; at least 1.
    pub factor: f64,
    /// No delay is longer, in milliseconds.
    pub cap_millis: u64,
}

impl Default for RetryBackoff {
    fn default() -> Self {
        Self { base_millis: 1_000, factor: 2.0, cap_millis: 300_000 }
    }
}

impl RetryBackoff {
    /// The delay in milliseconds before retry number `retry` (0 is the first). `unit` is a random
    /// number in 0..1.
    #[must_use]
    pub fn delay_millis(&self, retry: u32, unit: f64) -> u64 {
        let exponent = i32::try_from(retry).unwrap_or(i32::MAX);
        let full = self.base_millis as f64 * self.factor.max(1.0).powi(exponent);
        let full = full.min(self.cap_millis as f64);
        (full / 2.0 + full / 2.0 * unit.clamp(0.0, 1.0)) as u64
    }
}

/// How SageMaker begins to say that it has no room.
pub const CAPACITY_ERROR: &str = "CapacityError: Unable to provision requested ML compute capacity";

/// How long a job may take. All are milliseconds; none means without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// One attempt, from when its code began to run.
    pub attempt_millis: Option<u64>,
    /// All attempts together (SageMaker's `MaxRuntimeInSeconds`).
    pub total_millis: Option<u64>,
    /// Waiting for room without having run since; the job then fails for `Capacity`.
    pub wait_millis: Option<u64>,
    /// The same, but set by the operator: the failure then begins with [`CAPACITY_ERROR`].
    #[serde(default)]
    pub room_millis: Option<u64>,
    /// How long an attempt that is told to stop may take before it is killed.
    pub grace_millis: u64,
}

impl Limits {
    /// How long the job may wait for room.
    #[must_use]
    pub fn longest_wait_millis(&self) -> Option<u64> {
        self.wait_millis.into_iter().chain(self.room_millis).min()
    }
}

impl Default for Limits {
    /// No limits, and SageMaker's 120 seconds to stop.
    fn default() -> Self {
        Self {
            attempt_millis: None,
            total_millis: None,
            wait_millis: None,
            room_millis: None,
            grace_millis: 120_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_factor_up_to_the_cap() {
        let backoff = RetryBackoff { base_millis: 100, factor: 3.0, cap_millis: 1_000 };
        assert_eq!(backoff.delay_millis(0, 1.0), 100);
        assert_eq!(backoff.delay_millis(0, 0.0), 50);
        assert_eq!(backoff.delay_millis(1, 1.0), 300);
        assert_eq!(backoff.delay_millis(2, 1.0), 900);
        assert_eq!(backoff.delay_millis(u32::MAX, 1.0), 1_000);
    }

    #[test]
    fn memory_grows_up_to_its_maximum_and_then_no_more() {
        let policy =
            RetryPolicy { memory_growth: 1.5, memory_max: Some(400), ..RetryPolicy::default() };
        assert_eq!(policy.memory_after(200), Some(300));
        assert_eq!(policy.memory_after(300), Some(400));
        assert_eq!(policy.memory_after(400), None);
        assert_eq!(RetryPolicy::default().memory_after(400), Some(400));
    }
}
