//! Puts commands, models and the engine together.

pub(crate) mod data;
mod model;
pub(crate) mod signals;

pub(crate) use model::{LoadedModel, cache_dir, load_model, load_payload_model};
