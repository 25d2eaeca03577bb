//! Answers beside those of the libraries that wrote the models (see `python/fixtures.py`).

use std::{fs, path::PathBuf};

use bessemer_trees::{Column, Dialect, Ensemble, Predictor};

const ROWS: usize = 48;

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn f32s(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes))).collect()
}

fn f64s(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
}

fn i32s(bytes: &[u8]) -> Vec<i32> {
    bytes.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect()
}

/// Checks one predictor against what the library said.
fn check(predictor: &Predictor, columns: &[Column<'_>], expected: &[u8]) {
    let ensemble = predictor.ensemble();
    let numbers = if ensemble.dialect() == Dialect::XgBoost { f32s } else { f64s };
    let size = if ensemble.dialect() == Dialect::XgBoost { 4 } else { 8 };
    let (answers, rest) = expected.split_at(ROWS * ensemble.outputs() * size);
    let (raw, leaves) = rest.split_at(ROWS * ensemble.groups() * size);

    let mut found = vec![0_f64; ROWS * ensemble.outputs()];
    predictor.predict(columns, false, &mut found);
    for (found, expected) in found.iter().zip(numbers(answers)) {
        assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{found} is not {expected}");
    }
    let mut found = vec![0_f64; ROWS * ensemble.groups()];
    predictor.predict(columns, true, &mut found);
    assert_eq!(found, numbers(raw));
    let mut found = vec![0; ROWS * ensemble.trees()];
    predictor.leaves(columns, &mut found);
    assert_eq!(found, i32s(leaves));
}

fn check_fixture(name: &str) {
    let bytes = fixture(name);
    let stem = name.split('.').next().expect("a name has a part before the dot");
    let expected = fixture(&format!("{stem}.expected"));
    let ensemble = Ensemble::read(&bytes).expect("the fixture is a model");
    assert_eq!(ensemble.feature_names().map(<[String]>::len), Some(6));
    let values: Vec<f32> = f32s(&fixture("rows.f32")).iter().map(|value| *value as f32).collect();
    let columns: Vec<Column<'_>> = values.chunks(ROWS).map(Column::F32).collect();
    check(&Predictor::new(ensemble.clone()), &columns, &expected);
    check(&Predictor::portable(ensemble.clone()), &columns, &expected);
    let values: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
    let columns: Vec<Column<'_>> = values.chunks(ROWS).map(Column::F64).collect();
    check(&Predictor::new(ensemble), &columns, &expected);
}

macro_rules! fixtures {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                check_fixture($name);
            }
        )*
    };
}

fixtures! {
    xgboost_logistic_with_categories: "logistic.json",
    xgboost_classes_in_ubjson: "classes.ubj",
    xgboost_dart: "dart.json",
    xgboost_gamma_with_sets_of_categories: "gamma.ubj",
    xgboost_deep_trees: "deep.ubj",
    lightgbm_binary_with_a_sigmoid_scale: "binary.txt",
    lightgbm_zero_as_missing_and_square_roots: "zeros.txt",
    lightgbm_classes_without_missing_values: "multiclass.txt",
    lightgbm_random_forest: "forest.txt",
}

/// Any prefix of a model is refused, and nothing panics.
#[test]
fn truncated_models_are_refused() {
    for name in ["classes.ubj", "gamma.ubj", "dart.json", "binary.txt"] {
        let bytes = fixture(name);
        let text_end = bytes.windows(12).position(|part| part == b"end of trees");
        for length in (0..text_end.unwrap_or(bytes.len())).step_by(7) {
            assert!(Ensemble::read(&bytes[..length]).is_err(), "{name} cut to {length}");
        }
    }
}

/// Whatever single byte is changed, there is an error or a model that predicts without a panic.
#[test]
fn changed_bytes_never_panic() {
    let rows = vec![0.5_f32; 3];
    for name in ["classes.ubj", "dart.json", "binary.txt", "multiclass.txt"] {
        let mut bytes = fixture(name);
        for at in (0..bytes.len()).step_by(11) {
            let original = bytes[at];
            for change in [b'9', b'-', 0xff, original ^ 1, original ^ 0x80] {
                bytes[at] = change;
                if let Ok(ensemble) = Ensemble::read(&bytes)
                    && ensemble.features() < 100
                {
                    let columns = vec![Column::F32(&rows); ensemble.features()];
                    let mut out = vec![0_f32; 3 * ensemble.groups()];
                    Predictor::new(ensemble).predict(&columns, true, &mut out);
                }
            }
            bytes[at] = original;
        }
    }
}
