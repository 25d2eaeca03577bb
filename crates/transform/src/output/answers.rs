//! The columns of the model's answers: said beforehand, given by the user, or fixed by the first
//! answer; later answers must fit them.

use std::sync::Arc;

use arrow::{
    compute::{CastOptions, cast_with_options},
    datatypes::{DataType, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use bessemer_domain::RejectClass;

use crate::{answers::AnswerDecoder, records::Lines, text::to_columns::RowError};

/// Turns answers into rows of the output columns.
#[derive(Debug)]
pub(crate) struct Answers {
    decoder: AnswerDecoder,
    /// Whether the user named the columns: then values are converted to them where possible.
    given: bool,
}

impl Answers {
    pub(crate) fn new(schema: Option<SchemaRef>, given: bool) -> Self {
        let schema = schema.map(|schema| Schema::new(schema.fields().clone()));
        Self { decoder: AnswerDecoder::new(schema), given }
    }

    /// The columns, once they are known.
    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.decoder.schema().cloned()
    }

    /// Fixes the columns to `schema` unless they are known.
    pub(crate) fn settle(&self, schema: &Schema) -> SchemaRef {
        Arc::clone(self.decoder.settle(schema))
    }

    /// JSON answers as rows.
    pub(crate) fn decode(&self, lines: &Lines) -> (RecordBatch, Vec<(usize, RowError)>) {
        self.decoder.decode(lines)
    }

    /// Columnar answers as rows of the output columns. Columns of other names, or of a type that
    /// can't be converted without loss, fail all rows of the answer.
    pub(crate) fn fit(&self, batch: &RecordBatch) -> (RecordBatch, Vec<(usize, RowError)>) {
        let schema = match self.schema() {
            Some(schema) => schema,
            None => self.settle(&nullable(&batch.schema())),
        };
        match self.convert(batch, &schema) {
            Ok(batch) => (batch, Vec::new()),
            Err(message) => {
                let error = RowError { class: RejectClass::Output, message };
                let errors = (0..batch.num_rows()).map(|row| (row, error.clone())).collect();
                (nulls(&schema, batch.num_rows()), errors)
            }
        }
    }

    fn convert(&self, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, String> {
        if batch.num_columns() != schema.fields().len() {
            return Err(format!(
                "the model answered {} columns, the output has {}",
                batch.num_columns(),
                schema.fields().len()
            ));
        }
        let arrays = schema.fields().iter().zip(batch.columns()).enumerate();
        let arrays = arrays.map(|(at, (field, array))| {
            let name = batch.schema_ref().field(at).name();
            if name != field.name() && !self.given {
                return Err(format!(
                    "the model answered a column `{name}` in the place of `{}`",
                    field.name()
                ));
            }
            let (from, to) = (array.data_type(), field.data_type());
            if from == to {
                return Ok(Arc::clone(array));
            }
            if !self.given && !widens(from, to) {
                return Err(format!(
                    "the model answered `{name}` as {from}, the output column is {to}; name the \
                     columns' types with `--output-schema`"
                ));
            }
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(array, to, &options)
                .map_err(|error| format!("the model's `{name}` does not fit {to}: {error}"))
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(Arc::clone(schema), arrays).map_err(|error| error.to_string())
    }
}

fn nullable(schema: &SchemaRef) -> Schema {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// Rows without a value.
pub(crate) fn nulls(schema: &SchemaRef, rows: usize) -> RecordBatch {
    let arrays =
        schema.fields().iter().map(|field| arrow::array::new_null_array(field.data_type(), rows));
    RecordBatch::try_new(Arc::clone(schema), arrays.collect())
        .expect("null arrays fit their own schema")
}

/// Whether every value of `from` is one of `to`.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Float32, Float64, Int8, Int16, Int32, Int64, LargeUtf8, Null, UInt8, UInt16, UInt32, Utf8,
    };
    match (from, to) {
        (Null, _)
        | (Utf8, LargeUtf8)
        | (LargeUtf8, Utf8)
        | (Int8 | Int16 | UInt8 | UInt16, Int32 | Int64 | Float32 | Float64)
        | (Int32 | UInt32, Int64 | Float64)
        // Whole numbers of pandas columns that later hold fractions: exact up to 2^53.
        | (Float32 | Int64, Float64) => true,
        (DataType::List(from), DataType::List(to)) => widens(from.data_type(), to.data_type()),
        _ => false,
    }
}
