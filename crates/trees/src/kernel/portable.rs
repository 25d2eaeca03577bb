//! The kernel for any processor.

use super::{CHUNK, Kernel, Lanes, Scratch, fixed};
use crate::plan::{FIRST_SLOT, Plan, PlanTree, Real, Top};

/// The kernel for any processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Portable;

impl Kernel for Portable {
    fn select<R: Real>(
        self,
        plan: &Plan<R>,
        tree: &PlanTree,
        codes: &[i8],
        scratch: &mut Scratch,
        exits: &mut Lanes,
    ) {
        match tree.top {
            Top::Complete { depth, first } => {
                let nodes = (1 << depth) - 1;
                let offsets = &plan.offsets[first..first + nodes];
                let limits = &plan.limits[first..first + nodes];
                descend(depth, offsets, limits, codes, exits);
            }
            Top::Merged { first, count } => {
                for merge in &plan.merges[first..first + count] {
                    let codes = codes[merge.offset as usize..].first_chunk().expect("64 rows");
                    let left = &scratch.operands[merge.left as usize].0;
                    let right = &scratch.operands[merge.right as usize].0;
                    let merged = either(codes, merge.limit, left, right);
                    scratch.operands[merge.out as usize].0 = merged;
                }
                *exits = if count == 0 { Lanes([0; CHUNK]) } else { scratch.operands[FIRST_SLOT] };
            }
        }
    }

    fn walk<R: Real>(
        self,
        plan: &Plan<R>,
        tree: &PlanTree,
        codes: &[i8],
        exits: &Lanes,
        places: &mut [u32; CHUNK],
    ) {
        let entries = fixed(&plan.entries, tree.exits);
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
}

/// Row by row what is on the left if the code is below the limit, else what is on the right. Without
/// branches, so that the compiler makes of it whatever SIMD there is.
fn either(codes: &[i8; CHUNK], limit: i8, left: &[u8; CHUNK], right: &[u8; CHUNK]) -> [u8; CHUNK] {
    std::array::from_fn(|row| {
        let is_left = u8::from(codes[row] < limit).wrapping_neg();
        (left[row] & is_left) | (right[row] & !is_left)
    })
}

/// The exits of a complete tree, level by level.
fn descend(depth: usize, offsets: &[u32], limits: &[i8], codes: &[i8], exits: &mut Lanes) {
    let mut nodes = [0_u8; CHUNK];
    let mut first = 0;
    for level in 0..depth {
        let offsets = &offsets[first..first + (1 << level)];
        let limits = &limits[first..first + (1 << level)];
        for (row, node) in nodes.iter_mut().enumerate() {
            let right = codes[offsets[*node as usize] as usize + row] >= limits[*node as usize];
            *node = *node * 2 + u8::from(right);
        }
        first += 1 << level;
    }
    exits.0 = nodes;
}
