//! Tree ensembles in our own kernels: XGBoost's and LightGBM's models, with nothing to install.

mod error;
mod model;

pub use error::TreesError;
pub use model::{TreeModel, TreeOptions};
