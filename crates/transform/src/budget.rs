//! Memory as a budget: bytes in flight, not a count of things.

use std::sync::{Arc, Mutex, PoisonError};

/// Bytes that may be in flight at once.
#[derive(Debug)]
pub(crate) struct Budget {
    capacity: u64,
    used: Mutex<u64>,
}

/// A share of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Budget {
    pub(crate) fn new(capacity: u64) -> Arc<Self> {
        Arc::new(Self { capacity, used: Mutex::new(0) })
    }

    /// Takes `bytes` if they are free.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: u64) -> Option<Permit> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = used.saturating_add(bytes);
        if wanted > self.capacity {
            return None;
        }
        *used = wanted;
        drop(used);
        Some(Permit { budget: Arc::clone(self), bytes })
    }

    /// Takes `bytes` whatever is free: for a lane that has nothing in flight and could never go on
    /// otherwise. The overdraft is at most one chunk a lane.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Permit {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_add(bytes);
        drop(used);
        Permit { budget: Arc::clone(self), bytes }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut used = self.budget.used.lock().unwrap_or_else(PoisonError::into_inner);
        *used = used.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_when_a_permit_is_dropped() {
        let budget = Budget::new(10);
        let first = budget.try_take(6).unwrap();
        assert!(budget.try_take(6).is_none());
        let forced = budget.take(6);
        assert!(budget.try_take(1).is_none());
        drop((first, forced));
        assert!(budget.try_take(10).is_some());
    }
}
