//! ONNX models against ONNX Runtime's own answers (`fixtures/make_onnx.py`).
//!
//! Needs the ONNX Runtime library: `BESSEMER_ONNXRUNTIME` names it (`cargo xtask test` sets it).

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array, StringArray, new_null_array},
    compute::cast,
    datatypes::{DataType, Field, Float64Type, Int64Type, Schema},
    json::ReaderBuilder,
    record_batch::RecordBatch,
};
use bessemer_domain::{ExitCode, RejectClass};
use bessemer_models::onnx::{OnnxError, OnnxModel, OnnxOptions};
use bessemer_transform::{
    model::{Answer, CallError, CallErrorKind, Model, Wants},
    records::Records,
};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)
}

fn options() -> OnnxOptions {
    let library = std::env::var_os("BESSEMER_ONNXRUNTIME").map(PathBuf::from).expect(
        "set BESSEMER_ONNXRUNTIME to a libonnxruntime.so, or run the tests with `cargo xtask test`",
    );
    OnnxOptions { threads: 2, library: Some(library), ..OnnxOptions::default() }
}

fn open(name: &str, options: &OnnxOptions) -> Result<OnnxModel, OnnxError> {
    OnnxModel::open(&fixture(name), options)
}

/// What stands in `NAME.json`.
struct Case {
    inputs: Vec<(String, Vec<Value>)>,
    outputs: Vec<(String, Vec<Value>)>,
}

impl Case {
    fn read(name: &str) -> Self {
        let text = fs::read(fixture(&format!("{name}.json"))).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        let columns = |key: &str| {
            let columns = json[key].as_object().unwrap().iter();
            columns
                .map(|(name, values)| (name.clone(), values.as_array().unwrap().clone()))
                .collect()
        };
        Self { inputs: columns("inputs"), outputs: columns("outputs") }
    }

    /// The inputs as the engine would give them to `model`.
    fn records(&self, model: &OnnxModel) -> RecordBatch {
        let Wants::Features(features) = model.wants() else { panic!("wants features") };
        assert_eq!(features.len(), self.inputs.len());
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (feature, (name, values)) in features.iter().zip(&self.inputs) {
            if let Some(feature_name) = &feature.name {
                assert_eq!(feature_name, name);
            }
            fields.push(Field::new(name, feature.data_type.clone(), true));
            columns.push(array(values, &feature.data_type));
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }
}

fn array(values: &[Value], data_type: &DataType) -> ArrayRef {
    let schema = Arc::new(Schema::new(vec![Field::new("value", data_type.clone(), true)]));
    let mut decoder =
        ReaderBuilder::new(schema).with_batch_size(values.len()).build_decoder().unwrap();
    let rows: Vec<Value> =
        values.iter().map(|value| serde_json::json!({ "value": value })).collect();
    decoder.serialize(&rows).unwrap();
    Arc::clone(decoder.flush().unwrap().unwrap().column(0))
}

fn call(model: &OnnxModel, batch: &RecordBatch) -> Result<RecordBatch, CallError> {
    match model.call(&Records::Columns(batch.clone()))? {
        Answer::Columns(batch) => Ok(batch),
        Answer::Json(_) => panic!("answers columns"),
    }
}

/// Asserts that `answer` holds the expected columns; floats to 1e-6.
fn assert_answer(answer: &RecordBatch, expected: &[(String, Vec<Value>)]) {
    let names: Vec<_> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let schema = answer.schema();
    let found: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(found, names);
    for (column, (name, values)) in answer.columns().iter().zip(expected) {
        assert_eq!(column.len(), values.len(), "{name}");
        for (row, value) in values.iter().enumerate() {
            assert_cell(column, row, value, name);
        }
    }
}

fn assert_cell(column: &ArrayRef, row: usize, expected: &Value, name: &str) {
    match column.data_type() {
        DataType::Utf8 => {
            assert_eq!(column.as_string::<i32>().value(row), expected, "{name} {row}");
        }
        DataType::Boolean => assert_eq!(column.as_boolean().value(row), *expected, "{name} {row}"),
        DataType::FixedSizeList(..) => {
            let items = column.as_fixed_size_list().value(row);
            let expected = expected.as_array().unwrap();
            assert_eq!(items.len(), expected.len(), "{name} {row}");
            for (at, value) in expected.iter().enumerate() {
                assert_cell(&items, at, value, name);
            }
        }
        _ => {
            let found = cast(column, &DataType::Float64).unwrap();
            let found = found.as_primitive::<Float64Type>().value(row);
            let expected = expected.as_f64().unwrap_or(f64::NAN);
            let equal = (found - expected).abs() <= 1e-6 * expected.abs().max(1.0);
            assert!(
                equal || (found.is_nan() && expected.is_nan()),
                "{name} {row}: {found} {expected}"
            );
        }
    }
}

/// Runs a fixture whole and cut in pieces, and repeated beyond the length of a run.
fn check(name: &str, options: &OnnxOptions) -> OnnxModel {
    let model = open(&format!("{name}.onnx"), options).unwrap();
    let case = Case::read(name);
    let batch = case.records(&model);
    let answer = call(&model, &batch).unwrap();
    assert_answer(&answer, &case.outputs);
    assert_eq!(
        model.outputs().unwrap(),
        *answer.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>()
    );
    for (from, count) in [(0, 1), (7, 20), (39, 1), (5, 0)] {
        let answer = call(&model, &batch.slice(from, count)).unwrap();
        let part = |(name, values): &(String, Vec<Value>)| {
            (name.clone(), values[from..from + count].to_vec())
        };
        assert_answer(&answer, &case.outputs.iter().map(part).collect::<Vec<_>>());
    }
    let many =
        arrow::compute::concat_batches(&batch.schema(), std::iter::repeat_n(&batch, 70)).unwrap();
    let answer = call(&model, &many).unwrap();
    for piece in 0..70 {
        assert_answer(&answer.slice(piece * 40, 40), &case.outputs);
    }
    model
}

fn column_types(model: &OnnxModel) -> Vec<String> {
    let fields = model.outputs().unwrap();
    fields.iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}

#[test]
fn a_linear_model_with_recorded_features() {
    let model = check("linear", &OnnxOptions { nulls_as_nan: true, ..options() });
    assert_eq!(column_types(&model), ["variable: Float32"]);
}

#[test]
fn a_network() {
    let model = check("mlp", &options());
    assert_eq!(column_types(&model), ["prediction: Float32"]);
    let limits = model.limits();
    assert_eq!((limits.start_concurrent, limits.max_concurrent), (Some(2), Some(2)));
    assert_eq!((limits.start_rows, limits.max_rows), (Some(16 * 1024), None));
}

#[test]
fn a_pipeline_of_strings_and_numbers() {
    let model = check("pipeline", &options());
    assert_eq!(
        column_types(&model),
        [
            "output_label: Utf8",
            "output_probability_late: Float32",
            "output_probability_on_time: Float32"
        ]
    );
}

#[test]
fn a_classifier_of_three_classes() {
    let model = check("classifier", &options());
    assert_eq!(
        column_types(&model),
        [
            "output_label: Int64",
            "output_probability_0: Float32",
            "output_probability_10: Float32",
            "output_probability_20: Float32"
        ]
    );
}

#[test]
fn many_types_and_shapes() {
    let model = check("several", &options());
    assert_eq!(
        column_types(&model),
        [
            "triple: FixedSizeList(3 x Float64)",
            "turned: FixedSizeList(4 x Float32)",
            "word: Utf8",
            "half: FixedSizeList(2 x Float32)",
            "unset: Boolean"
        ]
    );
}

#[test]
fn sizes_that_the_model_leaves_open() {
    let error = open("dynamic.onnx", &options()).err().unwrap();
    assert!(matches!(&error, OnnxError::FeaturesUnknown { input } if input == "X"), "{error}");
    assert!(error.hint().unwrap().contains("--features"));
    let names = ["f0", "f1", "f2"].map(str::to_owned).to_vec();
    let model = check("dynamic", &OnnxOptions { features: Some(names), ..options() });
    assert_eq!(column_types(&model), ["Y: FixedSizeList(3 x Float32)"]);
}

#[test]
fn a_fixed_number_of_records() {
    let model = check("fixed", &options());
    assert_eq!(column_types(&model), ["sum: Float32"]);
}

#[test]
fn outputs_are_chosen_by_name() {
    let wanted = |name: &str| OnnxOptions { outputs: Some(vec![name.to_owned()]), ..options() };
    let model = open("classifier.onnx", &wanted("output_probability")).unwrap();
    let case = Case::read("classifier");
    let answer = call(&model, &case.records(&model)).unwrap();
    assert_answer(&answer, &case.outputs[1..]);
    let error = open("classifier.onnx", &wanted("probability")).err().unwrap();
    assert!(matches!(error, OnnxError::UnknownOutput { .. }), "{error}");
}

#[test]
fn an_output_that_is_no_column_is_named() {
    let model = open("total.onnx", &options()).unwrap();
    let Wants::Features(features) = model.wants() else { panic!() };
    assert_eq!(features.len(), 2);
    let column = array(&[1.into(), 2.into(), 3.into()], &DataType::Float32);
    let columns = vec![("a", Arc::clone(&column)), ("b", column)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let error = call(&model, &batch).unwrap_err();
    assert_eq!(error.class, RejectClass::WrongCount);
    assert_eq!(error.message, "output `total` has the shape [] for 3 records");
}

#[test]
fn a_failing_record_fails_the_call_and_says_why() {
    let model = check("failing", &options());
    let codes: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 10]));
    let batch = RecordBatch::try_from_iter([("code", codes)]).unwrap();
    let error = call(&model, &batch).unwrap_err();
    assert_eq!((error.kind, error.class), (CallErrorKind::Records, RejectClass::Model));
    assert_eq!(
        error.message,
        "Gather node `look_up`: indices element out of data bounds, idx=10 must be within the \
         inclusive range [-10,9]"
    );
    assert_eq!(call(&model, &batch.slice(0, 2)).unwrap().num_rows(), 2);
}

#[test]
fn nulls_that_the_model_can_not_take() {
    let model = open("failing.onnx", &options()).unwrap();
    let nulls =
        RecordBatch::try_from_iter([("code", new_null_array(&DataType::Int64, 2))]).unwrap();
    let error = call(&model, &nulls).unwrap_err();
    assert_eq!(error.class, RejectClass::MissingFeature);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let error = call(&model, &RecordBatch::try_from_iter([("code", texts)]).unwrap()).unwrap_err();
    assert_eq!(error.class, RejectClass::Type);
}

#[test]
fn calls_at_once_do_not_mix() {
    let options = OnnxOptions { threads: 3, ..options() };
    let model = open("failing.onnx", &options).unwrap();
    thread::scope(|scope| {
        for thread in 0..6 {
            let model = &model;
            scope.spawn(move || {
                for round in 0..50 {
                    let code = (thread + round) % 10;
                    let codes: ArrayRef = Arc::new(Int64Array::from(vec![code; 3000]));
                    let batch = RecordBatch::try_from_iter([("code", Arc::clone(&codes))]).unwrap();
                    let answer = call(model, &batch).unwrap();
                    let again = call(model, &batch.slice(0, 1)).unwrap();
                    assert_eq!(answer.slice(2999, 1), again, "{codes:?}");
                    assert_eq!(codes.as_primitive::<Int64Type>().len(), answer.num_rows());
                }
            });
        }
    });
}

#[test]
fn a_damaged_model_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.onnx");
    let whole = fs::read(fixture("mlp.onnx")).unwrap();
    let mut messages = HashSet::new();
    for end in (0..whole.len() - 40).step_by(11) {
        fs::write(&path, &whole[..end]).unwrap();
        let error = OnnxModel::open(&path, &options()).err().unwrap();
        assert_eq!(error.exit_code(), ExitCode::Configuration);
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("read the model `{}`: ", path.display())),
            "{message}"
        );
        messages.insert(message.rsplit_once("`: ").unwrap().1.to_owned());
    }
    assert!(messages.contains("it ends in the middle of a field: the file is cut off"));

    // Any byte may be wrong: an error or another model, but no more.
    for at in (0..whole.len()).step_by(7) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, &damaged).unwrap();
        if let Err(error) = OnnxModel::open(&path, &options()) {
            let message = error.to_string();
            assert!(message.len() < 600 && !message.contains('\n'), "{message}");
        }
    }
    let missing = OnnxModel::open(&folder.path().join("none.onnx"), &options()).err().unwrap();
    assert_eq!(missing.exit_code(), ExitCode::NotFound);
}

#[test]
fn a_library_that_is_none_is_told() {
    // Both fail before anything is loaded, or the library is loaded already and nothing happens.
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    fs::write(&library, "no library").unwrap();
    let options = OnnxOptions { library: Some(library), ..options() };
    if let Err(error) = open("linear.onnx", &options) {
        assert!(matches!(error, OnnxError::Runtime(_)), "{error}");
        assert!(error.hint().unwrap().contains("bessemer runtime install"));
    }
}
