//! The kernel for x86-64 processors with AVX2: 64 rows in two registers.
#![expect(unsafe_code, reason = "loads from computed places; the safety comments say why in range")]

use std::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_blendv_epi8, _mm256_cmpgt_epi8, _mm256_load_si256,
    _mm256_loadu_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_store_si256,
};

use super::{CHUNK, Kernel, Lanes, Scratch, fixed};
use crate::codes::BLOCK;
use crate::plan::{FIRST_SLOT, Merge, Plan, PlanTree, Real, Top};

/// The proof that the processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The kernel, if this processor can run it.
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

impl Kernel for Avx2 {
    #[inline(always)]
    fn select<R: Real>(
        self,
        plan: &Plan<R>,
        tree: &PlanTree,
        codes: &[i8],
        scratch: &mut Scratch,
        exits: &mut Lanes,
    ) {
        assert!(codes.len() >= plan.book.size() - (BLOCK - CHUNK));
        match tree.top {
            Top::Complete { depth, first } => {
                let nodes = (1 << depth) - 1;
                let nodes = Nodes {
                    codes: codes.as_ptr(),
                    offsets: &plan.offsets[first..first + nodes],
                    limits: &plan.limits[first..first + nodes],
                };
                // SAFETY: AVX2 was detected. The offsets are those of the plan's own columns, and
                // `codes` was just found to hold 64 rows of each.
                let found = unsafe { complete(depth, nodes) };
                // SAFETY: as above.
                unsafe { store(found, exits) };
            }
            Top::Merged { first, count } => {
                let merges = &plan.merges[first..first + count];
                // SAFETY: AVX2 was detected. As to offsets, as above; operands are below
                // `FIRST_SLOT + SLOTS`, the length of `operands`.
                unsafe { merge_all(merges, codes.as_ptr(), &mut scratch.operands) };
                *exits = if count == 0 { Lanes([0; CHUNK]) } else { scratch.operands[FIRST_SLOT] };
            }
        }
    }

    #[inline(always)]
    fn walk<R: Real>(
        self,
        plan: &Plan<R>,
        tree: &PlanTree,
        codes: &[i8],
        exits: &Lanes,
        places: &mut [u32; CHUNK],
    ) {
        assert!(codes.len() >= plan.book.size() - (BLOCK - CHUNK));
        let entries = fixed(&plan.entries, tree.exits);
        for (place, exit) in places.iter_mut().zip(exits.0) {
            *place = entries[exit as usize];
        }
        for _ in 0..tree.depth {
            for (row, place) in places.iter_mut().enumerate() {
                // SAFETY: entries are steps, and so is whatever a step leads to. Its offset is that
                // of one of the plan's columns, of which `codes` was just found to hold 64 rows.
                *place = unsafe {
                    let step = *plan.steps.get_unchecked(*place as usize);
                    step.next(*codes.get_unchecked(step.offset as usize + row))
                };
            }
        }
    }
}

/// One byte a row.
type Pair = (__m256i, __m256i);

#[derive(Clone, Copy)]
struct Nodes<'a> {
    codes: *const i8,
    offsets: &'a [u32],
    limits: &'a [i8],
}

#[target_feature(enable = "avx2")]
unsafe fn store(pair: Pair, lanes: &mut Lanes) {
    let out = std::ptr::from_mut(lanes).cast::<__m256i>();
    // SAFETY: `Lanes` has 64 bytes, aligned to 64.
    unsafe {
        _mm256_store_si256(out, pair.0);
        _mm256_store_si256(out.add(1), pair.1);
    }
}

/// For the 64 rows, all ones where the code at `codes` is below `limit`.
#[expect(clippy::cast_ptr_alignment, reason = "the loads are those for any alignment")]
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn below(limit: i8, codes: *const i8) -> Pair {
    let limit = _mm256_set1_epi8(limit);
    let codes = codes.cast::<__m256i>();
    // SAFETY: the caller vouches for 64 bytes at `codes`.
    unsafe {
        (
            _mm256_cmpgt_epi8(limit, _mm256_loadu_si256(codes)),
            _mm256_cmpgt_epi8(limit, _mm256_loadu_si256(codes.add(1))),
        )
    }
}

/// For the 64 rows, all ones where node `index` is answered with "left".
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn ask(nodes: Nodes<'_>, index: usize) -> Pair {
    // SAFETY: the caller's `index` is within the nodes, whose offsets lie within the codes.
    unsafe {
        let offset = *nodes.offsets.get_unchecked(index);
        below(*nodes.limits.get_unchecked(index), nodes.codes.add(offset as usize))
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn either(left: Pair, right: Pair, is_left: Pair) -> Pair {
    (_mm256_blendv_epi8(right.0, left.0, is_left.0), _mm256_blendv_epi8(right.1, left.1, is_left.1))
}

/// The exits below node `$index` of level `$level`, which has so many levels below it.
macro_rules! below_node {
    ($nodes:ident, $depth:expr, $level:expr, $index:expr,) => {{
        // All ones is -1: added to the right exit, it gives the left one.
        let right = (($index) * 2 + 1) as u8 as i8;
        let is_left = ask($nodes, (1 << ($level)) - 1 + ($index));
        let right = _mm256_set1_epi8(right);
        (_mm256_add_epi8(right, is_left.0), _mm256_add_epi8(right, is_left.1))
    }};
    ($nodes:ident, $depth:expr, $level:expr, $index:expr, x $($rest:tt)*) => {{
        let left = below_node!($nodes, $depth, $level + 1, ($index) * 2, $($rest)*);
        let right = below_node!($nodes, $depth, $level + 1, ($index) * 2 + 1, $($rest)*);
        either(left, right, ask($nodes, (1 << ($level)) - 1 + ($index)))
    }};
}

macro_rules! complete_trees {
    ($($name:ident [$($levels:tt)*])*) => {
        $(
            #[target_feature(enable = "avx2")]
            unsafe fn $name(nodes: Nodes<'_>) -> Pair {
                // SAFETY: the caller vouches for the nodes of these levels.
                unsafe { below_node!(nodes, 0, 0, 0, $($levels)*) }
            }
        )*
    };
}

complete_trees! {
    complete_1 []
    complete_2 [x]
    complete_3 [x x]
    complete_4 [x x x]
    complete_5 [x x x x]
    complete_6 [x x x x x]
    complete_7 [x x x x x x]
    complete_8 [x x x x x x x]
}

/// The exits of a complete tree of `depth` levels.
#[target_feature(enable = "avx2")]
unsafe fn complete(depth: usize, nodes: Nodes<'_>) -> Pair {
    // SAFETY: the caller vouches for the nodes of `depth` levels.
    unsafe {
        match depth {
            0 => (_mm256_setzero_si256(), _mm256_setzero_si256()),
            1 => complete_1(nodes),
            2 => complete_2(nodes),
            3 => complete_3(nodes),
            4 => complete_4(nodes),
            5 => complete_5(nodes),
            6 => complete_6(nodes),
            7 => complete_7(nodes),
            8 => complete_8(nodes),
            _ => unreachable!("complete tops have at most 8 levels"),
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn merge_all(merges: &[Merge], codes: *const i8, operands: &mut [Lanes]) {
    let operands = operands.as_mut_ptr().cast::<__m256i>();
    for merge in merges {
        // SAFETY: the caller vouches for offsets and operands.
        unsafe {
            let is_left = below(merge.limit, codes.add(merge.offset as usize));
            let left = operands.add(merge.left as usize * 2);
            let right = operands.add(merge.right as usize * 2);
            let left = (_mm256_load_si256(left), _mm256_load_si256(left.add(1)));
            let right = (_mm256_load_si256(right), _mm256_load_si256(right.add(1)));
            let merged = either(left, right, is_left);
            let out = operands.add(merge.out as usize * 2);
            _mm256_store_si256(out, merged.0);
            _mm256_store_si256(out.add(1), merged.1);
        }
    }
}
