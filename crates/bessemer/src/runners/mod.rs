//! What runs the attempts at jobs, one module a kind.

pub(crate) mod transform;
