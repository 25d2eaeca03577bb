//! Scores a file of columns with a tree model, for tests and benchmarks.
//!
//! `measure score MODEL COLUMNS OUT answers|raw|leaves` writes what the model answers.
//! `measure time MODEL COLUMNS THREADS REPEATS` prints the rows a second of each repeat; with
//! `time-portable` in the place of `time`, those of the portable kernel.
//! COLUMNS holds raw little-endian `float32` values (`float64` if the name ends in `.f64`), one
//! feature after the other; OUT gets `float32` for XGBoost and `float64` for LightGBM, row by row,
//! or `int32` leaves.
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

use std::{env, fs, path::Path, thread, time::Instant};

use bessemer_trees::{Column, Dialect, Ensemble, Predictor, Score};

enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [verb, model, columns, third, fourth] = &arguments[..] else {
        panic!("measure score MODEL COLUMNS OUT KIND | measure time MODEL COLUMNS THREADS REPEATS");
    };
    let bytes = fs::read(model).expect("the model can be read");
    let started = Instant::now();
    let ensemble = Ensemble::read(&bytes).unwrap_or_else(|error| panic!("{error}: {error:?}"));
    let predictor = if verb == "time-portable" {
        Predictor::portable(ensemble)
    } else {
        Predictor::new(ensemble)
    };
    let loading = started.elapsed();
    let values = values(columns);
    let rows = match &values {
        Values::F32(values) => values.len() / predictor.ensemble().features(),
        Values::F64(values) => values.len() / predictor.ensemble().features(),
    };
    if verb == "score" {
        score(&predictor, &values, rows, third, fourth);
        return;
    }
    let threads: usize = third.parse().expect("a count of threads");
    let repeats: usize = fourth.parse().expect("a count of repeats");
    println!("load_ms {:.1}", loading.as_secs_f64() * 1e3);
    for _ in 0..repeats {
        let started = Instant::now();
        match predictor.ensemble().dialect() {
            Dialect::XgBoost => run::<f32>(&predictor, &values, rows, threads),
            Dialect::LightGbm => run::<f64>(&predictor, &values, rows, threads),
        }
        println!("rows_per_second {:.0}", rows as f64 / started.elapsed().as_secs_f64());
    }
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

/// The rows `from..from + count` of all columns of `rows` values.
fn block(values: &Values, rows: usize, from: usize, count: usize) -> Vec<Column<'_>> {
    match values {
        Values::F32(values) => values
            .chunks(rows.max(1))
            .map(|column| Column::F32(&column[from..from + count]))
            .collect(),
        Values::F64(values) => values
            .chunks(rows.max(1))
            .map(|column| Column::F64(&column[from..from + count]))
            .collect(),
    }
}

fn run<T: Score + Default>(predictor: &Predictor, values: &Values, rows: usize, threads: usize) {
    let width = predictor.ensemble().outputs();
    let mut out = vec![T::default(); rows * width];
    let part = rows.div_ceil(threads);
    thread::scope(|scope| {
        for (index, out) in out.chunks_mut(part * width).enumerate() {
            scope.spawn(move || {
                let columns = block(values, rows, index * part, out.len() / width);
                predictor.predict(&columns, false, out);
            });
        }
    });
}

fn score(predictor: &Predictor, values: &Values, rows: usize, out: &str, kind: &str) {
    let columns = block(values, rows, 0, rows);
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
