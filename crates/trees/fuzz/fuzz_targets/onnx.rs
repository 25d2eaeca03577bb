//! The reader of ONNX models.
#![no_main]

use bessemer_trees::onnx::{InputType, OnnxColumn, OnnxTrees};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = OnnxTrees::read(bytes) else { return };
    bessemer_trees_fuzz::check(model.ensemble());
    let least = model.ensemble().features().max(1);
    let inputs = model.inputs().to_vec();
    let widths: Vec<usize> = inputs.iter().map(|input| input.width.unwrap_or(least)).collect();
    if widths.iter().sum::<usize>() > 1 << 10 || !bessemer_trees_fuzz::is_small(model.ensemble()) {
        return;
    }
    let Ok(predictor) = model.predictor(&widths) else { return };
    let values = bessemer_trees_fuzz::columns(widths.iter().sum());
    let wide: Vec<Vec<f64>> = values
        .iter()
        .map(|column| column.iter().map(|value| f64::from(*value)).collect())
        .collect();
    let whole: Vec<Vec<i64>> =
        values.iter().map(|column| column.iter().map(|value| *value as i64).collect()).collect();
    let mut columns = Vec::new();
    for (input, width) in inputs.iter().zip(&widths) {
        for _ in 0..*width {
            let at = columns.len();
            columns.push(match input.r#type {
                InputType::Float => OnnxColumn::F32(&values[at]),
                InputType::Double => OnnxColumn::F64(&wide[at]),
                InputType::Int64 => OnnxColumn::I64(&whole[at]),
            });
        }
    }
    let rows = values.first().map_or(0, Vec::len);
    let answers = predictor.score(&columns, rows);
    let classes = predictor.labels().map_or(0, |labels| labels.len());
    assert!(answers.labels.iter().all(|label| (*label as usize) < classes));
});
