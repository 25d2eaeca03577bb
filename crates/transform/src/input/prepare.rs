//! Brings the records of a chunk into the model's form, and sorts out those that can't be.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array},
    buffer::NullBuffer,
    compute::{CastOptions, cast_with_options, filter_record_batch, take},
    datatypes::{DataType, Field, Float32Type, Float64Type, Schema},
    record_batch::{RecordBatch, RecordBatchOptions},
    util::display::{ArrayFormatter, FormatOptions},
};
use bessemer_domain::RejectClass;

use super::reader::{Chunk, Source};
use crate::{
    call::RowFailure,
    error::TransformError,
    model::{Feature, TextFormat},
    records::{Lines, LinesBuilder, Records},
    text::{
        from_columns::{to_csv, to_json_lines},
        to_columns::ColumnReader,
    },
};

/// Brings records into the model's form. Batches are given with the model's columns only, in its
/// order.
#[derive(Debug)]
pub(crate) enum Preparer {
    /// Columns, cast to the model's types.
    Select { features: Vec<Feature> },
    /// Columns as they are, perhaps written as text.
    Whole { then: Option<TextFormat> },
    /// Lines as they are.
    LinesAsTheyAre,
    /// Lines, parsed into columns, perhaps written as text of another kind. With `features`: null
    /// floats become NaN where the model knows no null.
    LinesToColumns { reader: ColumnReader, features: Vec<Feature>, then: Option<TextFormat> },
}

/// Records in the model's form.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The good records.
    pub(crate) records: Records,
    /// Their places in the chunk; none if all are good.
    pub(crate) kept: Option<Vec<u32>>,
    /// The others.
    pub(crate) failures: Vec<RowFailure>,
}

impl Preparer {
    /// Prepares a chunk. `columns` are the model's columns of a chunk of columns.
    pub(crate) fn prepare(
        &self,
        chunk: &Chunk,
        columns: Option<RecordBatch>,
    ) -> Result<Prepared, TransformError> {
        let rows = chunk.len();
        match (self, &chunk.source) {
            (Self::LinesAsTheyAre, Source::Lines { lines, .. }) => {
                Ok(keep_lines(lines, rows, chunk.bad.clone()))
            }
            (Self::LinesToColumns { reader, features, then }, Source::Lines { lines, .. }) => {
                let mut failures = chunk.bad.clone();
                let bad: Vec<usize> = failures.iter().map(|failure| failure.row).collect();
                let (batch, errors) = reader.read(lines, &|row| bad.contains(&row));
                failures.extend(errors.into_iter().map(RowFailure::without_a_call));
                let batch = nulls_to_nan(batch, features)?;
                let prepared = keep_rows(batch, rows, failures)?;
                written(prepared, *then)
            }
            (Self::Select { features }, Source::Columns(_)) => {
                let batch = columns.ok_or_else(mismatch)?;
                let (batch, failures) = select(&batch, features)?;
                keep_rows(batch, rows, failures)
            }
            (Self::Whole { then }, Source::Columns(_)) => {
                let batch = columns.ok_or_else(mismatch)?;
                written(keep_rows(batch, rows, Vec::new())?, *then)
            }
            _ => Err(mismatch()),
        }
    }
}

fn mismatch() -> TransformError {
    TransformError::Internal("records came in a form that was not bound".to_owned())
}

pub(crate) fn internal(error: impl std::fmt::Display) -> TransformError {
    TransformError::Internal(error.to_string())
}

fn written(prepared: Prepared, then: Option<TextFormat>) -> Result<Prepared, TransformError> {
    let (Some(format), Records::Columns(batch)) = (then, &prepared.records) else {
        return Ok(prepared);
    };
    let lines = match format {
        TextFormat::Csv => to_csv(batch),
        TextFormat::JsonLines | TextFormat::Raw => to_json_lines(batch),
    };
    let lines = lines.map_err(|error| TransformError::configuration(error.to_string()))?;
    Ok(Prepared { records: Records::Lines(lines), ..prepared })
}

/// The places of the rows that did not fail; none if no row failed.
fn places(rows: usize, failures: &[RowFailure]) -> Option<Vec<u32>> {
    if failures.is_empty() {
        return None;
    }
    let mut good = vec![true; rows];
    for failure in failures {
        good[failure.row] = false;
    }
    Some((0..rows as u32).filter(|row| good[*row as usize]).collect())
}

fn keep_lines(lines: &Lines, rows: usize, failures: Vec<RowFailure>) -> Prepared {
    let kept = places(rows, &failures);
    let records = match &kept {
        None => lines.clone(),
        Some(kept) => {
            let mut builder = LinesBuilder::default();
            for row in kept {
                builder.push(lines.record(*row as usize));
            }
            builder.finish()
        }
    };
    Prepared { records: Records::Lines(records), kept, failures }
}

fn keep_rows(
    batch: RecordBatch,
    rows: usize,
    mut failures: Vec<RowFailure>,
) -> Result<Prepared, TransformError> {
    failures.sort_by_key(|failure| failure.row);
    failures.dedup_by_key(|failure| failure.row);
    let kept = places(rows, &failures);
    let batch = match &kept {
        None => batch,
        Some(kept) => {
            let mut mask = vec![false; rows];
            for row in kept {
                mask[*row as usize] = true;
            }
            filter_record_batch(&batch, &BooleanArray::from(mask)).map_err(internal)?
        }
    };
    Ok(Prepared { records: Records::Columns(batch), kept, failures })
}

/// Casts the columns to the features' types; rows that lack a feature or hold a value that can't be
/// cast are failures.
fn select(
    batch: &RecordBatch,
    features: &[Feature],
) -> Result<(RecordBatch, Vec<RowFailure>), TransformError> {
    let mut failures = Vec::new();
    let mut arrays = Vec::with_capacity(features.len());
    let mut fields = Vec::with_capacity(features.len());
    for ((feature, array), field) in
        features.iter().zip(batch.columns()).zip(batch.schema().fields())
    {
        let array = cast_feature(array, field.name(), feature, &mut failures)?;
        fields.push(Field::new(field.name(), feature.data_type.clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(internal)?;
    Ok((nulls_to_nan(batch, features)?, failures))
}

fn cast_feature(
    array: &ArrayRef,
    name: &str,
    feature: &Feature,
    failures: &mut Vec<RowFailure>,
) -> Result<ArrayRef, TransformError> {
    let options = CastOptions { safe: true, ..CastOptions::default() };
    let cast = if array.data_type() == &feature.data_type {
        Arc::clone(array)
    } else {
        cast_with_options(array, &feature.data_type, &options)
            .map_err(|error| TransformError::configuration(format!("column `{name}`: {error}")))?
    };
    if cast.logical_null_count() == 0 {
        return Ok(cast);
    }
    let before = array.logical_nulls();
    let after = cast.logical_nulls().unwrap_or_else(|| NullBuffer::new_valid(cast.len()));
    for row in 0..cast.len() {
        if after.is_valid(row) {
            continue;
        }
        let was_null = before.as_ref().is_some_and(|nulls| nulls.is_null(row));
        if !was_null {
            let message = format!(
                "column `{name}`: `{}` can't be converted to {}",
                shown(array, row),
                feature.data_type
            );
            failures.push(RowFailure { row, class: RejectClass::Type, message, attempts: 0 });
        } else if !feature.nullable {
            let message = format!("column `{name}` is null");
            let class = RejectClass::MissingFeature;
            failures.push(RowFailure { row, class, message, attempts: 0 });
        }
    }
    Ok(cast)
}

/// A value for a message, cut to 80 characters.
fn shown(array: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default();
    let text = ArrayFormatter::try_new(array.as_ref(), &options)
        .map(|formatter| formatter.value(row).to_string())
        .unwrap_or_default();
    text.chars().take(80).collect()
}

/// Null floats of features that know no null become NaN: they are here because `nulls_as_nan` let
/// them pass.
fn nulls_to_nan(batch: RecordBatch, features: &[Feature]) -> Result<RecordBatch, TransformError> {
    let concerned =
        |at: usize| batch.column(at).null_count() > 0 && batch.column(at).data_type().is_floating();
    if features.is_empty() || !(0..batch.num_columns()).any(concerned) {
        return Ok(batch);
    }
    let arrays = (0..batch.num_columns())
        .map(|at| {
            let array = batch.column(at);
            if !concerned(at) {
                return Arc::clone(array);
            }
            match array.data_type() {
                DataType::Float32 => {
                    let values = array.as_primitive::<Float32Type>();
                    let filled = values.iter().map(|value| value.unwrap_or(f32::NAN));
                    Arc::new(arrow::array::Float32Array::from_iter_values(filled)) as ArrayRef
                }
                DataType::Float64 => {
                    let values = array.as_primitive::<Float64Type>();
                    let filled = values.iter().map(|value| value.unwrap_or(f64::NAN));
                    Arc::new(arrow::array::Float64Array::from_iter_values(filled)) as ArrayRef
                }
                _ => Arc::clone(array),
            }
        })
        .collect();
    RecordBatch::try_new(batch.schema(), arrays).map_err(internal)
}

/// The rows `at` of `array`; a null where `at` is null.
pub(crate) fn take_rows(array: &ArrayRef, at: &UInt32Array) -> Result<ArrayRef, TransformError> {
    take(array.as_ref(), at, None).map_err(internal)
}
