//! Writes Parquet outputs whose columns are all encoded here.

use std::{fs::File, path::Path};

use arrow::{
    datatypes::{Schema, SchemaRef},
    record_batch::RecordBatch,
};
use parquet::{
    arrow::{ArrowSchemaConverter, ArrowWriter},
    basic::{Compression, Type},
    file::properties::{WriterProperties, WriterPropertiesBuilder},
    schema::types::SchemaDescriptor,
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
        let properties = properties(&parquet_schema(&schema)?, compression)
            .set_max_row_group_bytes(Some(group_bytes))
            .build();
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

/// The schema under which our own columns are written: types as Parquet knows them (a date of 64 bits
/// is but a number to it).
pub(crate) fn parquet_schema(schema: &Schema) -> Result<SchemaDescriptor, TransformError> {
    ArrowSchemaConverter::new().with_coerce_types(true).convert(schema).map_err(internal)
}

/// How our own columns are encoded: dictionaries only where values repeat, which floats rarely do, in
/// lists neither.
pub(crate) fn properties(
    schema: &SchemaDescriptor,
    compression: Compression,
) -> WriterPropertiesBuilder {
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_coerce_types(true)
        .set_created_by(concat!("bessemer version ", env!("CARGO_PKG_VERSION")).to_owned());
    for column in schema.columns() {
        if matches!(column.physical_type(), Type::FLOAT | Type::DOUBLE) {
            properties = properties.set_column_dictionary_enabled(column.path().clone(), false);
        }
    }
    properties
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{Array, FixedSizeListArray, Float32Array, Int64Array},
        datatypes::{DataType, Field},
    };
    use parquet::{
        basic::Encoding,
        file::reader::{FileReader, SerializedFileReader},
    };

    use super::*;

    #[test]
    fn floats_have_no_dictionary_in_lists_either() {
        let item = Arc::new(Field::new_list_field(DataType::Float32, false));
        let values = Arc::new(Float32Array::from(vec![0.5; 4]));
        let lists = FixedSizeListArray::new(Arc::clone(&item), 2, values, None);
        let schema = Arc::new(Schema::new(vec![
            Field::new("label", DataType::Int64, false),
            Field::new("probabilities", lists.data_type().clone(), false),
        ]));
        let labels = Arc::new(Int64Array::from(vec![1, 1]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![labels, Arc::new(lists)]);
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut output =
            ParquetOutput::create(file.path(), schema, Compression::UNCOMPRESSED, 1 << 20).unwrap();
        output.write(&batch.unwrap()).unwrap();
        output.finish().unwrap();
        let reader = SerializedFileReader::try_from(file.path()).unwrap();
        let has_dictionary = |column: usize| {
            let chunk = reader.metadata().row_group(0).column(column);
            chunk.encodings().any(|encoding| encoding == Encoding::RLE_DICTIONARY)
        };
        assert!(has_dictionary(0) && !has_dictionary(1));
    }
}
