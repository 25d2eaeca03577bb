//! The plain predictor: one row, one tree, one node at a time. Every other predictor is tested
//! against it.

use crate::{
    Column, Dialect, Ensemble,
    ensemble::{Node, Tree},
};

/// The plain predictor of an ensemble.
#[derive(Debug)]
pub struct Reference<'a> {
    ensemble: &'a Ensemble,
}

impl<'a> Reference<'a> {
    /// The plain predictor of `ensemble`.
    #[must_use]
    pub fn new(ensemble: &'a Ensemble) -> Self {
        Self { ensemble }
    }

    /// The answers, row by row, [`Ensemble::outputs`] values each (or [`Ensemble::groups`] with
    /// `raw`, which leaves the link function out).
    ///
    /// # Panics
    /// If there are not as many columns as features, or not as many values as rows in each.
    #[must_use]
    pub fn predict(&self, columns: &[Column<'_>], rows: usize, raw: bool) -> Vec<f64> {
        assert_eq!(columns.len(), self.ensemble.features, "one column a feature");
        let mut answers = Vec::with_capacity(rows * self.ensemble.outputs());
        for row in 0..rows {
            match self.ensemble.dialect {
                Dialect::XgBoost => self.row_f32(columns, row, raw, &mut answers),
                Dialect::LightGbm => self.row_f64(columns, row, raw, &mut answers),
            }
        }
        answers
    }

    /// The numbers of the leaves that each row falls into, row by row, one a tree.
    #[must_use]
    pub fn leaves(&self, columns: &[Column<'_>], rows: usize) -> Vec<i32> {
        let trees = &self.ensemble.trees;
        let leaf = |row| trees.iter().map(move |tree| self.leaf(tree, columns, row).1);
        (0..rows).flat_map(leaf).collect()
    }

    fn row_f32(&self, columns: &[Column<'_>], row: usize, raw: bool, answers: &mut Vec<f64>) {
        let ensemble = self.ensemble;
        let mut sums: Vec<f32> = ensemble.base.iter().map(|base| *base as f32).collect();
        for tree in &ensemble.trees {
            sums[tree.group] += self.leaf(tree, columns, row).0 as f32;
        }
        let mut outputs = sums.len();
        if !raw {
            ensemble.link.apply_f32(&mut sums);
            outputs = ensemble.outputs();
        }
        answers.extend(sums[..outputs].iter().map(|sum| f64::from(*sum)));
    }

    fn row_f64(&self, columns: &[Column<'_>], row: usize, raw: bool, answers: &mut Vec<f64>) {
        let ensemble = self.ensemble;
        let mut sums = ensemble.base.clone();
        for tree in &ensemble.trees {
            sums[tree.group] += self.leaf(tree, columns, row).0;
        }
        let mut outputs = sums.len();
        if !raw {
            for sum in &mut sums {
                *sum /= ensemble.divisor;
            }
            ensemble.link.apply_f64(&mut sums);
            outputs = ensemble.outputs();
        }
        answers.extend_from_slice(&sums[..outputs]);
    }

    /// The value and the number of the leaf that `row` falls into.
    fn leaf(&self, tree: &Tree, columns: &[Column<'_>], row: usize) -> (f64, i32) {
        let mut node = 0;
        loop {
            match &tree.nodes[node] {
                Node::Leaf { value, id } => return (*value, *id),
                Node::Split { feature, test, left, right } => {
                    let value = columns[*feature as usize].value(row);
                    let is_left = test.is_left(value, self.ensemble.dialect);
                    node = if is_left { *left } else { *right } as usize;
                }
            }
        }
    }
}
