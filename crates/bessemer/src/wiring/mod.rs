//! Puts commands, models and the engine together.

pub(crate) mod data;
pub(crate) mod functions;
pub(crate) mod model;
pub(crate) mod signals;
pub(crate) mod storage;

pub(crate) use model::{LoadedModel, load_model, load_payload_model};
