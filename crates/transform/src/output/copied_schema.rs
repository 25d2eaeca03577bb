//! The schema and the metadata of an output whose columns are the input's, as they are, and new ones
//! behind them.

use std::sync::Arc;

use arrow::{
    datatypes::{Schema, SchemaRef},
    ipc::convert::try_schema_from_flatbuffer_bytes,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use parquet::{
    arrow::{
        ARROW_SCHEMA_META_KEY, add_encoded_arrow_schema_to_metadata,
        arrow_reader::ArrowReaderMetadata, parquet_to_arrow_schema,
    },
    file::{
        metadata::{ParquetMetaData, SortingColumn},
        properties::WriterProperties,
    },
    schema::types::{SchemaDescriptor, Type},
};

use super::parquet::parquet_schema;
use crate::{error::TransformError, input::internal};

/// The file's schema with the new columns behind it, and the properties that carry its metadata.
pub(super) fn whole_schema(
    metadata: &ArrowReaderMetadata,
    outputs: &SchemaRef,
) -> Result<(Arc<Type>, WriterProperties), TransformError> {
    let added = parquet_schema(outputs)?;
    let input = metadata.parquet_schema().root_schema();
    let fields = input.get_fields().iter().chain(added.root_schema().get_fields()).cloned();
    let root = Type::group_type_builder(input.name())
        .with_fields(fields.collect())
        .build()
        .map_err(internal)?;
    let file = metadata.metadata().file_metadata();
    let kept = file.key_value_metadata().map(|pairs| {
        pairs.iter().filter(|pair| pair.key != ARROW_SCHEMA_META_KEY).cloned().collect::<Vec<_>>()
    });
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("bessemer version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_offset_index_disabled(!has_page_index(metadata.metadata()))
        .set_key_value_metadata(kept)
        .set_sorting_columns(sorting(metadata.metadata()))
        .build();
    if let Some(schema) = arrow_schema(metadata, outputs, &added)? {
        add_encoded_arrow_schema_to_metadata(&schema, &mut properties);
    }
    Ok((Arc::new(root), properties))
}

/// Whether every column chunk with rows has an offset index: a file has all of them or none.
pub(super) fn has_page_index(metadata: &ParquetMetaData) -> bool {
    metadata.offset_index().is_some_and(|index| {
        index.len() == metadata.num_row_groups()
            && index.iter().zip(metadata.row_groups()).all(|(group, row_group)| {
                let empty = row_group.num_rows() == 0;
                group.len() == row_group.num_columns()
                    && group.iter().all(|chunk| empty || !chunk.page_locations().is_empty())
            })
    })
}

/// The order that all row groups share.
fn sorting(metadata: &ParquetMetaData) -> Option<Vec<SortingColumn>> {
    let mut orders = metadata.row_groups().iter().map(|group| group.sorting_columns());
    let first = orders.next()?;
    orders.all(|order| order == first).then_some(first?.clone())
}

/// The Arrow schema to store: none if the file has none and the new columns can do without, since
/// readers differ in what they make of a column that no schema tells of.
fn arrow_schema(
    metadata: &ArrowReaderMetadata,
    outputs: &SchemaRef,
    added: &SchemaDescriptor,
) -> Result<Option<Schema>, TransformError> {
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let stored =
        pairs.and_then(|pairs| pairs.iter().find(|pair| pair.key == ARROW_SCHEMA_META_KEY));
    if stored.is_none() {
        let told = parquet_to_arrow_schema(added, None).map_err(internal)?;
        let told = told.fields().iter().map(|field| field.data_type());
        let mut types = outputs.fields().iter().map(|field| field.data_type()).zip(told);
        if types.all(|(wanted, told)| wanted.equals_datatype(told)) {
            return Ok(None);
        }
    }
    let own = stored.and_then(|pair| decoded_schema(pair.value.as_ref()?, metadata.schema()));
    let own = own.unwrap_or_else(|| metadata.schema().as_ref().clone());
    let fields = own.fields().iter().chain(outputs.fields()).cloned().collect::<Vec<_>>();
    Ok(Some(Schema::new_with_metadata(fields, own.metadata)))
}

/// The Arrow schema that the file's writer stored. The reader's own, `known`, tells less, such as not
/// the zone of a timestamp of seconds, which Parquet stores as milliseconds.
fn decoded_schema(stored: &str, known: &Schema) -> Option<Schema> {
    let bytes = BASE64_STANDARD.decode(stored).ok()?;
    let message = if bytes.starts_with(&[0xff; 4]) { bytes.get(8..)? } else { &bytes };
    let schema = try_schema_from_flatbuffer_bytes(message).ok()?;
    let names = |schema: &Schema| {
        schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    (names(&schema) == names(known)).then_some(schema)
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::RecordBatch,
        datatypes::{DataType, Field, TimeUnit},
    };
    use bytes::Bytes;
    use parquet::arrow::{ArrowWriter, arrow_reader::ArrowReaderOptions};

    use super::*;

    /// The metadata of a file of one column, and that column's type.
    fn file(stored: bool) -> (ArrowReaderMetadata, DataType) {
        let kind = DataType::Timestamp(TimeUnit::Second, Some("Europe/Oslo".into()));
        let schema = Arc::new(Schema::new(vec![Field::new("at", kind.clone(), true)]));
        let mut bytes = Vec::new();
        let mut writer =
            ArrowWriter::try_new(&mut bytes, Arc::clone(&schema), None).expect("a writer");
        writer.write(&RecordBatch::new_empty(schema)).expect("a batch");
        writer.close().expect("a file");
        let options = ArrowReaderOptions::new();
        let metadata =
            ArrowReaderMetadata::load(&Bytes::from(bytes), options.clone()).expect("metadata");
        if stored {
            return (metadata, kind);
        }
        let mut plain = metadata.metadata().as_ref().clone().into_builder();
        let file = metadata.metadata().file_metadata();
        let file = parquet::file::metadata::FileMetaData::new(
            file.version(),
            0,
            None,
            None,
            file.schema_descr_ptr(),
            None,
        );
        plain = ParquetMetaData::new(file, plain.take_row_groups()).into_builder();
        let plain = ArrowReaderMetadata::try_new(Arc::new(plain.build()), options);
        (plain.expect("metadata"), kind)
    }

    fn stored_for(metadata: &ArrowReaderMetadata, output: DataType) -> Option<Schema> {
        let outputs = Arc::new(Schema::new(vec![Field::new("new", output, true)]));
        let (_, properties) = whole_schema(metadata, &outputs).expect("a schema");
        let pairs = properties.key_value_metadata()?;
        let pair = pairs.iter().find(|pair| pair.key == ARROW_SCHEMA_META_KEY)?;
        let fields = metadata.schema().fields().iter().chain(outputs.fields()).cloned();
        let known = Schema::new(fields.collect::<Vec<_>>());
        Some(decoded_schema(pair.value.as_ref()?, &known).expect("a schema that can be read"))
    }

    #[test]
    fn the_stored_schema_keeps_what_the_reader_does_not_know() {
        let (metadata, kind) = file(true);
        let stored = stored_for(&metadata, DataType::Float32).expect("a stored schema");
        assert_eq!(stored.field(0).data_type(), &kind);
        assert_eq!(stored.field(1).data_type(), &DataType::Float32);
    }

    #[test]
    fn a_schema_is_added_only_where_new_columns_need_it() {
        let (metadata, _) = file(false);
        assert_eq!(stored_for(&metadata, DataType::Float32), None);
        let list = DataType::new_list(DataType::Float32, true);
        assert_eq!(stored_for(&metadata, list), None);
        let stored = stored_for(&metadata, DataType::LargeUtf8).expect("a stored schema");
        assert_eq!(stored.field(1).data_type(), &DataType::LargeUtf8);
    }
}
