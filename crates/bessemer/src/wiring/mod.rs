//! Puts commands, models and the engine together.

mod model;
pub(crate) mod signals;

pub(crate) use model::load_model;
