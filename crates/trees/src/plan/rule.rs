//! The rule by which a tree's kernel is chosen: the least cost, in units measured on AVX2 (see
//! `docs/adr/0002-tree-kernels.md`).

use super::{MAX_COMPLETE, MAX_EXITS};

/// How a tree is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// A complete top of so many levels; what lies below is walked.
    Complete(usize),
    /// The whole tree is a merged top.
    Merged,
}

/// Cycles a row for a node of a complete top.
const COMPLETE_NODE: f64 = 0.032;
/// Cycles a row for a node of a merged top.
const MERGED_NODE: f64 = 0.075;
/// Cycles a row for a step of the walk, and for looking the first step up.
const STEP: f64 = 3.5;

/// How to cut a tree of `depth` levels with `leaves` leaves.
pub(super) fn choose(depth: usize, leaves: usize) -> Cut {
    let mut best = Cut::Complete(0);
    let mut least = f64::INFINITY;
    for levels in 0..=depth.min(MAX_COMPLETE) {
        let walked = depth - levels;
        let walk = if walked == 0 { 0.0 } else { (walked + 1) as f64 * STEP };
        let cost = ((1_usize << levels) - 1) as f64 * COMPLETE_NODE + walk;
        if cost < least {
            (best, least) = (Cut::Complete(levels), cost);
        }
    }
    let merged = (leaves - 1) as f64 * MERGED_NODE;
    if leaves <= MAX_EXITS && merged < least { Cut::Merged } else { best }
}
