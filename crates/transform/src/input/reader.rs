//! Reads a file, or a part of it, in chunks.

use std::ops::Range;

use arrow::record_batch::RecordBatch;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderMetadata, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
        RowSelection, RowSelector,
    },
};

use super::{
    file::{Contents, InputFile},
    source::ParquetSource,
};
use crate::{
    call::RowFailure,
    error::FileError,
    records::{Lines, LinesBuilder},
    text::reader::TextReader,
};

/// Consecutive (or picked) records of one file.
#[derive(Debug, Clone)]
pub(crate) struct Chunk {
    pub(crate) rows: RowNumbers,
    pub(crate) source: Source,
    /// Records that could not be read, by their place in the chunk.
    pub(crate) bad: Vec<RowFailure>,
}

/// The place of a chunk's records in their file.
#[derive(Debug, Clone)]
pub(crate) enum RowNumbers {
    From(u64),
    Picked(Vec<u64>),
}

/// Records as they were read.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Columns(RecordBatch),
    Lines { lines: Lines, byte_offsets: Vec<u64> },
}

/// What bounds a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChunkLimits {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// Reads chunks in order.
pub(crate) enum Reader {
    Parquet { batches: ParquetRecordBatchReader, next_row: u64, picked: Option<Vec<u64>> },
    Text { reader: Box<TextReader>, picked: Option<Vec<u64>> },
}

impl Chunk {
    pub(crate) fn len(&self) -> usize {
        match &self.source {
            Source::Columns(batch) => batch.num_rows(),
            Source::Lines { lines, .. } => lines.len(),
        }
    }

    /// Bytes in memory, about.
    pub(crate) fn bytes(&self) -> u64 {
        let bytes = match &self.source {
            Source::Columns(batch) => batch.get_array_memory_size(),
            Source::Lines { lines, byte_offsets } => lines.text().len() + 8 * byte_offsets.len(),
        };
        bytes as u64
    }

    pub(crate) fn slice(&self, range: Range<usize>) -> Self {
        let rows = match &self.rows {
            RowNumbers::From(first) => RowNumbers::From(first + range.start as u64),
            RowNumbers::Picked(rows) => RowNumbers::Picked(rows[range.clone()].to_vec()),
        };
        let bad = self
            .bad
            .iter()
            .filter(|failure| range.contains(&failure.row))
            .map(|failure| RowFailure { row: failure.row - range.start, ..failure.clone() })
            .collect();
        let source = match &self.source {
            Source::Columns(batch) => Source::Columns(batch.slice(range.start, range.len())),
            Source::Lines { lines, byte_offsets } => Source::Lines {
                lines: lines.slice(range.clone()),
                byte_offsets: byte_offsets[range].to_vec(),
            },
        };
        Self { rows, source, bad }
    }

    /// Where record `index` starts in the (uncompressed) text; none in Parquet.
    pub(crate) fn byte_offset(&self, index: usize) -> Option<u64> {
        match &self.source {
            Source::Columns(_) => None,
            Source::Lines { byte_offsets, .. } => Some(byte_offsets[index]),
        }
    }
}

impl RowNumbers {
    /// The number of record `index` in its file, from 0.
    pub(crate) fn number(&self, index: usize) -> u64 {
        match self {
            Self::From(first) => first + index as u64,
            Self::Picked(rows) => rows[index],
        }
    }
}

impl Reader {
    /// Opens a reader on `file`. For Parquet: on `row_groups` (all if none), reading the root columns
    /// `columns` (all if none). With `picked`, only those records, in ascending order.
    pub(crate) fn open(
        file: &InputFile,
        row_groups: Option<Range<usize>>,
        columns: Option<&[usize]>,
        limits: ChunkLimits,
        picked: Option<Vec<u64>>,
    ) -> Result<Self, FileError> {
        match &file.contents {
            Contents::Parquet { source, metadata } => {
                open_parquet(source.clone(), metadata, row_groups, columns, limits, picked)
            }
            Contents::Text { options, .. } => {
                let reader = TextReader::open(file.copy.path(), options)
                    .map_err(|error| FileError::Unreadable(error.to_string()))?;
                Ok(Self::Text { reader: Box::new(reader), picked })
            }
        }
    }

    /// The next chunk, none at the end.
    pub(crate) fn next_chunk(&mut self, limits: ChunkLimits) -> Result<Option<Chunk>, FileError> {
        match self {
            Self::Parquet { batches, next_row, picked } => {
                let Some(batch) = batches.next() else { return Ok(None) };
                let batch = batch.map_err(|error| FileError::Unreadable(error.to_string()))?;
                let first = *next_row;
                *next_row += batch.num_rows() as u64;
                let rows = match picked {
                    None => RowNumbers::From(first),
                    Some(picked) => {
                        RowNumbers::Picked(picked[first as usize..*next_row as usize].to_vec())
                    }
                };
                Ok(Some(Chunk { rows, source: Source::Columns(batch), bad: Vec::new() }))
            }
            Self::Text { reader, picked } => loop {
                let chunk = reader
                    .next_chunk(limits.rows, limits.bytes)
                    .map_err(|error| FileError::Unreadable(error.to_string()))?;
                let Some(chunk) = chunk else { return Ok(None) };
                let bad = chunk
                    .bad
                    .into_iter()
                    .map(|bad| RowFailure {
                        row: bad.index,
                        class: bad.class,
                        message: bad.message,
                        attempts: 0,
                    })
                    .collect();
                let source = Source::Lines { lines: chunk.lines, byte_offsets: chunk.byte_offsets };
                let read = Chunk { rows: RowNumbers::From(chunk.first_row), source, bad };
                match picked {
                    None => return Ok(Some(read)),
                    Some(picked) => {
                        if let Some(chunk) = pick(&read, picked) {
                            return Ok(Some(chunk));
                        }
                    }
                }
            },
        }
    }
}

fn open_parquet(
    source: ParquetSource,
    metadata: &ArrowReaderMetadata,
    row_groups: Option<Range<usize>>,
    columns: Option<&[usize]>,
    limits: ChunkLimits,
    picked: Option<Vec<u64>>,
) -> Result<Reader, FileError> {
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(source, metadata.clone())
        .with_batch_size(limits.rows);
    if let Some(columns) = columns {
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    let mut next_row = 0;
    if let Some(row_groups) = row_groups {
        let groups = builder.metadata().row_groups();
        next_row = groups[..row_groups.start].iter().map(|group| group.num_rows() as u64).sum();
        builder = builder.with_row_groups(row_groups.collect());
    }
    if let Some(picked) = &picked {
        builder = builder.with_row_selection(selection(picked));
    }
    Ok(Reader::Parquet { batches: builder.build()?, next_row, picked })
}

/// The selection of `rows`, which ascend.
fn selection(rows: &[u64]) -> RowSelection {
    let mut selectors = Vec::new();
    let mut next = 0;
    for &row in rows {
        if row > next {
            selectors.push(RowSelector::skip((row - next) as usize));
        }
        selectors.push(RowSelector::select(1));
        next = row + 1;
    }
    RowSelection::from(selectors)
}

/// The records of `chunk` that are in `picked`, which ascends.
fn pick(chunk: &Chunk, picked: &[u64]) -> Option<Chunk> {
    let Source::Lines { lines, byte_offsets } = &chunk.source else { return None };
    let first = chunk.rows.number(0);
    let from = picked.partition_point(|row| *row < first);
    let to = picked.partition_point(|row| *row < first + lines.len() as u64);
    if from == to {
        return None;
    }
    let mut kept = LinesBuilder::default();
    let mut offsets = Vec::with_capacity(to - from);
    let mut bad = Vec::new();
    for (place, row) in picked[from..to].iter().enumerate() {
        let index = (row - first) as usize;
        kept.push(lines.record(index));
        offsets.push(byte_offsets[index]);
        if let Some(failure) = chunk.bad.iter().find(|failure| failure.row == index) {
            bad.push(RowFailure { row: place, ..failure.clone() });
        }
    }
    Some(Chunk {
        rows: RowNumbers::Picked(picked[from..to].to_vec()),
        source: Source::Lines { lines: kept.finish(), byte_offsets: offsets },
        bad,
    })
}
