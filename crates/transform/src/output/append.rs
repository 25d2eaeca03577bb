//! Parquet to Parquet without re-encoding: row i of the output is row i of the input, so the input's
//! column chunks are copied as encoded bytes and only the new columns are encoded, beside them, in
//! the same row groups.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufWriter, Sink as Nowhere},
    ops::Range,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use bytes::Bytes;
use parquet::{
    arrow::{
        arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder},
        arrow_writer::{
            ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
        },
    },
    basic::Compression,
    column::writer::ColumnCloseResult,
    file::{
        metadata::ColumnChunkMetaData,
        page_index::column_index::ColumnIndexMetaData,
        properties::EnabledStatistics,
        reader::{ChunkReader, Length},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
};

use super::{
    copied_schema::{has_page_index, whole_schema},
    parquet::{parquet_schema, properties, written},
    spill::SpillFactory,
};
use crate::{
    error::TransformError,
    input::{ParquetSource, SourceReader, internal},
};

/// Bytes copied at a time.
const COPY: usize = 1 << 20;
/// What a small file may grow by: the new columns and their part of the footer.
const ROOM: usize = 64 << 10;

/// An output file to which row groups are added in order, whatever the order they come in.
pub(crate) struct Appender {
    source: CopySource,
    metadata: ArrowReaderMetadata,
    indexed: bool,
    state: Mutex<State>,
}

struct State {
    /// None while a thread is writing.
    writer: Option<SerializedFileWriter<BufWriter<File>>>,
    next: usize,
    waiting: BTreeMap<usize, Vec<ArrowColumnChunk>>,
}

/// Encodes the new columns of consecutive row groups.
pub(crate) struct NewColumns {
    schema: SchemaRef,
    factory: ArrowRowGroupWriterFactory,
    group: usize,
    writers: Vec<ArrowColumnWriter>,
    rows_left: usize,
}

impl Appender {
    /// Starts an output at `path` that holds all columns of the input, whose bytes are `source`, and
    /// then `outputs`.
    pub(crate) fn create(
        path: &Path,
        source: ParquetSource,
        metadata: &ArrowReaderMetadata,
        outputs: &SchemaRef,
    ) -> Result<Self, TransformError> {
        let file = File::create(path).map_err(TransformError::io("create", path))?;
        let (root, properties) = whole_schema(metadata, outputs)?;
        let buffered = BufWriter::with_capacity(COPY.min(source.len() as usize + ROOM), file);
        let writer =
            SerializedFileWriter::new(buffered, root, Arc::new(properties)).map_err(written)?;
        let state = State { writer: Some(writer), next: 0, waiting: BTreeMap::new() };
        let source = CopySource { source, ahead: Arc::default() };
        let indexed = has_page_index(metadata.metadata());
        Ok(Self { source, metadata: metadata.clone(), indexed, state: Mutex::new(state) })
    }

    /// Takes the encoded new columns of row group `group`. Whoever completes a run of row groups
    /// writes it; others go on meanwhile.
    pub(crate) fn deliver(
        &self,
        group: usize,
        chunks: Vec<ArrowColumnChunk>,
    ) -> Result<(), TransformError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting.insert(group, chunks);
        let Some(mut writer) = state.writer.take() else { return Ok(()) };
        loop {
            let next = state.next;
            let Some(chunks) = state.waiting.remove(&next) else { break };
            state.next += 1;
            drop(state);
            self.write_group(&mut writer, next, chunks)?;
            state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = Some(writer);
        Ok(())
    }

    /// Ends the file, after the last row group was delivered.
    pub(crate) fn finish(&self) -> Result<(), TransformError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = || TransformError::Internal("an output was ended too early".to_owned());
        if state.next != self.metadata.metadata().num_row_groups() {
            return Err(missing());
        }
        let writer = state.writer.take().ok_or_else(missing)?;
        writer.close().map_err(written)?;
        Ok(())
    }

    fn write_group(
        &self,
        writer: &mut SerializedFileWriter<BufWriter<File>>,
        group: usize,
        chunks: Vec<ArrowColumnChunk>,
    ) -> Result<(), TransformError> {
        let mut row_group = writer.next_row_group().map_err(written)?;
        let columns = self.metadata.metadata().row_group(group).num_columns();
        for column in 0..columns {
            self.copy_column(&mut row_group, group, column)?;
        }
        for chunk in chunks {
            chunk.append_to_row_group(&mut row_group).map_err(written)?;
        }
        row_group.close().map_err(written)?;
        Ok(())
    }

    fn copy_column(
        &self,
        row_group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
        group: usize,
        column: usize,
    ) -> Result<(), TransformError> {
        let metadata = self.metadata.metadata();
        let chunk = metadata.row_group(group).column(column);
        let bloom_filter = match chunk.bloom_filter_offset() {
            Some(_) => {
                let source = self.source.source.clone();
                ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.metadata.clone())
                    .get_row_group_column_bloom_filter(group, column)
                    .map_err(internal)?
            }
            None => None,
        };
        let column_index = metadata
            .column_index()
            .and_then(|index| index.get(group)?.get(column).cloned())
            .filter(|index| self.indexed && !matches!(index, ColumnIndexMetaData::NONE));
        let offset_index = metadata
            .offset_index()
            .and_then(|index| index.get(group)?.get(column).cloned())
            .filter(|_| self.indexed);
        let close = ColumnCloseResult {
            bytes_written: chunk.compressed_size() as u64,
            rows_written: metadata.row_group(group).num_rows() as u64,
            metadata: placed(chunk)?,
            bloom_filter,
            column_index,
            offset_index,
        };
        row_group.append_column(&self.source, close).map_err(written)
    }
}

/// A chunk's metadata with a place for its data pages: some writers give 0 to a chunk that has none
/// but a dictionary.
fn placed(chunk: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData, TransformError> {
    match chunk.dictionary_page_offset() {
        Some(dictionary) if chunk.data_page_offset() <= 0 => chunk
            .clone()
            .into_builder()
            .set_data_page_offset(dictionary + chunk.compressed_size())
            .build()
            .map_err(internal),
        _ => Ok(chunk.clone()),
    }
}

impl NewColumns {
    /// Encodes for the row groups of `input` from `group` on. Pages that wait beyond `spill`'s limit
    /// go to disk.
    pub(crate) fn new(
        schema: &SchemaRef,
        compression: Compression,
        input: &ArrowReaderMetadata,
        group: usize,
        spill: Arc<SpillFactory>,
    ) -> Result<Self, TransformError> {
        let root = parquet_schema(schema)?;
        let indexed = has_page_index(input.metadata());
        let statistics = if indexed { EnabledStatistics::Page } else { EnabledStatistics::Chunk };
        let properties = properties(&root, compression)
            .set_offset_index_disabled(!indexed)
            .set_statistics_enabled(statistics)
            .build();
        let properties = Arc::new(properties);
        // Only the column writers are of use: the file that they would belong to goes nowhere.
        let nowhere: SerializedFileWriter<Nowhere> =
            SerializedFileWriter::new(std::io::sink(), root.root_schema_ptr(), properties)
                .map_err(internal)?;
        let factory = ArrowRowGroupWriterFactory::new(&nowhere, Arc::clone(schema))
            .with_page_store_factory(spill);
        Ok(Self { schema: Arc::clone(schema), factory, group, writers: Vec::new(), rows_left: 0 })
    }

    /// Encodes `batch`, which may go over row groups; complete ones are delivered.
    pub(crate) fn write(
        &mut self,
        batch: &RecordBatch,
        appender: &Appender,
    ) -> Result<(), TransformError> {
        let mut start = 0;
        while start < batch.num_rows() {
            if self.writers.is_empty() {
                self.start_group(appender)?;
            }
            let rows = self.rows_left.min(batch.num_rows() - start);
            self.encode(&batch.slice(start, rows))?;
            start += rows;
            self.rows_left -= rows;
            if self.rows_left == 0 {
                self.end_group(appender)?;
            }
        }
        Ok(())
    }

    /// Delivers row groups without rows up to `end`, which no batch reaches.
    pub(crate) fn finish(&mut self, end: usize, appender: &Appender) -> Result<(), TransformError> {
        while self.group < end {
            self.open_group(appender)?;
            if self.rows_left > 0 {
                return Err(TransformError::Internal("an output row is missing".to_owned()));
            }
            self.end_group(appender)?;
        }
        Ok(())
    }

    fn start_group(&mut self, appender: &Appender) -> Result<(), TransformError> {
        loop {
            self.open_group(appender)?;
            if self.rows_left > 0 {
                return Ok(());
            }
            self.end_group(appender)?;
        }
    }

    fn open_group(&mut self, appender: &Appender) -> Result<(), TransformError> {
        let groups = appender.metadata.metadata().row_groups();
        let group = groups
            .get(self.group)
            .ok_or_else(|| TransformError::Internal("an output row is too much".to_owned()))?;
        self.rows_left = group.num_rows() as usize;
        self.writers = self.factory.create_column_writers(self.group).map_err(internal)?;
        Ok(())
    }

    fn encode(&mut self, rows: &RecordBatch) -> Result<(), TransformError> {
        let mut writers = self.writers.iter_mut();
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            for leaf in compute_leaves(field, column).map_err(internal)? {
                let writer =
                    writers.next().ok_or_else(|| internal("a column writer is missing"))?;
                writer.write(&leaf).map_err(written)?;
            }
        }
        Ok(())
    }

    fn end_group(&mut self, appender: &Appender) -> Result<(), TransformError> {
        let chunks = self.writers.drain(..).map(ArrowColumnWriter::close);
        let chunks = chunks.collect::<Result<Vec<_>, _>>().map_err(written)?;
        appender.deliver(self.group, chunks)?;
        self.group += 1;
        Ok(())
    }
}

/// The input as it is copied: column chunks lie one behind the other, so what was read ahead for one
/// is the start of the next.
struct CopySource {
    source: ParquetSource,
    ahead: Arc<Mutex<ReadAhead>>,
}

/// The bytes of a file from `start` on that are in memory.
#[derive(Default)]
struct ReadAhead {
    start: u64,
    bytes: Vec<u8>,
}

impl Length for CopySource {
    fn len(&self) -> u64 {
        self.source.len()
    }
}

impl ChunkReader for CopySource {
    type T = CopyReader;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(match &self.source {
            ParquetSource::Memory(_) => CopyReader::Memory(self.source.get_read(start)?),
            ParquetSource::File { file, length } => CopyReader::File {
                file: Arc::clone(file),
                ahead: Arc::clone(&self.ahead),
                rest: start..*length,
            },
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.source.get_bytes(start, length)
    }
}

/// Reads a [`CopySource`] from some place on.
enum CopyReader {
    Memory(SourceReader),
    File { file: Arc<File>, ahead: Arc<Mutex<ReadAhead>>, rest: Range<u64> },
}

impl std::io::Read for CopyReader {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::Memory(reader) => reader.read(buffer),
            Self::File { rest, .. } if rest.is_empty() => Ok(0),
            Self::File { file, ahead, rest } => {
                let mut ahead = ahead.lock().unwrap_or_else(PoisonError::into_inner);
                let from = ahead.at(file, rest)?;
                let read = from.len().min(buffer.len());
                buffer[..read].copy_from_slice(&from[..read]);
                rest.start += read as u64;
                Ok(read)
            }
        }
    }
}

impl ReadAhead {
    /// The bytes at the start of `rest`, of which there is at least one.
    fn at(&mut self, file: &File, rest: &Range<u64>) -> std::io::Result<&[u8]> {
        let end = self.start + self.bytes.len() as u64;
        if !(self.start..end).contains(&rest.start) {
            self.bytes.resize((rest.end - rest.start).min(COPY as u64) as usize, 0);
            if let Err(error) = file.read_exact_at(&mut self.bytes, rest.start) {
                self.bytes.clear();
                return Err(error);
            }
            self.start = rest.start;
        }
        Ok(&self.bytes[(rest.start - self.start) as usize..])
    }
}
