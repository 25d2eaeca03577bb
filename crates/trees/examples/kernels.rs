//! Our side of `cargo xtask bench trees`: scores columns that are in memory, as often as it is told.
//!
//! `kernels MODEL COLUMNS ANSWERS` reads a model and COLUMNS (raw little-endian `float32` values,
//! one feature after the other), scores them once and writes the answers to ANSWERS (`float32` for
//! XGBoost, `float64` for LightGBM, row by row). Then, for each line `THREADS` or `THREADS portable`
//! of its input, it scores them anew, on so many threads, and prints the seconds that took.
#![expect(clippy::print_stdout, reason = "this is what the program is for")]

use std::{env, fs, io, thread, time::Instant};

use bessemer_trees::{Column, Dialect, Ensemble, Predictor, Score};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [model, columns, answers] = &arguments[..] else { panic!("kernels MODEL COLUMNS ANSWERS") };
    let bytes = fs::read(model).expect("the model can be read");
    let read = || Ensemble::read(&bytes).unwrap_or_else(|error| panic!("{error}: {error:?}"));
    let (best, portable) = (Predictor::new(read()), Predictor::portable(read()));
    let bytes = fs::read(columns).expect("the columns can be read");
    let values: Vec<f32> =
        bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    let dialect = best.ensemble().dialect();

    let bytes: Vec<u8> = match dialect {
        Dialect::XgBoost => {
            score::<f32>(&best, &values, 1).iter().flat_map(|v| v.to_le_bytes()).collect()
        }
        Dialect::LightGbm => {
            score::<f64>(&best, &values, 1).iter().flat_map(|v| v.to_le_bytes()).collect()
        }
    };
    fs::write(answers, bytes).expect("the answers can be written");

    for line in io::stdin().lines() {
        let line = line.expect("the input is text");
        let (threads, predictor) = match line.split_once(' ') {
            Some((threads, "portable")) => (threads, &portable),
            _ => (line.as_str(), &best),
        };
        let threads = threads.parse().expect("a line holds a count of threads");
        let started = Instant::now();
        match dialect {
            Dialect::XgBoost => drop(score::<f32>(predictor, &values, threads)),
            Dialect::LightGbm => drop(score::<f64>(predictor, &values, threads)),
        }
        println!("{}", started.elapsed().as_secs_f64());
    }
}

/// The answers for all rows of `values`, each thread scoring an equal part.
fn score<T: Score + Default>(predictor: &Predictor, values: &[f32], threads: usize) -> Vec<T> {
    let rows = values.len() / predictor.ensemble().features();
    let width = predictor.ensemble().outputs();
    let mut answers = vec![T::default(); rows * width];
    let part = rows.div_ceil(threads);
    thread::scope(|scope| {
        for (index, answers) in answers.chunks_mut(part * width).enumerate() {
            scope.spawn(move || {
                let taken = index * part..index * part + answers.len() / width;
                let columns: Vec<_> =
                    values.chunks(rows).map(|column| Column::F32(&column[taken.clone()])).collect();
                predictor.predict(&columns, false, answers);
            });
        }
    });
    answers
}
