//! The output columns: their names, and the rows that stand beside them.

use std::sync::Arc;

use arrow::{
    array::BooleanArray,
    compute::filter_record_batch,
    datatypes::{Field, Schema, SchemaRef},
    record_batch::RecordBatch,
};

use crate::{call::RowFailure, error::TransformError, input::internal};

/// The columns of an output file: some of the input's, then the model's.
#[derive(Debug, Clone)]
pub(crate) struct OutputColumns {
    /// Input columns that stand in the output.
    pub(crate) joined: Vec<Field>,
    /// The model's, prefixed.
    pub(crate) outputs: SchemaRef,
}

impl OutputColumns {
    pub(crate) fn new(joined: Vec<Field>, outputs: SchemaRef) -> Result<Self, TransformError> {
        for output in outputs.fields() {
            if joined.iter().any(|field| field.name() == output.name()) {
                return Err(TransformError::configuration(format!(
                    "output column `{}` is also a column of the input",
                    output.name()
                ))
                .with_hint(
                    "rename it with `--output-prefix`, or leave the input's out by `--join`",
                ));
            }
        }
        Ok(Self { joined, outputs })
    }

    pub(crate) fn schema(&self) -> SchemaRef {
        let outputs = self.outputs.fields().iter().map(|field| field.as_ref().clone());
        Arc::new(Schema::new(self.joined.iter().cloned().chain(outputs).collect::<Vec<_>>()))
    }

    /// The rows of an output: the joined columns of `input`, then `outputs`.
    pub(crate) fn rows(
        &self,
        input: Option<&RecordBatch>,
        outputs: &RecordBatch,
    ) -> Result<RecordBatch, TransformError> {
        let joined = input.map(RecordBatch::columns).unwrap_or_default();
        let arrays = joined.iter().chain(outputs.columns()).cloned().collect();
        RecordBatch::try_new(self.schema(), arrays).map_err(internal)
    }
}

/// The model's columns under the names that they get in the output; all may be null.
pub(crate) fn prefixed(outputs: &SchemaRef, prefix: &str) -> SchemaRef {
    let rename = |field: &Arc<Field>| {
        let name = format!("{prefix}{}", field.name());
        field.as_ref().clone().with_name(name).with_nullable(true)
    };
    Arc::new(Schema::new(outputs.fields().iter().map(rename).collect::<Vec<_>>()))
}

/// `batch` without the rows that failed.
pub(crate) fn keep_rows(
    batch: &RecordBatch,
    failures: &[RowFailure],
) -> Result<RecordBatch, TransformError> {
    if failures.is_empty() {
        return Ok(batch.clone());
    }
    let mut keep = vec![true; batch.num_rows()];
    for failure in failures {
        keep[failure.row] = false;
    }
    filter_record_batch(batch, &BooleanArray::from(keep)).map_err(internal)
}

/// The columns of `batch` under the names of `schema`.
pub(crate) fn renamed(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, TransformError> {
    RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec()).map_err(internal)
}
