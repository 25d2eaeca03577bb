//! What every target does with a model that its reader lets through: score some rows by every kernel,
//! and hold them to the plain predictor.

use bessemer_trees::{Column, Ensemble, Predictor, Reference};

/// Rows that are scored: more than a kernel does at once.
const ROWS: usize = 70;

/// Models that would take longer than this many leaf look-ups are only read.
const MOST_WORK: usize = 1 << 16;

/// Values that thresholds and categories are likely to lie at or between.
const VALUES: [f32; 14] = [
    f32::NAN,
    0.0,
    -0.0,
    0.5,
    1.0,
    2.0,
    -1.5,
    7.0,
    1e-36,
    1e30,
    -1e30,
    f32::INFINITY,
    f32::NEG_INFINITY,
    33.0,
];

/// Rows of `features` features, column by column.
#[must_use]
pub fn columns(features: usize) -> Vec<Vec<f32>> {
    let value =
        |feature: usize, row: usize| VALUES[(row * (feature % 11 + 1) + feature) % VALUES.len()];
    (0..features).map(|feature| (0..ROWS).map(|row| value(feature, row)).collect()).collect()
}

/// Whether a model is small enough to score.
#[must_use]
pub fn is_small(ensemble: &Ensemble) -> bool {
    (ensemble.trees() + ensemble.features() + ensemble.groups()) * ROWS <= MOST_WORK
}

/// Scores some rows with `ensemble` by all predictors.
///
/// # Panics
/// If they differ.
pub fn check(ensemble: &Ensemble) {
    if !is_small(ensemble) {
        return;
    }
    let values = columns(ensemble.features());
    let columns: Vec<Column<'_>> = values.iter().map(|values| Column::F32(values)).collect();
    let reference = Reference::new(ensemble);
    // Without columns nobody knows how many rows there are.
    let rows = if columns.is_empty() { 0 } else { ROWS };
    for raw in [false, true] {
        let expected = reference.predict(&columns, rows, raw);
        for predictor in [Predictor::new(ensemble.clone()), Predictor::portable(ensemble.clone())] {
            let mut found = vec![0.0_f64; expected.len()];
            predictor.predict(&columns, raw, &mut found);
            let same = |(found, expected): (&f64, &f64)| {
                found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan()
            };
            assert!(found.iter().zip(&expected).all(same), "{found:?} for {expected:?}");
        }
    }
    let expected = reference.leaves(&columns, rows);
    for predictor in [Predictor::new(ensemble.clone()), Predictor::portable(ensemble.clone())] {
        let mut found = vec![0; expected.len()];
        predictor.leaves(&columns, &mut found);
        assert_eq!(found, expected);
    }
}
