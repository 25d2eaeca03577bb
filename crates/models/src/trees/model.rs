//! A tree ensemble as a model of the engine: feature columns in, a `prediction` column out.

use std::{fs, path::Path, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, ArrowPrimitiveType, AsArray, FixedSizeListArray, PrimitiveArray,
        RecordBatchOptions,
    },
    datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, Schema},
    record_batch::RecordBatch,
};
use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{Answer, CallError, CallErrorKind, Feature, Limits, Model, Wants},
    records::Records,
};
use bessemer_trees::{Column, Dialect, Ensemble, Predictor, Score};

use super::TreesError;

/// The name of the output column.
const OUTPUT: &str = "prediction";

/// Rows of a first payload: enough to make the cost of a call vanish.
const START_ROWS: usize = 8192;

/// What is asked of a tree model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeOptions {
    /// The sums of the trees instead of probabilities or values.
    pub raw_score: bool,
    /// The leaves that a row falls into, one a tree, instead of predictions.
    pub leaf_index: bool,
    /// Calls at once that the machine has cores for; 0 means 1.
    pub threads: usize,
}

/// A tree ensemble, ready to score.
#[derive(Debug)]
pub struct TreeModel {
    predictor: Predictor,
    options: TreeOptions,
}

impl TreeModel {
    /// Reads the model in the file `path`, whose format is told by its content.
    pub fn open(path: &Path, options: TreeOptions) -> Result<Self, TreesError> {
        let bytes =
            fs::read(path).map_err(|source| TreesError::Io { path: path.to_owned(), source })?;
        let ensemble = Ensemble::read(&bytes)
            .map_err(|source| TreesError::Read { path: path.to_owned(), source })?;
        Ok(Self { predictor: Predictor::new(ensemble), options })
    }

    /// The type in which the model's library reads features and answers.
    fn data_type(&self) -> DataType {
        match self.predictor.ensemble().dialect() {
            Dialect::XgBoost => DataType::Float32,
            Dialect::LightGbm => DataType::Float64,
        }
    }

    /// The type of one value of the output and how many values a row has.
    fn output_shape(&self) -> (DataType, usize) {
        let ensemble = self.predictor.ensemble();
        if self.options.leaf_index {
            return (DataType::Int32, ensemble.trees());
        }
        let raw = self.options.raw_score;
        let width = if raw { ensemble.groups() } else { ensemble.outputs() };
        (self.data_type(), width)
    }

    fn output_field(&self) -> Field {
        let (item, width) = self.output_shape();
        if width == 1 && !self.options.leaf_index {
            return Field::new(OUTPUT, item, false);
        }
        let item = Arc::new(Field::new_list_field(item, false));
        Field::new(OUTPUT, DataType::FixedSizeList(item, width as i32), false)
    }

    fn score(&self, batch: &RecordBatch) -> Result<ArrayRef, CallError> {
        let width = self.output_shape().1;
        let rows = batch.num_rows();
        let raw = self.options.raw_score;
        if self.options.leaf_index {
            if width == 0 {
                return Err(failure("the model has no trees, so no leaves".to_owned()));
            }
            let mut leaves = vec![0_i32; rows * width];
            self.each_row(batch, &mut leaves, |columns, out| {
                self.predictor.leaves(columns, out);
            })?;
            return Ok(self.list::<Int32Type>(leaves));
        }
        if self.data_type() == DataType::Float32 {
            self.predict::<Float32Type>(batch, width, raw)
        } else {
            self.predict::<Float64Type>(batch, width, raw)
        }
    }

    fn predict<T>(
        &self,
        batch: &RecordBatch,
        width: usize,
        raw: bool,
    ) -> Result<ArrayRef, CallError>
    where
        T: ArrowPrimitiveType<Native: Score + Default>,
    {
        let mut scores = vec![T::Native::default(); batch.num_rows() * width];
        self.each_row(batch, &mut scores, |columns, out| {
            self.predictor.predict(columns, raw, out);
        })?;
        if width == 1 {
            return Ok(Arc::new(PrimitiveArray::<T>::new(scores.into(), None)));
        }
        Ok(self.list::<T>(scores))
    }

    /// The values, row by row, as the output's list column.
    fn list<T: ArrowPrimitiveType>(&self, values: Vec<T::Native>) -> ArrayRef {
        let (item, width) = self.output_shape();
        let item = Arc::new(Field::new_list_field(item, false));
        let values = Arc::new(PrimitiveArray::<T>::new(values.into(), None));
        Arc::new(FixedSizeListArray::new(item, width as i32, values, None))
    }

    /// Has `work` score all rows of `batch` into `out`.
    fn each_row<T>(
        &self,
        batch: &RecordBatch,
        out: &mut [T],
        work: impl Fn(&[Column<'_>], &mut [T]),
    ) -> Result<(), CallError> {
        let values = batch.columns().iter().map(values).collect::<Result<Vec<_>, _>>()?;
        let expected = self.predictor.ensemble().features();
        if values.len() != expected {
            let message = format!("the model reads {expected} features, not {}", values.len());
            return Err(failure(message));
        }
        let rows = batch.num_rows();
        if rows > 0 && !out.is_empty() {
            let columns: Vec<_> = values.iter().map(|values| values.column(0, rows)).collect();
            work(&columns, out);
        }
        Ok(())
    }
}

impl Model for TreeModel {
    fn wants(&self) -> Wants {
        let ensemble = self.predictor.ensemble();
        let feature = |index: usize| Feature {
            name: ensemble.feature_names().map(|names| names[index].clone()),
            data_type: self.data_type(),
            nullable: true,
        };
        Wants::Features((0..ensemble.features()).map(feature).collect())
    }

    fn outputs(&self) -> Option<Vec<Field>> {
        Some(vec![self.output_field()])
    }

    fn limits(&self) -> Limits {
        let cores = self.options.threads.max(1);
        Limits {
            max_concurrent: Some(cores),
            start_concurrent: Some(cores),
            start_rows: Some(START_ROWS),
            ..Limits::default()
        }
    }

    fn call(&self, records: &Records) -> Result<Answer, CallError> {
        let Records::Columns(batch) = records else {
            return Err(failure("a tree model reads columns, not lines".to_owned()));
        };
        let schema = Arc::new(Schema::new(vec![self.output_field()]));
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(schema, vec![self.score(batch)?], &options)
            .expect("the answer has the type and the length that were asked for");
        Ok(Answer::Columns(batch))
    }
}

/// A column's values; where it has nulls, a copy with `NaN` in their place.
enum Values<'a> {
    F32(&'a [f32]),
    F64(&'a [f64]),
    F32Filled(Vec<f32>),
    F64Filled(Vec<f64>),
}

impl Values<'_> {
    fn column(&self, from: usize, count: usize) -> Column<'_> {
        match self {
            Self::F32(values) => Column::F32(&values[from..from + count]),
            Self::F64(values) => Column::F64(&values[from..from + count]),
            Self::F32Filled(values) => Column::F32(&values[from..from + count]),
            Self::F64Filled(values) => Column::F64(&values[from..from + count]),
        }
    }
}

fn values(array: &ArrayRef) -> Result<Values<'_>, CallError> {
    if let Some(array) = array.as_primitive_opt::<Float32Type>() {
        if array.null_count() == 0 {
            return Ok(Values::F32(array.values()));
        }
        let filled = array.iter().map(|value| value.unwrap_or(f32::NAN)).collect();
        return Ok(Values::F32Filled(filled));
    }
    if let Some(array) = array.as_primitive_opt::<Float64Type>() {
        if array.null_count() == 0 {
            return Ok(Values::F64(array.values()));
        }
        let filled = array.iter().map(|value| value.unwrap_or(f64::NAN)).collect();
        return Ok(Values::F64Filled(filled));
    }
    Err(failure(format!("a tree model reads floating-point columns, not `{}`", array.data_type())))
}

fn failure(message: String) -> CallError {
    CallError { kind: CallErrorKind::Records, class: RejectClass::Model, message }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float32Array;

    use super::*;

    const STUMP: &str = r#"{"learner": {"feature_names": ["a", "b"], "gradient_booster": {
      "model": {"gbtree_model_param": {"num_trees": "1"}, "tree_info": [0], "trees": [{
        "default_left": [0, 0, 0], "left_children": [1, -1, -1], "right_children": [2, -1, -1],
        "split_conditions": [0.5, -1.25, 2.0], "split_indices": [1, 0, 0],
        "tree_param": {"num_nodes": "3"}}]}, "name": "gbtree"},
      "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2"},
      "objective": {"name": "reg:squarederror"}}, "version": [3, 2, 0]}"#;

    fn model(options: TreeOptions) -> TreeModel {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), STUMP).expect("written");
        TreeModel::open(file.path(), options).expect("a model")
    }

    fn answer(model: &TreeModel, b: Vec<Option<f32>>) -> RecordBatch {
        let a = Arc::new(Float32Array::from(vec![0.0; b.len()])) as ArrayRef;
        let b = Arc::new(Float32Array::from(b)) as ArrayRef;
        let batch = RecordBatch::try_from_iter_with_nullable([("a", a, true), ("b", b, true)]);
        match model.call(&Records::Columns(batch.expect("a batch"))).expect("an answer") {
            Answer::Columns(answer) => answer,
            Answer::Json(_) => panic!("a tree model answers columns"),
        }
    }

    #[test]
    fn nulls_are_missing_values() {
        let model = model(TreeOptions::default());
        let answer = answer(&model, vec![Some(0.0), None, Some(0.5), Some(f32::NAN)]);
        assert_eq!(answer.schema().fields()[..], [Arc::new(model.output_field())]);
        let predictions = answer.column(0).as_primitive::<Float32Type>();
        assert_eq!(predictions.values()[..], [-0.75, 2.5, 2.5, 2.5]);
    }

    #[test]
    fn leaves_are_a_list() {
        let model = model(TreeOptions { leaf_index: true, ..TreeOptions::default() });
        let answer = answer(&model, vec![Some(0.0), None]);
        let leaves = answer.column(0).as_fixed_size_list();
        assert_eq!(leaves.values().as_primitive::<Int32Type>().values()[..], [1, 2]);
    }

    #[test]
    fn features_carry_their_names() {
        let Wants::Features(features) = model(TreeOptions::default()).wants() else {
            panic!("a tree model reads features");
        };
        let names: Vec<_> = features.iter().map(|feature| feature.name.as_deref()).collect();
        assert_eq!(names, [Some("a"), Some("b")]);
        assert!(features.iter().all(|feature| feature.nullable));
    }

    #[test]
    fn a_file_that_is_no_model_is_named() {
        let error = TreeModel::open(Path::new("absent.json"), TreeOptions::default());
        assert_eq!(
            error.map_err(|error| error.to_string()).err().as_deref(),
            Some("read model `absent.json`")
        );
    }
}
