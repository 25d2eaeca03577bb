//! An opened input file: its format, its columns, and what is known of its size.

use std::path::Path;

use arrow::datatypes::SchemaRef;
use bessemer_objects::{Input, LocalCopy, Objects};
use parquet::{
    arrow::arrow_reader::ArrowReaderMetadata,
    file::metadata::{ParquetMetaData, RowGroupMetaData},
};

use super::{page_index, source::ParquetSource};
use crate::{
    error::FileError,
    settings::Settings,
    text::{
        detect::{Compression, Format, detect},
        reader::{TextOptions, TextReader},
    },
};

/// An input file that has been opened.
pub(crate) struct InputFile {
    pub(crate) input: Input,
    /// Where its bytes are on this machine.
    pub(crate) copy: LocalCopy,
    pub(crate) contents: Contents,
}

/// What a file holds.
pub(crate) enum Contents {
    Parquet { source: ParquetSource, metadata: ArrowReaderMetadata },
    Text { options: TextOptions, header: Option<Vec<String>> },
}

impl InputFile {
    /// Opens `input`, fetching it first if it is remote.
    pub(crate) fn open(
        input: &Input,
        objects: &Objects,
        scratch: &Path,
        settings: &Settings,
    ) -> Result<Self, FileError> {
        let copy = objects
            .fetch(input, scratch)
            .map_err(|error| FileError::Unreadable(error.to_string()))?;
        let unreadable = |error: &dyn std::fmt::Display| FileError::Unreadable(error.to_string());
        let (format, compression) =
            detect(copy.path(), &input.relative, settings.input_format, settings.compression)
                .map_err(|error| unreadable(&error))?;
        let contents = match format {
            Format::Parquet => {
                let source =
                    ParquetSource::open(copy.path()).map_err(|error| unreadable(&error))?;
                let metadata = page_index::load(&source)?;
                check_plain(metadata.metadata())?;
                Contents::Parquet { source, metadata }
            }
            Format::JsonLines | Format::Csv | Format::Lines => {
                let options = TextOptions {
                    format,
                    compression,
                    csv_header: settings.csv_header,
                    max_record: settings.max_record(),
                };
                let reader =
                    TextReader::open(copy.path(), &options).map_err(|error| unreadable(&error))?;
                let header = reader.header().map(<[String]>::to_vec);
                Contents::Text { options, header }
            }
        };
        Ok(Self { input: input.clone(), copy, contents })
    }

    pub(crate) fn format(&self) -> Format {
        match &self.contents {
            Contents::Parquet { .. } => Format::Parquet,
            Contents::Text { options, .. } => options.format,
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        match &self.contents {
            Contents::Parquet { .. } => Compression::None,
            Contents::Text { options, .. } => options.compression,
        }
    }

    /// The header of a CSV file that has one.
    pub(crate) fn header(&self) -> Option<&[String]> {
        match &self.contents {
            Contents::Text { header, .. } => header.as_deref(),
            Contents::Parquet { .. } => None,
        }
    }

    /// The columns of a Parquet file.
    pub(crate) fn schema(&self) -> Option<&SchemaRef> {
        match &self.contents {
            Contents::Parquet { metadata, .. } => Some(metadata.schema()),
            Contents::Text { .. } => None,
        }
    }
}

/// Refuses a file whose footer is plain but whose columns are encrypted, all or some.
fn check_plain(metadata: &ParquetMetaData) -> Result<(), FileError> {
    let mut chunks = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    match chunks.find(|chunk| chunk.crypto_metadata().is_some()) {
        Some(chunk) => Err(FileError::Unreadable(format!(
            "its column `{}` is encrypted, which is not read; decrypt it first",
            chunk.column_path().string()
        ))),
        None => Ok(()),
    }
}
