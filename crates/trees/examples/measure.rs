//! Scores a file of columns with a tree model, for tests.
//!
//! `measure score MODEL COLUMNS OUT answers|raw|leaves` writes what the model answers.
//! COLUMNS holds raw little-endian `float32` values (`float64` if the name ends in `.f64`), one
//! feature after the other; OUT gets `float32` for XGBoost and `float64` for LightGBM, row by row,
//! or `int32` leaves.

use std::{env, fs, path::Path};

use bessemer_trees::{Column, Dialect, Ensemble, Predictor};

enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let ["score", model, columns, out, kind] =
        &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        panic!("measure score MODEL COLUMNS OUT KIND");
    };
    let bytes = fs::read(model).expect("the model can be read");
    let ensemble = Ensemble::read(&bytes).unwrap_or_else(|error| panic!("{error}: {error:?}"));
    let predictor = Predictor::new(ensemble);
    let values = values(columns);
    let rows = match &values {
        Values::F32(values) => values.len() / predictor.ensemble().features(),
        Values::F64(values) => values.len() / predictor.ensemble().features(),
    };
    score(&predictor, &values, rows, out, kind);
}

fn values(path: &str) -> Values {
    let bytes = fs::read(path).expect("the columns can be read");
    if Path::new(path).extension().is_some_and(|extension| extension == "f64") {
        let (values, _) = bytes.as_chunks();
        return Values::F64(values.iter().map(|value| f64::from_le_bytes(*value)).collect());
    }
    let (values, _) = bytes.as_chunks();
    Values::F32(values.iter().map(|value| f32::from_le_bytes(*value)).collect())
}

fn score(predictor: &Predictor, values: &Values, rows: usize, out: &str, kind: &str) {
    let columns: Vec<_> = match values {
        Values::F32(values) => values.chunks(rows.max(1)).map(Column::F32).collect(),
        Values::F64(values) => values.chunks(rows.max(1)).map(Column::F64).collect(),
    };
    let ensemble = predictor.ensemble();
    let raw = kind == "raw";
    let width = if raw { ensemble.groups() } else { ensemble.outputs() };
    let bytes: Vec<u8> = match (kind, ensemble.dialect()) {
        ("leaves", _) => {
            let mut leaves = vec![0_i32; rows * ensemble.trees()];
            predictor.leaves(&columns, &mut leaves);
            leaves.iter().flat_map(|leaf| leaf.to_le_bytes()).collect()
        }
        (_, Dialect::XgBoost) => {
            let mut scores = vec![0_f32; rows * width];
            predictor.predict(&columns, raw, &mut scores);
            scores.iter().flat_map(|score| score.to_le_bytes()).collect()
        }
        (_, Dialect::LightGbm) => {
            let mut scores = vec![0_f64; rows * width];
            predictor.predict(&columns, raw, &mut scores);
            scores.iter().flat_map(|score| score.to_le_bytes()).collect()
        }
    };
    fs::write(out, bytes).expect("the answers can be written");
}
