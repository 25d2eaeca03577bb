//! From Arrow columns to the model's input tensors.

use std::ops::Range;

use arrow::array::ArrayRef;
use bessemer_transform::model::Feature;
use ort::{
    session::SessionInputValue,
    value::{Outlet, ValueType},
};

use super::buffer::{Buffer, FillError};

/// Values that one record may have, at most. A model that declares more is a mistake or malicious.
const WIDEST: usize = 1 << 24;

/// How the columns of a block fill the model's inputs.
#[derive(Debug)]
pub(super) struct Inputs {
    tensors: Vec<Tensor>,
    features: Vec<Feature>,
    nulls_as_nan: bool,
    /// The rows that each run must have, if the model says so.
    fixed_rows: Option<usize>,
}

#[derive(Debug)]
struct Tensor {
    name: String,
    /// An empty buffer of the tensor's type.
    buffer: Buffer,
    /// The dimensions after the first.
    tail: Vec<i64>,
    /// Values a record.
    width: usize,
    /// The features that fill it: `width` of them, or a single list.
    features: Range<usize>,
}

/// Why the model's inputs can't be filled from columns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InputsError {
    Unsupported(String),
    FeaturesUnknown { input: String },
    FeatureCount { named: usize, expected: usize },
}

/// A block of records that does not fill the model's inputs.
#[derive(Debug)]
pub(super) enum PackError {
    /// The column of feature `.0` does not do.
    Column(usize, FillError),
    Ort(ort::Error),
}

impl Inputs {
    /// Plans how to fill `outlets`. `names` are the features' names as the user gave them, `recorded`
    /// those in the model's metadata.
    pub(super) fn plan(
        outlets: &[Outlet],
        names: Option<&[String]>,
        recorded: Option<&[String]>,
        nulls_as_nan: bool,
    ) -> Result<Self, InputsError> {
        let mut inputs =
            Self { tensors: Vec::new(), features: Vec::new(), nulls_as_nan, fixed_rows: None };
        for outlet in outlets {
            let named = (outlets.len() == 1).then_some(names).flatten();
            let recorded = (outlets.len() == 1).then_some(recorded).flatten();
            inputs.add(outlet, named.map(<[_]>::len), recorded.map(<[_]>::len))?;
        }
        if let Some(names) = names {
            if names.len() != inputs.features.len() {
                let expected = inputs.features.len();
                return Err(InputsError::FeatureCount { named: names.len(), expected });
            }
            inputs.name_features(names);
        } else if let Some(names) = recorded.filter(|names| names.len() == inputs.features.len()) {
            inputs.name_features(names);
        }
        Ok(inputs)
    }

    /// Adds an input; `named` features were given for it, `recorded` stand in the model.
    fn add(
        &mut self,
        outlet: &Outlet,
        named: Option<usize>,
        recorded: Option<usize>,
    ) -> Result<(), InputsError> {
        let name = outlet.name();
        let unsupported =
            |reason: String| InputsError::Unsupported(format!("input `{name}` {reason}"));
        let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
            return Err(unsupported("is no tensor".to_owned()));
        };
        let buffer = Buffer::new(*ty)
            .ok_or_else(|| unsupported(format!("holds {ty}, which no column can give")))?;
        let Some((&rows, tail)) = shape.split_first() else {
            return Err(unsupported("has no dimension for the records".to_owned()));
        };
        if rows > 0 {
            let fixed = *self.fixed_rows.get_or_insert(rows as usize);
            if fixed != rows as usize {
                return Err(unsupported(format!("takes {rows} records at once, others {fixed}")));
            }
        }
        let mut tail = tail.to_vec();
        if let [values] = tail.as_mut_slice()
            && *values < 0
        {
            let known = named.or(recorded);
            *values = known.ok_or(InputsError::FeaturesUnknown { input: name.to_owned() })? as i64;
        }
        let width = tail.iter().try_fold(1_usize, |width, &values| {
            usize::try_from(values).ok().and_then(|values| width.checked_mul(values))
        });
        let width = width.filter(|width| (1..=WIDEST).contains(width)).ok_or_else(|| {
            unsupported(format!(
                "has the shape {:?}; all dimensions but the first must be fixed",
                &**shape
            ))
        })?;
        let list = tail.len() > 1 || (width > 1 && named == Some(1));
        let from = self.features.len();
        let single = width == 1 || list;
        let data_type = if list { buffer.list_type(width) } else { buffer.data_type() };
        let feature = Feature {
            name: single.then(|| name.to_owned()),
            data_type,
            nullable: self.nulls_as_nan && buffer.data_type().is_floating(),
        };
        self.features.extend(vec![feature; if single { 1 } else { width }]);
        let features = from..self.features.len();
        self.tensors.push(Tensor { name: name.to_owned(), buffer, tail, width, features });
        Ok(())
    }

    fn name_features(&mut self, names: &[String]) {
        for (feature, name) in self.features.iter_mut().zip(names) {
            feature.name = Some(name.clone());
        }
    }

    /// The columns that the inputs are filled from, in order.
    pub(super) fn features(&self) -> &[Feature] {
        &self.features
    }

    /// The rows that each run must have, if the model says so.
    pub(super) fn fixed_rows(&self) -> Option<usize> {
        self.fixed_rows
    }

    /// About how many bytes the tensors hold for a record.
    pub(super) fn bytes_a_record(&self) -> usize {
        let bytes = |tensor: &Tensor| {
            let value = tensor.buffer.data_type().primitive_width().unwrap_or(32);
            tensor.width * value
        };
        self.tensors.iter().map(bytes).sum()
    }

    /// Empty buffers to pack into.
    pub(super) fn buffers(&self) -> Vec<Buffer> {
        self.tensors.iter().map(|tensor| tensor.buffer.clone()).collect()
    }

    /// Packs `rows` of the columns, repeating the last up to the fixed number of rows.
    pub(super) fn pack<'b>(
        &self,
        columns: &[ArrayRef],
        rows: Range<usize>,
        buffers: &'b mut [Buffer],
    ) -> Result<Vec<(String, SessionInputValue<'b>)>, PackError> {
        let run_rows = self.fixed_rows.unwrap_or(rows.len());
        for (tensor, buffer) in self.tensors.iter().zip(buffers.iter_mut()) {
            let columns = &columns[tensor.features.clone()];
            buffer
                .fill(columns, rows.clone(), self.nulls_as_nan)
                .map_err(|error| PackError::Column(tensor.features.start, error))?;
            buffer.pad(run_rows, tensor.width);
        }
        self.values(buffers, run_rows).map_err(PackError::Ort)
    }

    /// Packs `rows` records of zeros and empty texts.
    pub(super) fn pack_zeros<'b>(
        &self,
        rows: usize,
        buffers: &'b mut [Buffer],
    ) -> ort::Result<Vec<(String, SessionInputValue<'b>)>> {
        for (tensor, buffer) in self.tensors.iter().zip(buffers.iter_mut()) {
            buffer.fill_zeros(rows * tensor.width);
        }
        self.values(buffers, rows)
    }

    fn values<'b>(
        &self,
        buffers: &'b [Buffer],
        rows: usize,
    ) -> ort::Result<Vec<(String, SessionInputValue<'b>)>> {
        let mut values = Vec::with_capacity(buffers.len());
        for (tensor, buffer) in self.tensors.iter().zip(buffers) {
            let shape = [&[rows as i64], tensor.tail.as_slice()].concat();
            values.push((tensor.name.clone(), buffer.tensor(shape)?));
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{DataType, Field};
    use ort::value::{Shape, SymbolicDimensions, TensorElementType};

    use super::*;

    fn outlet(name: &str, ty: TensorElementType, shape: &[i64]) -> Outlet {
        let dimension_symbols = SymbolicDimensions::empty(shape.len());
        let shape = Shape::new(shape.iter().copied());
        Outlet::new(name, ValueType::Tensor { ty, shape, dimension_symbols })
    }

    fn names(inputs: &Inputs) -> Vec<Option<&str>> {
        inputs.features().iter().map(|feature| feature.name.as_deref()).collect()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_tensor_takes_unnamed_features() {
        let outlets = [outlet("X", TensorElementType::Float32, &[-1, 3])];
        let inputs = Inputs::plan(&outlets, None, None, true).unwrap();
        assert_eq!(names(&inputs), [None, None, None]);
        assert!(inputs.features().iter().all(|feature| feature.nullable));
        assert_eq!((inputs.fixed_rows(), inputs.bytes_a_record()), (None, 12));

        let recorded = strings(&["a", "b", "c"]);
        let inputs = Inputs::plan(&outlets, None, Some(&recorded), false).unwrap();
        assert_eq!(names(&inputs), [Some("a"), Some("b"), Some("c")]);

        let wrong = Inputs::plan(&outlets, Some(&recorded[..2]), None, false).unwrap_err();
        assert_eq!(wrong, InputsError::FeatureCount { named: 2, expected: 3 });
    }

    #[test]
    fn one_name_for_several_values_is_a_list() {
        let outlets = [outlet("X", TensorElementType::Float32, &[-1, 3])];
        let inputs = Inputs::plan(&outlets, Some(&strings(&["embedding"])), None, false).unwrap();
        assert_eq!(names(&inputs), [Some("embedding")]);
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        assert_eq!(inputs.features()[0].data_type, DataType::FixedSizeList(item, 3));
    }

    #[test]
    fn an_input_a_column_is_named_by_the_input() {
        let outlets = [
            outlet("age", TensorElementType::Int64, &[-1, 1]),
            outlet("city", TensorElementType::String, &[-1, 1]),
            outlet("pixels", TensorElementType::Float32, &[-1, 2, 4]),
            outlet("rest", TensorElementType::Float64, &[-1, 2]),
        ];
        let inputs = Inputs::plan(&outlets, None, None, true).unwrap();
        assert_eq!(names(&inputs), [Some("age"), Some("city"), Some("pixels"), None, None]);
        let nullable: Vec<_> = inputs.features().iter().map(|feature| feature.nullable).collect();
        assert_eq!(nullable, [false, false, true, true, true]);
        assert_eq!(inputs.features()[1].data_type, DataType::Utf8);
    }

    #[test]
    fn open_dimensions_need_names() {
        let outlets = [outlet("X", TensorElementType::Float32, &[-1, -1])];
        let error = Inputs::plan(&outlets, None, None, false).unwrap_err();
        assert_eq!(error, InputsError::FeaturesUnknown { input: "X".to_owned() });
        let inputs = Inputs::plan(&outlets, Some(&strings(&["a", "b"])), None, false).unwrap();
        assert_eq!(inputs.features().len(), 2);

        let outlets = [outlet("X", TensorElementType::Float32, &[-1, 3, -1, 5])];
        let error = Inputs::plan(&outlets, None, None, false).unwrap_err();
        assert!(matches!(error, InputsError::Unsupported(_)));
        let outlets = [outlet("X", TensorElementType::Float32, &[-1, 1 << 40, 1 << 40])];
        let error = Inputs::plan(&outlets, None, None, false).unwrap_err();
        assert!(matches!(error, InputsError::Unsupported(_)));
    }
}
