//! What each share has had of the machine, for its weight.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The weights of shares; 1 where none is given.
pub(crate) type Weights = BTreeMap<String, f64>;

/// What a core that a share has counts for before any time has passed, in core milliseconds: shares
/// whose jobs start together take turns.
const HEAD_START_MILLIS: f64 = 1_000.0;

/// The shares that have jobs.
#[derive(Debug)]
pub(super) struct Shares {
    weights: Weights,
    known: HashMap<Arc<str>, Share>,
    now: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    /// Core milliseconds that it has had.
    had: f64,
    cores: u32,
    running: u32,
    waiting: u32,
}

impl Shares {
    pub(super) fn new(weights: Weights) -> Self {
        Self { weights, known: HashMap::new(), now: 0 }
    }

    pub(super) fn set_weight(&mut self, share: &str, weight: f64) {
        self.weights.insert(share.to_owned(), weight);
    }

    /// Charges each share for the time since the last call.
    pub(super) fn pass(&mut self, now: u64) {
        let millis = now.saturating_sub(self.now) as f64;
        self.now = self.now.max(now);
        for share in self.known.values_mut() {
            share.had += f64::from(share.cores) * millis;
        }
    }

    fn weight(&self, share: &str) -> f64 {
        self.weights.get(share).copied().unwrap_or(1.0)
    }

    /// What a share has had, and has, for its weight.
    pub(super) fn had(&self, name: &str) -> f64 {
        let share = self.known.get(name).copied().unwrap_or_default();
        (share.had + f64::from(share.cores) * HEAD_START_MILLIS) / self.weight(name)
    }

    /// A share's cores and its weight.
    pub(super) fn of(&self, name: &str) -> (u32, f64) {
        (self.known.get(name).map_or(0, |share| share.cores), self.weight(name))
    }

    /// The share, which begins where the one that has had least is: nobody saves up turns by having
    /// no jobs.
    fn enter(&mut self, name: &Arc<str>) -> &mut Share {
        if !self.known.contains_key(name) {
            let had = |(name, share): (&Arc<str>, &Share)| share.had / self.weight(name);
            let least = self.known.iter().map(had).min_by(f64::total_cmp).unwrap_or(0.0);
            let had = least * self.weight(name);
            self.known.insert(Arc::clone(name), Share { had, ..Share::default() });
        }
        self.known.entry(Arc::clone(name)).or_default()
    }

    fn tidy(&mut self, name: &str) {
        let is_idle = |share: &Share| share.running == 0 && share.waiting == 0;
        if self.known.get(name).is_some_and(is_idle) {
            self.known.remove(name);
        }
    }

    pub(super) fn wait(&mut self, name: &Arc<str>) {
        self.enter(name).waiting += 1;
    }

    pub(super) fn waited(&mut self, name: &Arc<str>) {
        let share = self.enter(name);
        share.waiting = share.waiting.saturating_sub(1);
    }

    pub(super) fn occupy(&mut self, name: &Arc<str>, cores: u32) {
        let share = self.enter(name);
        share.cores = share.cores.saturating_add(cores);
        share.running += 1;
    }

    pub(super) fn release(&mut self, name: &Arc<str>, cores: u32) {
        let share = self.enter(name);
        share.cores = share.cores.saturating_sub(cores);
        share.running = share.running.saturating_sub(1);
        self.tidy(name);
    }
}
