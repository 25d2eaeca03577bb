//! What runs the attempts at jobs, one module a kind.

pub(crate) mod batch;
pub(crate) mod container;
pub(crate) mod processing;
pub(crate) mod training;
pub(crate) mod transform;
