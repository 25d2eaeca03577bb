//! ONNX models that are nothing but trees, in our own kernels: the same columns in and out as with ONNX
//! Runtime, which need not be there.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array, Int64Array, RecordBatchOptions,
        StringArray,
    },
    datatypes::{ArrowPrimitiveType, DataType, Field, Float32Type, Float64Type, Int64Type, Schema},
    record_batch::RecordBatch,
};
use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{Answer, CallError, Feature, Limits, Model, Wants},
    records::Records,
};
use bessemer_trees::{
    ReadError,
    onnx::{InputType, Labels, OnnxColumn, OnnxOutput, OnnxPredictor, OnnxTrees, OnnxValue},
};

use super::{
    error::OnnxError,
    model::{OnnxModel, OnnxOptions, failed, read},
    model_file::feature_names,
    outputs::Names,
};

/// Rows of a first payload: enough to make the cost of a call vanish.
const START_ROWS: usize = 8192;

/// An ONNX model of trees, ready to score.
#[derive(Debug)]
pub struct OnnxTreeModel {
    predictor: OnnxPredictor,
    features: Vec<Feature>,
    outputs: Vec<Output>,
    nulls_as_nan: bool,
    threads: usize,
}

/// An output of the model.
#[derive(Debug)]
struct Output {
    value: OnnxValue,
    /// The columns that it becomes.
    fields: Vec<Field>,
}

/// Why a model can't be scored by our own kernels.
#[derive(Debug)]
enum Refusal {
    /// ONNX Runtime may score it.
    NotOurs,
    Broken(OnnxError),
}

/// Opens the model at `path`: its trees if it is nothing else, else the whole of it in ONNX Runtime.
pub fn open_model(path: &Path, options: &OnnxOptions) -> Result<Arc<dyn Model>, OnnxError> {
    let bytes = read(path)?;
    match OnnxTreeModel::of_bytes(path, &bytes, options) {
        Ok(model) => Ok(Arc::new(model)),
        Err(Refusal::Broken(error)) => Err(error),
        Err(Refusal::NotOurs) => Ok(Arc::new(OnnxModel::of_bytes(path, bytes, options)?)),
    }
}

impl OnnxTreeModel {
    fn of_bytes(path: &Path, bytes: &[u8], options: &OnnxOptions) -> Result<Self, Refusal> {
        let refused = |source| match source {
            // ONNX Runtime's side has the better words for files that are no models.
            ReadError::Unsupported(_) | ReadError::Absent { .. } | ReadError::Protobuf(_) => {
                Refusal::NotOurs
            }
            source => Refusal::Broken(OnnxError::Trees { path: path.to_owned(), source }),
        };
        if options.outputs.is_some() {
            return Err(Refusal::NotOurs);
        }
        let trees = OnnxTrees::read(bytes).map_err(refused)?;
        let recorded = feature_names(bytes).map_err(|error| refused(error.into()))?;
        let (features, widths) = plan_inputs(&trees, recorded.as_deref(), options)?;
        let outputs = plan_outputs(&trees.outputs(), trees.labels());
        Ok(Self {
            predictor: trees.predictor(&widths).map_err(refused)?,
            features,
            outputs,
            nulls_as_nan: options.nulls_as_nan,
            threads: options.threads.max(1),
        })
    }

    fn columns<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Values<'a>>, CallError> {
        let columns = batch.columns().iter().zip(&self.features);
        columns.map(|(column, feature)| self.values(column, feature)).collect()
    }

    fn values<'a>(&self, column: &'a ArrayRef, feature: &Feature) -> Result<Values<'a>, CallError> {
        let name = feature.name.as_deref().unwrap_or("a feature");
        if column.null_count() > 0 && !self.nulls_as_nan {
            let message = format!("`{name}` holds a null");
            return Err(failed(RejectClass::MissingFeature, message));
        }
        match column.data_type() {
            DataType::Float32 => Ok(Values::F32(filled::<Float32Type>(column, f32::NAN))),
            DataType::Float64 => Ok(Values::F64(filled::<Float64Type>(column, f64::NAN))),
            DataType::Int64 if column.null_count() == 0 => {
                Ok(Values::I64(column.as_primitive::<Int64Type>().values()))
            }
            _ => {
                let message = format!("`{name}` has a type that the model does not read");
                Err(failed(RejectClass::Type, message))
            }
        }
    }
}

impl Model for OnnxTreeModel {
    fn wants(&self) -> Wants {
        Wants::Features(self.features.clone())
    }

    fn outputs(&self) -> Option<Vec<Field>> {
        Some(self.outputs.iter().flat_map(|output| output.fields.clone()).collect())
    }

    fn limits(&self) -> Limits {
        Limits {
            max_concurrent: Some(self.threads),
            start_concurrent: Some(self.threads),
            start_rows: Some(START_ROWS),
            ..Limits::default()
        }
    }

    fn call(&self, records: &Records) -> Result<Answer, CallError> {
        let Records::Columns(batch) = records else {
            return Err(failed(RejectClass::Type, "the model reads columns, not text".to_owned()));
        };
        if batch.num_columns() != self.features.len() {
            let (expected, found) = (self.features.len(), batch.num_columns());
            let message = format!("the model reads {expected} columns, not {found}");
            return Err(failed(RejectClass::MissingFeature, message));
        }
        let rows = batch.num_rows();
        let values = self.columns(batch)?;
        let columns: Vec<_> = values.iter().map(Values::column).collect();
        let answers = self.predictor.score(&columns, rows);
        let mut arrays = Vec::new();
        for (output, scores) in self.outputs.iter().zip(answers.scores) {
            match (&output.value, self.predictor.labels()) {
                (OnnxValue::Label, Some(labels)) => arrays.push(named(&answers.labels, labels)),
                _ => arrays.extend(output.arrays(scores, rows)),
            }
        }
        let schema = Arc::new(Schema::new(self.outputs().unwrap_or_default()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(schema, arrays, &options)
            .map(Answer::Columns)
            .map_err(|error| failed(RejectClass::Output, error.to_string()))
    }
}

/// The features that the model's inputs are filled from, and how many each input has.
fn plan_inputs(
    trees: &OnnxTrees,
    recorded: Option<&[String]>,
    options: &OnnxOptions,
) -> Result<(Vec<Feature>, Vec<usize>), Refusal> {
    let names = options.features.as_deref();
    let alone = trees.inputs().len() == 1;
    let mut features = Vec::new();
    let mut widths = Vec::new();
    for input in trees.inputs() {
        let known = names.or(recorded).filter(|_| alone).map(<[_]>::len);
        let unknown = || Refusal::Broken(OnnxError::FeaturesUnknown { input: input.name.clone() });
        let width = input.width.or(known).ok_or_else(unknown)?;
        if width > 1 && alone && names.is_some_and(|names| names.len() == 1) {
            return Err(Refusal::NotOurs);
        }
        let (data_type, is_float) = match input.r#type {
            InputType::Float => (DataType::Float32, true),
            InputType::Double => (DataType::Float64, true),
            InputType::Int64 => (DataType::Int64, false),
        };
        let feature = Feature {
            name: (width == 1).then(|| input.name.clone()),
            data_type,
            nullable: options.nulls_as_nan && is_float,
        };
        features.extend(vec![feature; width]);
        widths.push(width);
    }
    let expected = features.len();
    if let Some(names) = names
        && names.len() != expected
    {
        let named = names.len();
        return Err(Refusal::Broken(OnnxError::FeatureCount { named, expected }));
    }
    let names = names.or(recorded).filter(|names| names.len() == expected);
    for (feature, name) in features.iter_mut().zip(names.unwrap_or_default()) {
        feature.name = Some(name.clone());
    }
    Ok((features, widths))
}

fn plan_outputs(outputs: &[OnnxOutput], labels: Option<&Labels>) -> Vec<Output> {
    let mut names = Names::default();
    let mut planned = Vec::new();
    for (index, OnnxOutput { name, value }) in outputs.iter().enumerate() {
        let classes = match value {
            OnnxValue::Map(classes) => Some(classes.as_slice()),
            OnnxValue::Label | OnnxValue::Scores(_) => None,
        };
        let (name, columns) = names.of_output(name, index, classes);
        let data_type = match value {
            OnnxValue::Label if matches!(labels, Some(Labels::Texts(_))) => DataType::Utf8,
            OnnxValue::Label => DataType::Int64,
            OnnxValue::Scores(1) | OnnxValue::Map(_) => DataType::Float32,
            OnnxValue::Scores(width) => DataType::FixedSizeList(score_item(), *width as i32),
        };
        let field = |name| Field::new(name, data_type.clone(), true);
        let fields = columns.unwrap_or_else(|| vec![name]).into_iter().map(field).collect();
        planned.push(Output { value: value.clone(), fields });
    }
    planned
}

impl Output {
    /// The columns of `scores`, row by row.
    fn arrays(&self, scores: Vec<f32>, rows: usize) -> Vec<ArrayRef> {
        let width = match &self.value {
            OnnxValue::Map(classes) => {
                let class = |class: usize| {
                    let every = scores.iter().skip(class).step_by(classes.len()).copied();
                    Arc::new(Float32Array::from_iter_values(every)) as ArrayRef
                };
                return (0..classes.len()).map(class).collect();
            }
            OnnxValue::Scores(width) => *width,
            OnnxValue::Label => 1,
        };
        let scores = Arc::new(Float32Array::from(scores));
        if width == 1 {
            return vec![scores];
        }
        let width = width as i32;
        let list = FixedSizeListArray::try_new_with_length(score_item(), width, scores, None, rows);
        vec![Arc::new(list.expect("there are `width` scores a record"))]
    }
}

fn score_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Float32, true))
}

/// The names of classes by their places.
fn named(places: &[u32], labels: &Labels) -> ArrayRef {
    let places = places.iter().map(|place| *place as usize);
    match labels {
        Labels::Integers(labels) => {
            Arc::new(Int64Array::from_iter_values(places.map(|place| labels[place])))
        }
        Labels::Texts(labels) => {
            Arc::new(StringArray::from_iter_values(places.map(|place| &labels[place])))
        }
    }
}

/// A column's values, or a copy where some had to be filled in.
enum Filled<'a, T> {
    AsIs(&'a [T]),
    Copied(Vec<T>),
}

impl<T> Filled<'_, T> {
    fn values(&self) -> &[T] {
        match self {
            Self::AsIs(values) => values,
            Self::Copied(values) => values,
        }
    }
}

/// The values of `column`, with `missing` in the place of nulls.
fn filled<T: ArrowPrimitiveType>(column: &ArrayRef, missing: T::Native) -> Filled<'_, T::Native> {
    let column = column.as_primitive::<T>();
    if column.null_count() == 0 {
        return Filled::AsIs(column.values());
    }
    Filled::Copied(column.iter().map(|value| value.unwrap_or(missing)).collect())
}

enum Values<'a> {
    F32(Filled<'a, f32>),
    F64(Filled<'a, f64>),
    I64(&'a [i64]),
}

impl Values<'_> {
    fn column(&self) -> OnnxColumn<'_> {
        match self {
            Self::F32(values) => OnnxColumn::F32(values.values()),
            Self::F64(values) => OnnxColumn::F64(values.values()),
            Self::I64(values) => OnnxColumn::I64(values),
        }
    }
}
