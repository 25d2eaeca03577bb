//! `[[retries]]`: when a failed attempt is followed by another.

use std::time::Duration;

use bessemer_domain::{ByteSize, FailureClass, RetryPolicy};

use crate::{reader::Table, select::Selector};

/// A retry policy for the jobs that a selector is for. What it leaves out is as usual.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RetryRule {
    /// The jobs that it is for.
    pub jobs: Selector,
    /// Attempts in all, the first included.
    pub attempts: Option<u32>,
    /// The wait before the first retry.
    pub backoff: Option<Duration>,
    /// How many times longer each further wait is.
    pub backoff_factor: Option<f64>,
    /// No wait is longer.
    pub backoff_cap: Option<Duration>,
    /// The classes of failures that are tried again.
    pub classes: Option<Vec<FailureClass>>,
    /// How many times the memory the attempt after an out-of-memory kill gets.
    pub memory_growth: Option<f64>,
    /// Memory never grows past this.
    pub memory_max: Option<ByteSize>,
}

impl RetryRule {
    pub(crate) fn read_all(top: &Table<'_, '_>) -> Vec<Self> {
        top.tables("retries").into_iter().map(Self::read).collect()
    }

    fn read(table: Table<'_, '_>) -> Self {
        let read = Self {
            jobs: Selector::read(&table),
            attempts: table.maybe("attempts"),
            backoff: table.maybe("backoff"),
            backoff_factor: table.maybe("backoff_factor"),
            backoff_cap: table.maybe("backoff_cap"),
            classes: table.maybe("classes"),
            memory_growth: table.maybe("memory_growth"),
            memory_max: table.maybe("memory_max"),
        };
        if read.attempts == Some(0) {
            table.refuse("attempts", "is `0`; the first attempt counts, so 1 is the least");
        }
        for (key, factor) in
            [("backoff_factor", read.backoff_factor), ("memory_growth", read.memory_growth)]
        {
            if let Some(factor) = factor.filter(|factor| !(1.0..=100.0).contains(factor)) {
                table.refuse(key, format!("is `{factor}` and has to be between 1 and 100"));
            }
        }
        if let Some(classes) = &read.classes
            && classes.contains(&FailureClass::Invalid)
        {
            table.refuse("classes", "name `invalid`, which no further attempt could mend");
        }
        table.finish();
        read
    }

    /// The policy with what the rule says in it.
    #[must_use]
    pub fn applied_to(&self, mut policy: RetryPolicy) -> RetryPolicy {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        policy.attempts = self.attempts.unwrap_or(policy.attempts);
        let backoff = &mut policy.backoff;
        backoff.base_millis = self.backoff.map_or(backoff.base_millis, millis);
        backoff.factor = self.backoff_factor.unwrap_or(backoff.factor);
        backoff.cap_millis = self.backoff_cap.map_or(backoff.cap_millis, millis);
        if let Some(classes) = &self.classes {
            policy.classes.clone_from(classes);
        }
        policy.memory_growth = self.memory_growth.unwrap_or(policy.memory_growth);
        policy.memory_max = self.memory_max.map(|size| size.0).or(policy.memory_max);
        policy
    }
}
