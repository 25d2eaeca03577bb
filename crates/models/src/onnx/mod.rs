//! ONNX models in process: trees in our own kernels, all else through ONNX Runtime.
//!
//! - [`runtime`] finds the ONNX Runtime library, or installs it, and loads it once.
//! - `model_file` reads what the engine needs to know from the model itself, and edits it: class
//!   probabilities become a tensor (no `ZipMap`), outputs that nobody asked for go.
//! - `inputs` turns Arrow columns into tensors, `outputs` turns tensors into Arrow columns.
//! - `sessions` holds one session for each call that runs at once.
//! - [`OnnxModel`] puts them together; [`OnnxTreeModel`] is what needs none of it.
//! - [`open_model`] chooses between the two.

mod buffer;
mod error;
mod inputs;
mod model;
mod model_file;
mod outputs;
pub mod runtime;
mod sessions;
mod trees;

pub use error::OnnxError;
pub use model::{OnnxModel, OnnxOptions};
pub(crate) use model_file::looks_like_onnx;
pub use trees::{OnnxTreeModel, open_model};
