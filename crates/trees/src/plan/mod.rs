//! An ensemble laid out for the kernels.
//!
//! Every tree is cut in two. Its top is *selected*: all nodes of the top answer their question for
//! many rows at once, and the answers are merged bottom up into each row's exit. Whatever lies below
//! the exits is *walked*, row by row, without branches. Most trees are all top.

mod rule;
mod tree;

use crate::{
    codes::CodeBook,
    ensemble::{Dialect, Ensemble},
};

/// A number that leaves hold and sums are made of.
pub(crate) trait Real: Copy + Send + Sync + std::fmt::Debug + std::ops::AddAssign {
    fn from_f64(value: f64) -> Self;
}

impl Real for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Real for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

/// An ensemble laid out for the kernels.
#[derive(Debug)]
pub(crate) struct Plan<R> {
    pub(crate) book: CodeBook,
    /// Group by group; within a group, in the order in which the library adds their leaves up.
    pub(crate) trees: Vec<PlanTree>,
    /// Where the codes of a node of a complete top begin.
    pub(crate) offsets: Vec<u32>,
    /// A row goes left at that node if its code is below this.
    pub(crate) limits: Vec<i8>,
    pub(crate) merges: Vec<Merge>,
    /// The leaf values at a top's exits, if there is nothing to walk. So many follow the last tree's
    /// that each tree has [`MAX_EXITS`].
    pub(crate) leaves: Vec<R>,
    pub(crate) leaf_ids: Vec<i32>,
    /// The steps that exits lead to, if there is something to walk; padded as `leaves` are.
    pub(crate) entries: Vec<u32>,
    pub(crate) steps: Vec<Step>,
    pub(crate) step_leaves: Vec<R>,
    pub(crate) step_leaf_ids: Vec<i32>,
}

/// One tree: ranges of the plan's lists.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanTree {
    /// Its place in the ensemble.
    pub(crate) index: usize,
    pub(crate) group: usize,
    pub(crate) top: Top,
    /// Where its exits begin, among `leaves` or, if there is something to walk, among `entries`.
    pub(crate) exits: usize,
    /// How many steps lead from an exit to a leaf, at most.
    pub(crate) depth: usize,
}

/// The part of a tree that is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Top {
    /// A complete tree of `2^depth` exits; its nodes stand level by level from `first` on in
    /// `offsets` and `limits`.
    Complete { depth: usize, first: usize },
    /// Any tree of at most 256 exits: `count` merges from `first` on, children before parents.
    Merged { first: usize, count: usize },
}

/// A complete top has at most so many levels.
pub(crate) const MAX_COMPLETE: usize = 8;

/// A merged top has at most so many exits.
pub(crate) const MAX_EXITS: usize = 256;

/// The operands of merges that are slots, not exits, begin here.
pub(crate) const FIRST_SLOT: usize = 256;

/// Slots that merges need at most: the larger child is done first, so each further slot takes a
/// tree of twice the size.
pub(crate) const SLOTS: usize = 10;

/// A node of a merged top: the rows that go left get what `left` holds, the others what `right`
/// holds, and `out` holds it then. Operands below [`FIRST_SLOT`] are exits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Merge {
    pub(crate) offset: u32,
    pub(crate) left: u16,
    pub(crate) right: u16,
    pub(crate) out: u16,
    pub(crate) limit: i8,
}

/// A node of the walked part. Leaves lead to themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) offset: u32,
    /// The left child; the right one follows it.
    pub(crate) left: u32,
    pub(crate) limit: i8,
}

impl Step {
    /// The node that a row with `code` goes to.
    #[inline(always)]
    pub(crate) fn next(self, code: i8) -> u32 {
        self.left + u32::from(code >= self.limit)
    }
}

impl<R: Real> Plan<R> {
    /// Lays `ensemble` out.
    pub(crate) fn new(ensemble: &Ensemble) -> Self {
        let mut plan = Self {
            book: CodeBook::new(ensemble.dialect, &ensemble.trees),
            trees: Vec::with_capacity(ensemble.trees.len()),
            offsets: Vec::new(),
            limits: Vec::new(),
            merges: Vec::new(),
            leaves: Vec::new(),
            leaf_ids: Vec::new(),
            entries: Vec::new(),
            steps: Vec::new(),
            step_leaves: Vec::new(),
            step_leaf_ids: Vec::new(),
        };
        let mut order: Vec<usize> = (0..ensemble.trees.len()).collect();
        order.sort_by_key(|tree| ensemble.trees[*tree].group);
        for index in order {
            plan.add(&ensemble.trees[index], index);
        }
        plan.leaves.resize(plan.leaves.len() + MAX_EXITS, R::from_f64(0.0));
        plan.entries.resize(plan.entries.len() + MAX_EXITS, 0);
        plan
    }
}

/// The plan in the arithmetic of the library that wrote the model.
#[derive(Debug)]
pub(crate) enum AnyPlan {
    Single(Plan<f32>),
    Double(Plan<f64>),
}

impl AnyPlan {
    pub(crate) fn new(ensemble: &Ensemble) -> Self {
        match ensemble.dialect {
            Dialect::XgBoost => Self::Single(Plan::new(ensemble)),
            Dialect::LightGbm => Self::Double(Plan::new(ensemble)),
        }
    }
}
