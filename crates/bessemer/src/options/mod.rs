//! Command-line options that several commands share.

mod engine;
mod model;

pub(crate) use engine::{EngineOptions, cores};
pub(crate) use model::{BatchStrategy, ModelOptions, OnnxEngine};
