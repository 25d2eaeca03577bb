//! Finds rows a call and calls at once while the run goes on.
//!
//! Hill climbing on measured throughput: one dimension at a time is doubled; if a window of calls
//! with the new setting is at least 5 % faster it stays and is doubled again, else it goes back and
//! the other dimension has its turn; when neither helps, the setting stays. Overload (timeouts, 429,
//! 5xx, a dead worker) halves what is in flight and stops growth for a while; a payload that was
//! refused as too large halves the rows for good.

use std::time::Duration;

/// What a call is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setting {
    /// Rows of a payload, at most.
    pub(crate) rows: usize,
    /// Calls at once.
    pub(crate) concurrent: usize,
}

/// The limits within which settings are sought. Fixed by the user, the model and memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Rows of a payload, at most.
    pub(crate) max_rows: usize,
    /// Calls at once, at most.
    pub(crate) max_concurrent: usize,
}

/// How a call ended, as far as tuning is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// `rows` records were answered.
    Answered { rows: usize },
    /// The model was slow, busy or dead.
    Overload,
    /// So many copies of the model take calls.
    Copies { ready: usize },
    /// A payload of `rows` records was too large.
    TooLarge { rows: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dimension {
    Rows,
    Concurrent,
}

/// The search for good settings. Time is an argument; nothing here waits or measures.
#[derive(Debug)]
pub(crate) struct Tuner {
    bounds: Bounds,
    setting: Setting,
    /// The setting and throughput to beat, if a trial is on.
    before: Option<(Setting, f64)>,
    dimension: Dimension,
    /// Dimensions in a row that brought nothing; growth ends at 2.
    fruitless: u8,
    window_start: Option<Duration>,
    window_rows: usize,
    window_calls: usize,
    hold_until: Duration,
    /// The most copies of the model that took calls so far.
    copies: usize,
}

const WINDOW: Duration = Duration::from_millis(150);
const HOLD_AFTER_OVERLOAD: Duration = Duration::from_secs(5);
const WORTHWHILE: f64 = 1.05;

impl Tuner {
    /// Starts at `start`, clamped to `bounds`.
    pub(crate) fn new(start: Setting, bounds: Bounds) -> Self {
        let setting = Setting {
            rows: start.rows.clamp(1, bounds.max_rows.max(1)),
            concurrent: start.concurrent.clamp(1, bounds.max_concurrent.max(1)),
        };
        Self {
            bounds,
            setting,
            before: None,
            dimension: Dimension::Rows,
            fruitless: 0,
            window_start: None,
            window_rows: 0,
            window_calls: 0,
            hold_until: Duration::ZERO,
            copies: 1,
        }
    }

    /// The setting in use.
    pub(crate) fn setting(&self) -> Setting {
        self.setting
    }

    /// Takes note of a call that ended at `now` (since the start of the run).
    pub(crate) fn observe(&mut self, signal: Signal, now: Duration) {
        match signal {
            Signal::Answered { rows } => self.answered(rows, now),
            Signal::Overload => {
                if now >= self.hold_until {
                    if self.setting.concurrent > 1 {
                        self.setting.concurrent /= 2;
                    } else {
                        self.setting.rows = (self.setting.rows / 2).max(1);
                    }
                }
                self.hold_until = now + HOLD_AFTER_OVERLOAD;
                self.before = None;
                self.fruitless = 0;
                self.restart_window(now);
            }
            Signal::Copies { ready } if ready > self.copies => {
                self.copies = ready;
                self.forget(now);
            }
            Signal::Copies { .. } => {}
            Signal::TooLarge { rows } => {
                let fits = (rows / 2).max(1);
                self.bounds.max_rows = self.bounds.max_rows.min(fits);
                self.setting.rows = self.setting.rows.min(fits);
                self.before = None;
                self.restart_window(now);
            }
        }
    }

    /// What was found without a copy that has joined does not hold with it: more calls at once are
    /// tried anew.
    fn forget(&mut self, now: Duration) {
        if let Some((old, _)) = self.before.take() {
            self.go_back(old);
        }
        self.dimension = Dimension::Concurrent;
        self.fruitless = 0;
        self.restart_window(now);
    }

    fn go_back(&mut self, old: Setting) {
        self.setting = Setting {
            rows: old.rows.min(self.bounds.max_rows),
            concurrent: old.concurrent.min(self.bounds.max_concurrent),
        };
    }

    fn answered(&mut self, rows: usize, now: Duration) {
        let Some(start) = self.window_start else { return self.restart_window(now) };
        self.window_rows += rows;
        self.window_calls += 1;
        let elapsed = now.saturating_sub(start);
        let enough = elapsed >= WINDOW && self.window_calls >= 2 * self.setting.concurrent;
        if !enough || now < self.hold_until {
            return;
        }
        let throughput = self.window_rows as f64 / elapsed.as_secs_f64();
        self.judge(throughput);
        self.restart_window(now);
    }

    fn judge(&mut self, throughput: f64) {
        match self.before.take() {
            Some((_, best)) if throughput >= best * WORTHWHILE => self.fruitless = 0,
            Some((old, _)) => {
                self.go_back(old);
                self.fruitless += 1;
                self.dimension = self.dimension.other();
            }
            None => {}
        }
        if self.fruitless >= 2 {
            return;
        }
        if self.grown() == self.setting {
            self.dimension = self.dimension.other();
        }
        let grown = self.grown();
        if grown != self.setting {
            self.before = Some((self.setting, throughput));
            self.setting = grown;
        }
    }

    fn grown(&self) -> Setting {
        let Setting { rows, concurrent } = self.setting;
        match self.dimension {
            Dimension::Rows => Setting { rows: (rows * 2).min(self.bounds.max_rows), concurrent },
            Dimension::Concurrent => {
                Setting { rows, concurrent: (concurrent * 2).min(self.bounds.max_concurrent) }
            }
        }
    }

    fn restart_window(&mut self, now: Duration) {
        self.window_start = Some(now);
        self.window_rows = 0;
        self.window_calls = 0;
    }
}

impl Dimension {
    fn other(self) -> Self {
        match self {
            Self::Rows => Self::Concurrent,
            Self::Concurrent => Self::Rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs calls against a model whose time for a call is given, and returns where it settles.
    fn settle(tuner: &mut Tuner, seconds: impl Fn(Setting) -> f64) -> Setting {
        let mut now = 0.0;
        for _ in 0..4_000 {
            let setting = tuner.setting();
            now += seconds(setting) / setting.concurrent as f64;
            tuner.observe(Signal::Answered { rows: setting.rows }, Duration::from_secs_f64(now));
        }
        tuner.setting()
    }

    #[test]
    fn a_cost_per_call_makes_payloads_grow() {
        let bounds = Bounds { max_rows: 4096, max_concurrent: 1 };
        let mut tuner = Tuner::new(Setting { rows: 16, concurrent: 1 }, bounds);
        let settled = settle(&mut tuner, |setting| 0.005 + setting.rows as f64 * 1e-6);
        assert!(settled.rows >= 2048, "{settled:?}");
    }

    #[test]
    fn latency_makes_calls_overlap_and_a_serial_model_does_not() {
        let bounds = Bounds { max_rows: 8, max_concurrent: 64 };
        let mut tuner = Tuner::new(Setting { rows: 8, concurrent: 1 }, bounds);
        assert_eq!(settle(&mut tuner, |_| 0.02).concurrent, 64);
        let mut tuner = Tuner::new(Setting { rows: 8, concurrent: 1 }, bounds);
        let settled = settle(&mut tuner, |setting| 0.02 * setting.concurrent as f64);
        assert_eq!(settled.concurrent, 1);
    }

    #[test]
    fn copies_that_join_late_are_given_calls() {
        let bounds = Bounds { max_rows: 8, max_concurrent: 16 };
        let mut tuner = Tuner::new(Setting { rows: 8, concurrent: 2 }, bounds);
        let with = |copies: usize| {
            move |setting: Setting| 0.02 * setting.concurrent.div_ceil(copies) as f64
        };
        assert_eq!(settle(&mut tuner, with(2)).concurrent, 2);
        assert_eq!(settle(&mut tuner, with(4)).concurrent, 2, "nothing says that there are more");
        let now = Duration::ZERO;
        tuner.observe(Signal::Copies { ready: 4 }, now);
        assert_eq!(settle(&mut tuner, with(4)).concurrent, 4);
        tuner.observe(Signal::Copies { ready: 2 }, now);
        tuner.observe(Signal::Copies { ready: 4 }, now);
        assert_eq!(settle(&mut tuner, with(8)).concurrent, 4, "one that came back is not new");
    }

    #[test]
    fn overload_halves_what_is_in_flight_and_too_large_is_for_good() {
        let bounds = Bounds { max_rows: 1024, max_concurrent: 8 };
        let mut tuner = Tuner::new(Setting { rows: 1024, concurrent: 8 }, bounds);
        tuner.observe(Signal::Overload, Duration::from_secs(1));
        assert_eq!(tuner.setting().concurrent, 4);
        tuner.observe(Signal::TooLarge { rows: 1024 }, Duration::from_secs(1));
        let settled = settle(&mut tuner, |setting| 0.01 + setting.rows as f64 * 1e-9);
        assert!(settled.rows <= 512);
    }

    proptest! {
        #[test]
        fn settings_never_leave_their_bounds(
            max_rows in 1_usize..5000, max_concurrent in 1_usize..100,
            signals in prop::collection::vec((0..5_u8, 1_usize..5000), 0..300)
        ) {
            let bounds = Bounds { max_rows, max_concurrent };
            let mut tuner = Tuner::new(Setting { rows: 64, concurrent: 2 }, bounds);
            let mut now = Duration::ZERO;
            for (kind, rows) in signals {
                now += Duration::from_millis(60);
                let signal = match kind {
                    0 => Signal::Overload,
                    1 => Signal::TooLarge { rows },
                    2 => Signal::Copies { ready: rows },
                    _ => Signal::Answered { rows },
                };
                tuner.observe(signal, now);
                let Setting { rows, concurrent } = tuner.setting();
                prop_assert!((1..=max_rows).contains(&rows));
                prop_assert!((1..=max_concurrent).contains(&concurrent));
            }
        }
    }
}
