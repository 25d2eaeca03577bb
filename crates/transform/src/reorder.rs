//! Puts what finishes out of order back in order.

use std::collections::BTreeMap;

/// Holds what came too early until its turn.
#[derive(Debug)]
pub(crate) struct Reorder<T> {
    next: u64,
    early: BTreeMap<u64, T>,
}

impl<T> Default for Reorder<T> {
    fn default() -> Self {
        Self { next: 0, early: BTreeMap::new() }
    }
}

impl<T> Reorder<T> {
    /// Takes `item`, number `sequence` in order. A number that was already taken is a fault of ours.
    pub(crate) fn insert(&mut self, sequence: u64, item: T) {
        assert!(sequence >= self.next, "number {sequence} was delivered already");
        let twice = self.early.insert(sequence, item);
        assert!(twice.is_none(), "number {sequence} came twice");
    }

    /// The next item in order, if it is here.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let item = self.early.remove(&self.next)?;
        self.next += 1;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_item_comes_out_once_and_in_order(
            order in Just((0..40_u64).collect::<Vec<_>>()).prop_shuffle()
        ) {
            let mut reorder = Reorder::default();
            let mut out = Vec::new();
            for sequence in order {
                reorder.insert(sequence, sequence);
                while let Some(item) = reorder.pop() {
                    out.push(item);
                }
            }
            prop_assert_eq!(out, (0..40).collect::<Vec<_>>());
        }
    }
}
