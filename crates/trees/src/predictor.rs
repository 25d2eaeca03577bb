//! The predictor: what callers hold.

use crate::{Column, Ensemble, Reference};

/// Scores rows with an ensemble. Made once, called from any number of threads.
#[derive(Debug)]
pub struct Predictor {
    ensemble: Ensemble,
}

/// A number that answers are written as.
pub trait Score: Copy + Send + sealed::Sealed {
    /// From a `float64`.
    fn from_f64(value: f64) -> Self;
}

impl Score for f32 {
    fn from_f64(value: f64) -> Self {
        value as Self
    }
}

impl Score for f64 {
    fn from_f64(value: f64) -> Self {
        value
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Predictor {
    /// The predictor of `ensemble`.
    #[must_use]
    pub fn new(ensemble: Ensemble) -> Self {
        Self { ensemble }
    }

    /// What is predicted with.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// Writes the answers to `out`, row by row, [`Ensemble::outputs`] values each; with `raw` the
    /// sums themselves, [`Ensemble::groups`] values each.
    ///
    /// # Panics
    /// If there are not as many columns as features, if they differ in length, or if `out` has not
    /// the length of the answers.
    pub fn predict<T: Score>(&self, columns: &[Column<'_>], raw: bool, out: &mut [T]) {
        let rows = columns.first().map_or(0, Column::len);
        let answers = Reference::new(&self.ensemble).predict(columns, rows, raw);
        assert_eq!(out.len(), answers.len());
        for (score, answer) in out.iter_mut().zip(answers) {
            *score = T::from_f64(answer);
        }
    }

    /// Writes the numbers of the leaves that the rows fall into to `out`, row by row, one a tree.
    ///
    /// # Panics
    /// As [`Predictor::predict`].
    pub fn leaves(&self, columns: &[Column<'_>], out: &mut [i32]) {
        let rows = columns.first().map_or(0, Column::len);
        out.copy_from_slice(&Reference::new(&self.ensemble).leaves(columns, rows));
    }
}
