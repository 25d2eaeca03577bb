//! Ensembles of decision trees: readers for the models that XGBoost and LightGBM write and for the
//! trees in ONNX models, and predictors that answer what those libraries and ONNX Runtime answer, from
//! columns, several times faster.
//!
//! A model file becomes an [`Ensemble`], checked node by node: whatever holds an `Ensemble` may
//! trust its trees to be finite, acyclic and within the features. A `Predictor` is made from it once
//! and called from many threads.

mod codes;
mod document;
mod ensemble;
mod kernel;
mod link;
pub mod onnx;
mod plan;
mod predictor;
pub mod protobuf;
mod read;
mod reference;
#[cfg(test)]
mod tests;

pub use ensemble::{Dialect, Ensemble};
pub use predictor::{Predictor, Score};
pub use read::{Format, ReadError};
pub use reference::Reference;

/// The values of one feature, one a row.
#[derive(Debug, Clone, Copy)]
pub enum Column<'a> {
    /// `NaN` is "missing".
    F32(&'a [f32]),
    /// `NaN` is "missing".
    F64(&'a [f64]),
}

impl Column<'_> {
    /// How many rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of row `row`.
    pub(crate) fn value(&self, row: usize) -> f64 {
        match self {
            Self::F32(values) => f64::from(values[row]),
            Self::F64(values) => values[row],
        }
    }

    /// The rows `from..from + count`.
    pub(crate) fn rows(self, from: usize, count: usize) -> Self {
        match self {
            Self::F32(values) => Self::F32(&values[from..from + count]),
            Self::F64(values) => Self::F64(&values[from..from + count]),
        }
    }
}
