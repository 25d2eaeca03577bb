//! From the model's output tensors to Arrow columns.

use std::collections::HashSet;

use arrow::{
    array::ArrayRef,
    compute::cast,
    datatypes::{DataType, Field},
};
use ort::{
    session::SessionOutputs,
    value::{DynValue, Outlet, ValueType},
};

use super::{buffer::Buffer, model_file::DeclaredOutput};

/// The model's outputs, in order.
#[derive(Debug)]
pub(super) struct Outputs(Vec<Output>);

#[derive(Debug)]
struct Output {
    /// The column's name.
    name: String,
    /// The tensor's name in the session.
    tensor: String,
    labels: Option<Vec<String>>,
    /// The values a record, if the model says.
    width: Option<usize>,
    /// An empty buffer of the tensor's type.
    buffer: Buffer,
}

/// The answers to a block, run after run.
pub(super) struct Answers<'a> {
    outputs: &'a Outputs,
    collected: Vec<Collected>,
    records: usize,
}

struct Collected {
    buffer: Buffer,
    width: Option<usize>,
}

/// An answer that is no column.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("output `{output}` has the shape {shape:?} for {records} records")]
    Count { output: String, shape: Vec<i64>, records: usize },
    #[error("output `{output}` has {now} values a record, it had {before} before")]
    Width { output: String, before: usize, now: usize },
    #[error("{0}")]
    Ort(#[from] ort::Error),
}

impl Outputs {
    /// Plans how `outlets`, the session's outputs, become columns. Else says why one can't.
    pub(super) fn plan(declared: Vec<DeclaredOutput>, outlets: &[Outlet]) -> Result<Self, String> {
        let mut names = Names::default();
        let mut outputs = Vec::new();
        for DeclaredOutput { name, tensor, labels } in declared {
            // `ort` panics when it is asked for an output without a name.
            let outlet =
                outlets.iter().find(|outlet| outlet.name() == tensor && !tensor.is_empty());
            let Some(ValueType::Tensor { ty, shape, .. }) = outlet.map(Outlet::dtype) else {
                return Err(format!("output `{name}` is no tensor"));
            };
            let buffer = Buffer::new(*ty)
                .ok_or_else(|| format!("output `{name}` holds {ty}, which no column can hold"))?;
            // A tensor of unknown rank is told as one without dimensions.
            let width = shape.split_first().and_then(|(_, tail)| width(tail));
            let width = width.or(labels.as_ref().map(Vec::len));
            let (name, labels) = names.of_output(&name, outputs.len(), labels.as_deref());
            outputs.push(Output { name, tensor, labels, width, buffer });
        }
        Ok(Self(outputs))
    }

    /// The columns, if the model says all of their types.
    pub(super) fn fields(&self) -> Option<Vec<Field>> {
        let mut fields = Vec::new();
        for output in &self.0 {
            fields.extend(output.fields(output.width?));
        }
        Some(fields)
    }

    /// Where the answers to a block are collected.
    pub(super) fn answers(&self) -> Answers<'_> {
        let collected = |output: &Output| Collected { buffer: output.buffer.clone(), width: None };
        Answers { outputs: self, collected: self.0.iter().map(collected).collect(), records: 0 }
    }
}

impl Output {
    fn fields(&self, width: usize) -> Vec<Field> {
        let field =
            |name: &str, width| Field::new(name, widened(self.buffer.column_type(width)), true);
        match &self.labels {
            Some(labels) if labels.len() == width => {
                labels.iter().map(|label| field(label, 1)).collect()
            }
            _ => vec![field(&self.name, width)],
        }
    }

    fn columns(&self, buffer: Buffer, width: usize) -> Vec<ArrayRef> {
        let columns = match &self.labels {
            Some(labels) if labels.len() == width => buffer.into_columns(width),
            _ => vec![buffer.into_column(width)],
        };
        let widen = |column: ArrayRef| {
            let data_type = widened(column.data_type().clone());
            if *column.data_type() == data_type {
                return column;
            }
            cast(&column, &data_type).expect("half floats fit into floats")
        };
        columns.into_iter().map(widen).collect()
    }
}

impl Answers<'_> {
    /// Adds the answer to `records` records, which were given as `run_rows` rows.
    pub(super) fn add(
        &mut self,
        values: &SessionOutputs,
        records: usize,
        run_rows: usize,
    ) -> Result<(), AnswerError> {
        for (output, collected) in self.outputs.0.iter().zip(&mut self.collected) {
            let no_tensor = || ort::Error::new(format!("output `{}` is not there", output.tensor));
            let value = values.get(&output.tensor).ok_or_else(no_tensor)?;
            let width = width_of(value, run_rows).map_err(|shape| AnswerError::Count {
                output: output.name.clone(),
                shape,
                records: run_rows,
            })?;
            let before = *collected.width.get_or_insert(width);
            if before != width {
                let output = output.name.clone();
                return Err(AnswerError::Width { output, before, now: width });
            }
            collected.buffer.append(value, records * width)?;
        }
        self.records += records;
        Ok(())
    }

    /// The columns with their fields. `None` if nothing was added.
    pub(super) fn finish(self) -> Option<(Vec<Field>, Vec<ArrayRef>)> {
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (output, collected) in self.outputs.0.iter().zip(self.collected) {
            let width = collected.width?;
            fields.extend(output.fields(width));
            columns.extend(output.columns(collected.buffer, width));
        }
        Some((fields, columns))
    }
}

/// How many values a record a tensor holds; else its shape.
fn width_of(value: &DynValue, rows: usize) -> Result<usize, Vec<i64>> {
    let shape = value.dtype().tensor_shape().map(|shape| shape.to_vec()).unwrap_or_default();
    let fits = shape.split_first().filter(|(first, _)| **first == rows as i64);
    fits.and_then(|(_, tail)| width(tail)).filter(|width| *width > 0).ok_or(shape)
}

/// The product of fixed dimensions.
fn width(tail: &[i64]) -> Option<usize> {
    tail.iter().try_fold(1_usize, |width, &values| width.checked_mul(usize::try_from(values).ok()?))
}

/// Half floats are given out as floats: few tools read them.
fn widened(data_type: DataType) -> DataType {
    match data_type {
        DataType::Float16 => DataType::Float32,
        DataType::FixedSizeList(item, width) if item.data_type() == &DataType::Float16 => {
            let item = item.as_ref().clone().with_data_type(DataType::Float32);
            DataType::FixedSizeList(item.into(), width)
        }
        other => other,
    }
}

/// The column's name for output number `index`.
fn column_name(output: &str, index: usize) -> String {
    let name = sanitized(output.strip_suffix(":0").unwrap_or(output));
    if name.is_empty() { format!("output_{index}") } else { name }
}

/// Letters, digits, `_`, `-` and `.`; all else becomes `_`, but none at the ends for it.
fn sanitized(name: &str) -> String {
    let fine = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
    let name = name.trim_matches(|letter| !fine(letter));
    name.chars().map(|letter| if fine(letter) { letter } else { '_' }).collect()
}

/// Column names given so far.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// The names of the columns that output number `index` becomes: one, or one for each of `labels`.
    pub(super) fn of_output(
        &mut self,
        output: &str,
        index: usize,
        labels: Option<&[String]>,
    ) -> (String, Option<Vec<String>>) {
        let name = column_name(output, index);
        let Some(labels) = labels else { return (self.unique(&name), None) };
        let column = |label: &String| self.unique(&format!("{name}_{}", sanitized(label)));
        let columns = labels.iter().map(column).collect();
        (name, Some(columns))
    }

    fn unique(&mut self, name: &str) -> String {
        let mut unique = name.to_owned();
        let mut count = 1;
        while !self.0.insert(unique.clone()) {
            count += 1;
            unique = format!("{name}_{count}");
        }
        unique
    }
}

#[cfg(test)]
mod tests {
    use ort::value::{Shape, SymbolicDimensions, TensorElementType};

    use super::*;

    type Declared =
        (&'static str, TensorElementType, &'static [i64], Option<&'static [&'static str]>);

    fn plan(outputs: &[Declared]) -> Outputs {
        let mut declared = Vec::new();
        let mut outlets = Vec::new();
        for (name, ty, shape, labels) in outputs {
            declared.push(DeclaredOutput {
                name: (*name).to_owned(),
                tensor: (*name).to_owned(),
                labels: labels.map(|labels| labels.iter().map(|&label| label.to_owned()).collect()),
            });
            let dimension_symbols = SymbolicDimensions::empty(shape.len());
            let shape = Shape::new(shape.iter().copied());
            outlets
                .push(Outlet::new(*name, ValueType::Tensor { ty: *ty, shape, dimension_symbols }));
        }
        Outputs::plan(declared, &outlets).unwrap()
    }

    fn columns(outputs: &Outputs) -> Vec<String> {
        let fields = outputs.fields().unwrap();
        fields.iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
    }

    #[test]
    fn shapes_become_columns() {
        let outputs = plan(&[
            ("label", TensorElementType::Int64, &[-1], None),
            ("variable", TensorElementType::Float32, &[-1, 1], None),
            ("embedding", TensorElementType::Float16, &[-1, 2, 2], None),
            (
                "scores",
                TensorElementType::Float32,
                &[],
                Some(&["New York", "Iris-setosa", "New_York"]),
            ),
        ]);
        assert_eq!(
            columns(&outputs),
            [
                "label: Int64",
                "variable: Float32",
                "embedding: FixedSizeList(4 x Float32)",
                "scores_New_York: Float32",
                "scores_Iris-setosa: Float32",
                "scores_New_York_2: Float32",
            ]
        );
        assert!(plan(&[("open", TensorElementType::Float32, &[-1, -1], None)]).fields().is_none());
    }

    #[test]
    fn names_are_made_fit_for_columns() {
        assert_eq!(column_name("variable", 0), "variable");
        assert_eq!(column_name("Identity:0", 0), "Identity");
        assert_eq!(column_name("/fc/Gemm_output_0", 0), "fc_Gemm_output_0");
        assert_eq!(column_name("::", 3), "output_3");
        let mut names = Names::default();
        assert_eq!(names.unique("a"), "a");
        assert_eq!(names.unique("a"), "a_2");
    }
}
