//! Quotas on running jobs.

use std::{collections::HashMap, sync::Arc};

/// A quota that holds for a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Gate {
    pub(crate) key: GateKey,
    /// Instances that may run.
    pub(crate) limit: u32,
    /// What it is called.
    pub(crate) label: Arc<str>,
}

/// Tells the counts of quotas apart: the quota's number, and the tag's value where it counts for
/// each value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GateKey(pub(crate) usize, pub(crate) Arc<str>);

/// The instances that run, by quota.
#[derive(Debug, Default)]
pub(crate) struct Gates {
    running: HashMap<GateKey, u32>,
}

impl Gates {
    /// The first of `gates` that `instances` more don't pass, and how many run. A job that is too
    /// large for its quota runs alone: it was let in before the quota was set.
    pub(super) fn closed<'g>(&self, gates: &'g [Gate], instances: u32) -> Option<(&'g Gate, u32)> {
        let running = |gate: &Gate| self.running.get(&gate.key).copied().unwrap_or(0);
        let is_closed = |gate: &&Gate| {
            let running = running(gate);
            running > 0 && running.saturating_add(instances) > gate.limit
        };
        gates.iter().find(is_closed).map(|gate| (gate, running(gate)))
    }

    pub(super) fn enter(&mut self, gates: &[Gate], instances: u32) {
        for gate in gates {
            *self.running.entry(gate.key.clone()).or_default() += instances;
        }
    }

    pub(super) fn leave(&mut self, gates: &[Gate], instances: u32) {
        for gate in gates {
            if let Some(running) = self.running.get_mut(&gate.key) {
                *running = running.saturating_sub(instances);
                if *running == 0 {
                    self.running.remove(&gate.key);
                }
            }
        }
    }
}
