//! Loads a Parquet file's metadata with its page index, also where row groups without rows have none.

use std::sync::Arc;

use parquet::{
    arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions},
    errors::Result,
    file::{
        metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData},
        page_index::{column_index::ColumnIndexMetaData, offset_index::OffsetIndexMetaData},
    },
};

use super::source::ParquetSource;

const POLICY: PageIndexPolicy = PageIndexPolicy::Optional;

/// The metadata of `file`, with its page index if every column chunk with rows has one.
pub(crate) fn load(file: &ParquetSource) -> Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_page_index_policy(POLICY);
    let loaded = ArrowReaderMetadata::load(file, options.clone())?;
    match with_gaps(loaded.metadata(), file)? {
        Some(metadata) => ArrowReaderMetadata::try_new(Arc::new(metadata), options),
        None => Ok(loaded),
    }
}

/// The reader leaves out the whole index if a chunk has none, so it is asked for the row groups with
/// rows alone. The others get an empty one.
fn with_gaps(metadata: &ParquetMetaData, file: &ParquetSource) -> Result<Option<ParquetMetaData>> {
    let groups = metadata.row_groups();
    let is_empty = |group: &RowGroupMetaData| group.num_rows() == 0;
    let mut chunks = groups.iter().flat_map(RowGroupMetaData::columns);
    if metadata.offset_index().is_some()
        || !groups.iter().any(is_empty)
        || !chunks.any(|chunk| chunk.offset_index_offset().is_some())
    {
        return Ok(None);
    }
    let filled = groups.iter().filter(|group| !is_empty(group)).cloned().collect();
    let filled = ParquetMetaData::new(metadata.file_metadata().clone(), filled);
    let mut reader =
        ParquetMetaDataReader::new_with_metadata(filled).with_page_index_policy(POLICY);
    reader.read_page_indexes(file)?;
    let filled = reader.finish()?;
    let (Some(columns), Some(offsets)) = (filled.column_index(), filled.offset_index()) else {
        return Ok(None);
    };
    let (mut columns, mut offsets) = (columns.iter().cloned(), offsets.iter().cloned());
    let none =
        OffsetIndexMetaData { page_locations: vec![], unencoded_byte_array_data_bytes: None };
    let (mut all_columns, mut all_offsets) = (Vec::new(), Vec::new());
    for group in groups {
        if is_empty(group) {
            all_columns.push(vec![ColumnIndexMetaData::NONE; group.num_columns()]);
            all_offsets.push(vec![none.clone(); group.num_columns()]);
        } else {
            all_columns.extend(columns.next());
            all_offsets.extend(offsets.next());
        }
    }
    let builder = metadata.clone().into_builder();
    let builder = builder.set_column_index(Some(all_columns)).set_offset_index(Some(all_offsets));
    Ok(Some(builder.build()))
}
