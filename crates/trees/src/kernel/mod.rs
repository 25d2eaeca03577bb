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

    /// The steps that the 64 rows end at which leave the top of `tree` by `exits`.
    fn walk<R: Real>(
        self,
        plan: &Plan<R>,
        tree: &PlanTree,
        codes: &[i8],
        exits: &Lanes,
        places: &mut [u32; CHUNK],
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
    let mut exits = [Lanes([0; CHUNK]); TOGETHER];
    let mut places = [0_u32; CHUNK];
    for trees in plan.trees.chunk_by(|one, next| one.group == next.group) {
        for trees in trees.chunks(TREES_AT_ONCE) {
            let sums = &mut sums[trees[0].group * BLOCK..][..BLOCK];
            for (chunk, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
                if chunk * CHUNK >= rows {
                    break;
                }
                let codes = &codes[chunk * CHUNK..];
                let (together, rest) = trees.as_chunks::<TOGETHER>();
                for trees in together {
                    for (tree, exits) in trees.iter().zip(&mut exits) {
                        kernel.select(plan, tree, codes, scratch, exits);
                    }
                    if trees.iter().all(|tree| tree.depth == 0) {
                        add_together(plan, trees, &exits, sums);
                    } else {
                        for (tree, exits) in trees.iter().zip(&exits) {
                            add_one(kernel, plan, tree, codes, exits, &mut places, sums);
                        }
                    }
                }
                for tree in rest {
                    kernel.select(plan, tree, codes, scratch, &mut exits[0]);
                    add_one(kernel, plan, tree, codes, &exits[0], &mut places, sums);
                }
            }
        }
    }
}

/// Trees whose leaves are added to a sum while it is in a register.
const TOGETHER: usize = 4;

/// Adds the leaves of several trees that have nothing to walk.
#[inline(always)]
fn add_together<R: Real>(
    plan: &Plan<R>,
    trees: &[PlanTree; TOGETHER],
    exits: &[Lanes; TOGETHER],
    sums: &mut [R; CHUNK],
) {
    let leaves = trees.map(|tree| fixed(&plan.leaves, tree.exits));
    for (row, sum) in sums.iter_mut().enumerate() {
        let mut total = *sum;
        for (leaves, exits) in leaves.iter().zip(exits) {
            total += leaves[exits.0[row] as usize];
        }
        *sum = total;
    }
}

/// Adds the leaves of one tree.
#[inline(always)]
fn add_one<K: Kernel, R: Real>(
    kernel: K,
    plan: &Plan<R>,
    tree: &PlanTree,
    codes: &[i8],
    exits: &Lanes,
    places: &mut [u32; CHUNK],
    sums: &mut [R; CHUNK],
) {
    if tree.depth == 0 {
        let leaves = fixed(&plan.leaves, tree.exits);
        for (sum, exit) in sums.iter_mut().zip(exits.0) {
            *sum += leaves[exit as usize];
        }
        return;
    }
    kernel.walk(plan, tree, codes, exits, places);
    for (sum, place) in sums.iter_mut().zip(places) {
        *sum += plan.step_leaves[*place as usize];
    }
}

/// What a byte may index, from `first` on.
#[inline(always)]
fn fixed<T>(values: &[T], first: usize) -> &[T; MAX_EXITS] {
    values[first..].first_chunk().expect("the lists are padded")
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
        for tree in &plan.trees {
            kernel.select(plan, tree, codes, scratch, &mut exits);
            if tree.depth > 0 {
                kernel.walk(plan, tree, codes, &exits, &mut places);
            }
            for (row, out) in out.chunks_mut(width).enumerate() {
                out[tree.index] = if tree.depth == 0 {
                    plan.leaf_ids[tree.exits + exits.0[row] as usize]
                } else {
                    plan.step_leaf_ids[places[row] as usize]
                };
            }
        }
    }
}
