//! The batch-inference engine: scan, cut, invoke, isolate, join, write.

pub mod answers;
pub mod filter;
pub mod model;
pub mod records;
pub mod text;
