//! The batch-inference engine: scan, cut, invoke, isolate, join, write.

pub mod model;
pub mod records;
