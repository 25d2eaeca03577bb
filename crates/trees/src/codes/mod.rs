//! Feature values as one-byte codes.
//!
//! A node asks only on which side of its threshold a value lies, so a value may be replaced by its
//! rank among the thresholds of its feature: the node's question becomes a comparison of bytes, of
//! which one instruction does 32. Values are ranked once a block of rows, however many trees ask.
//!
//! One feature may need several columns of codes: one for each 255 thresholds (a rank past the end
//! of its 255 is cut to it, which changes no comparison), and one for each side to which nodes send
//! missing values (rank 0 is left of every threshold, rank 255 right of every one). A set of
//! categories has a column of its own, of ranks 0 and 255. Thus nothing that a node can ask needs
//! more than `code < limit`.

mod book;
mod ruler;

pub(crate) use book::{CodeBook, Question};

/// Rows that are coded at once.
pub(crate) const BLOCK: usize = 512;

/// Bytes from one column of codes to the next. Not a power of two, so that the same rows of many
/// columns don't fall into the same cache set.
pub(crate) const STRIDE: usize = BLOCK + 64;

/// The column whose codes are all 0, for nodes that ask nothing.
pub(crate) const ZERO_COLUMN: usize = 0;

/// Thresholds that one column of codes can tell apart.
const THRESHOLDS: usize = 255;
