//! The kernels: from codes to sums, 64 rows and one tree at a time.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod portable;

use crate::{
    codes::BLOCK,
    plan::{FIRST_SLOT, MAX_EXITS, Plan, PlanTree, Real, SLOTS},
};

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
pub(crate) use portable::Portable;

/// Rows that a kernel does at once.
pub(crate) const CHUNK: usize = 64;

/// One byte a row: exits, or codes.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Lanes(pub(crate) [u8; CHUNK]);

/// How exits are found.
pub(crate) trait Kernel: Copy {
    /// The exits that the 64 rows from `codes` on leave the top of `tree` by.
    fn select<R: Real>(
        self,
        plan: &Plan<R>,
        tree: &PlanTree,
        codes: &[i8],
        scratch: &mut Scratch,
        exits: &mut Lanes,
    );
}

/// What merges are computed in: the exits' numbers, then the slots.
#[derive(Debug)]
pub(crate) struct Scratch {
    operands: Vec<Lanes>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let mut operands: Vec<Lanes> =
            (0..MAX_EXITS).map(|exit| Lanes([exit as u8; CHUNK])).collect();
        operands.resize(FIRST_SLOT + SLOTS, Lanes([0; CHUNK]));
        Self { operands }
    }
}

/// Trees whose nodes and leaves are kept in the cache while a block of rows passes.
const TREES_AT_ONCE: usize = 64;

/// Adds the leaves' values of all trees to `sums`: row `r` of group `g` is `sums[g * BLOCK + r]`.
#[inline(always)]
pub(crate) fn add_all<K: Kernel, R: Real>(
    kernel: K,
    plan: &Plan<R>,
    codes: &[i8],
    rows: usize,
    scratch: &mut Scratch,
    sums: &mut [R],
) {
    let mut exits = Lanes([0; CHUNK]);
    let mut places = [0_u32; CHUNK];
    for trees in plan.trees.chunks(TREES_AT_ONCE) {
        for chunk in 0..rows.div_ceil(CHUNK) {
            let codes = &codes[chunk * CHUNK..];
            for tree in trees {
                kernel.select(plan, tree, codes, scratch, &mut exits);
                let sums = &mut sums[tree.group * BLOCK + chunk * CHUNK..][..CHUNK];
                if tree.depth == 0 {
                    let leaves = &plan.leaves[tree.exits..];
                    for (sum, exit) in sums.iter_mut().zip(exits.0) {
                        *sum += leaves[exit as usize];
                    }
                } else {
                    walk(plan, tree, codes, &exits, &mut places);
                    for (sum, place) in sums.iter_mut().zip(places) {
                        *sum += plan.step_leaves[place as usize];
                    }
                }
            }
        }
    }
}

/// The leaves' numbers: those of row `r` begin at `out[r * trees]`.
pub(crate) fn leaf_ids<K: Kernel, R: Real>(
    kernel: K,
    plan: &Plan<R>,
    codes: &[i8],
    scratch: &mut Scratch,
    out: &mut [i32],
) {
    let mut exits = Lanes([0; CHUNK]);
    let mut places = [0_u32; CHUNK];
    let width = plan.trees.len();
    for (chunk, out) in out.chunks_mut(CHUNK * width.max(1)).enumerate() {
        let codes = &codes[chunk * CHUNK..];
        for (index, tree) in plan.trees.iter().enumerate() {
            kernel.select(plan, tree, codes, scratch, &mut exits);
            if tree.depth > 0 {
                walk(plan, tree, codes, &exits, &mut places);
            }
            for (row, out) in out.chunks_mut(width).enumerate() {
                out[index] = if tree.depth == 0 {
                    plan.leaf_ids[tree.exits + exits.0[row] as usize]
                } else {
                    plan.step_leaf_ids[places[row] as usize]
                };
            }
        }
    }
}

/// Follows the steps from the exits to the leaves.
#[inline(always)]
fn walk<R: Real>(
    plan: &Plan<R>,
    tree: &PlanTree,
    codes: &[i8],
    exits: &Lanes,
    places: &mut [u32; CHUNK],
) {
    let entries = &plan.entries[tree.exits..];
    for (place, exit) in places.iter_mut().zip(exits.0) {
        *place = entries[exit as usize];
    }
    for _ in 0..tree.depth {
        for (row, place) in places.iter_mut().enumerate() {
            let step = plan.steps[*place as usize];
            *place = step.next(codes[step.offset as usize + row]);
        }
    }
}
