//! Writes Parquet outputs whose columns are all encoded here.

use std::{fs::File, path::Path};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use parquet::{
    arrow::ArrowWriter,
    basic::Compression,
    file::properties::{WriterProperties, WriterPropertiesBuilder},
    schema::types::ColumnPath,
};

use crate::{error::TransformError, input::internal};

/// A Parquet file in the making.
pub(crate) struct ParquetOutput {
    writer: ArrowWriter<File>,
}

impl ParquetOutput {
    /// Starts a file at `path`. A row group ends at `group_bytes`, so that memory stays flat.
    pub(crate) fn create(
        path: &Path,
        schema: SchemaRef,
        compression: Compression,
        group_bytes: usize,
    ) -> Result<Self, TransformError> {
        let file = File::create(path).map_err(TransformError::io("create", path))?;
        let properties =
            properties(&schema, compression).set_max_row_group_bytes(Some(group_bytes)).build();
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(internal)?;
        Ok(Self { writer })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), TransformError> {
        self.writer.write(batch).map_err(written)
    }

    pub(crate) fn finish(self) -> Result<(), TransformError> {
        self.writer.close().map_err(written)?;
        Ok(())
    }
}

/// A full disk or a like failure of the system is named as such.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(crate) fn written(error: parquet::errors::ParquetError) -> TransformError {
    TransformError::output(format!("writing Parquet: {error}"))
}

/// How our own columns are encoded: dictionaries only where values repeat, which floats rarely do, and
/// types as Parquet knows them (a date of 64 bits is but a number to it).
pub(crate) fn properties(schema: &SchemaRef, compression: Compression) -> WriterPropertiesBuilder {
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_coerce_types(true)
        .set_created_by(concat!("bessemer version ", env!("CARGO_PKG_VERSION")).to_owned());
    for field in schema.fields() {
        if field.data_type().is_floating() {
            let path = ColumnPath::new(vec![field.name().clone()]);
            properties = properties.set_column_dictionary_enabled(path, false);
        }
    }
    properties
}
