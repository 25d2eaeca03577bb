//! The documents that models are written in, as a tree of values: JSON as XGBoost writes it (with
//! `NaN` and `Infinity`) and UBJSON. Arrays of numbers stay packed, since they are nearly all of a
//! model.

mod json;
mod ubjson;
mod value;

pub(crate) use json::parse_json;
pub(crate) use ubjson::parse_ubjson;
pub(crate) use value::{At, Value};

/// Values may nest this deep; models need eight levels.
const MAX_DEPTH: usize = 64;

/// A text or a byte sequence that is no well-formed document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct SyntaxError {
    /// Where, from the start of the file.
    pub offset: usize,
    /// What is wrong there.
    pub message: String,
}
