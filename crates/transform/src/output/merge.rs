//! Puts the records that a replay delivered into their places in an output file, as a new file.

use std::{
    collections::BTreeSet,
    fs::File,
    path::{Path, PathBuf},
};

use arrow::{
    array::{Array, ArrayRef},
    compute::{cast, interleave},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use parquet::{
    arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
    file::metadata::ColumnChunkMetaData,
};

use super::{parquet::ParquetOutput, text::TextOutput};
use crate::{
    error::{FileError, TransformError},
    input::internal,
    records::Lines,
    settings::Rejected,
    text::{
        detect::{Compression, Format},
        reader::{CsvHeader, TextOptions, TextReader},
    },
};

/// Rows merged at a time.
const ROWS: usize = 8192;

/// What is merged.
pub(crate) struct Patch {
    /// The output as it is.
    pub(crate) output: PathBuf,
    /// The records that a replay delivered, in order, written as the output is.
    pub(crate) mended_rows: PathBuf,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    /// What the output holds in the place of a rejected record.
    pub(crate) rejected: Rejected,
    /// The numbers of the records that were rejected before.
    pub(crate) before: BTreeSet<u64>,
    /// Those of them that are in the patch.
    pub(crate) mended: BTreeSet<u64>,
    /// The records of the input.
    pub(crate) rows: u64,
}

/// Writes the merged output to `path`.
pub(crate) fn merge(patch: &Patch, path: &Path) -> Result<(), FileError> {
    let places = Places::new(patch);
    if patch.format == Format::Parquet {
        merge_parquet(patch, places, path)
    } else {
        merge_text(patch, places, path)
    }
}

/// Where the next row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Output,
    Patch,
    /// The output's row makes way for the patch's.
    PatchInPlace,
}

/// Tells, record by record of the input, what stands in the merged output.
struct Places<'a> {
    patch: &'a Patch,
    next: u64,
}

impl<'a> Places<'a> {
    fn new(patch: &'a Patch) -> Self {
        Self { patch, next: 0 }
    }
}

impl Iterator for Places<'_> {
    type Item = From;

    fn next(&mut self) -> Option<From> {
        while self.next < self.patch.rows {
            let row = self.next;
            self.next += 1;
            let mended = self.patch.mended.contains(&row);
            match self.patch.rejected {
                Rejected::Keep if mended => return Some(From::PatchInPlace),
                Rejected::Drop if mended => return Some(From::Patch),
                Rejected::Drop if self.patch.before.contains(&row) => {}
                _ => return Some(From::Output),
            }
        }
        None
    }
}

/// Rows of a Parquet file, one by one.
struct Rows {
    batches: ParquetRecordBatchReader,
    batch: Option<RecordBatch>,
    at: usize,
}

impl Rows {
    /// Steps to the next row; its batch is `batch`, its place `at - 1`.
    fn step(&mut self) -> Result<bool, FileError> {
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.num_rows()) {
            let Some(batch) = self.batches.next() else { return Ok(false) };
            self.batch = Some(batch.map_err(|error| FileError::Unreadable(error.to_string()))?);
            self.at = 0;
        }
        self.at += 1;
        Ok(true)
    }
}

fn merge_parquet(patch: &Patch, places: Places<'_>, path: &Path) -> Result<(), FileError> {
    let open = |path: &Path| -> Result<_, FileError> {
        let file = File::open(path).map_err(TransformError::io("open", path))?;
        Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(ROWS))
    };
    let output = open(&patch.output)?;
    let schema = output.schema().clone();
    let codec = output
        .metadata()
        .row_groups()
        .first()
        .and_then(|group| group.columns().first())
        .map_or(parquet::basic::Compression::SNAPPY, ColumnChunkMetaData::compression);
    let mut writer = ParquetOutput::create(path, schema.clone(), codec, 16 << 20)?;
    let mut sources = [
        Rows { batches: output.build()?, batch: None, at: 0 },
        Rows { batches: open(&patch.mended_rows)?.build()?, batch: None, at: 0 },
    ];
    let mut held: Vec<RecordBatch> = Vec::new();
    let mut holders: [Option<usize>; 2] = [None, None];
    let mut picks: Vec<(usize, usize)> = Vec::new();
    let mut flush = |held: &mut Vec<RecordBatch>, picks: &mut Vec<(usize, usize)>| {
        let rows = gather(held, picks, &schema)?;
        held.clear();
        picks.clear();
        writer.write(&rows)
    };
    let mut step = |which: usize,
                    held: &mut Vec<RecordBatch>,
                    holders: &mut [Option<usize>; 2]|
     -> Result<(usize, usize), FileError> {
        let rows = &mut sources[which];
        let fresh = rows.batch.as_ref().is_none_or(|batch| rows.at >= batch.num_rows());
        if !rows.step()? {
            return Err(changed(patch));
        }
        if fresh {
            holders[which] = None;
        }
        let at = rows.at - 1;
        let holder = match (holders[which], &rows.batch) {
            (Some(holder), _) => holder,
            (None, Some(batch)) => {
                held.push(batch.clone());
                holders[which] = Some(held.len() - 1);
                held.len() - 1
            }
            (None, None) => return Err(changed(patch)),
        };
        Ok((holder, at))
    };
    for place in places {
        let pick = match place {
            From::Output => step(0, &mut held, &mut holders)?,
            From::Patch => step(1, &mut held, &mut holders)?,
            From::PatchInPlace => {
                step(0, &mut held, &mut holders)?;
                step(1, &mut held, &mut holders)?
            }
        };
        picks.push(pick);
        if picks.len() >= ROWS {
            flush(&mut held, &mut picks)?;
            holders = [None, None];
        }
    }
    flush(&mut held, &mut picks)?;
    if sources[0].step()? {
        return Err(changed(patch));
    }
    Ok(writer.finish()?)
}

fn gather(
    held: &[RecordBatch],
    picks: &[(usize, usize)],
    schema: &arrow::datatypes::SchemaRef,
) -> Result<RecordBatch, TransformError> {
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let arrays = held.iter().map(|batch| {
            let array = batch
                .columns()
                .get(at)
                .ok_or_else(|| internal("a replayed record has other columns than the output"))?;
            if array.data_type() == field.data_type() {
                Ok(array.clone())
            } else {
                cast(array, field.data_type()).map_err(internal)
            }
        });
        let arrays = arrays.collect::<Result<Vec<ArrayRef>, TransformError>>()?;
        if picks.is_empty() {
            return Ok(arrow::array::new_empty_array(field.data_type()));
        }
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        interleave(&arrays, picks).map_err(internal)
    });
    let columns = columns.collect::<Result<Vec<_>, TransformError>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(picks.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(internal)
}

/// Records of a text file, one by one.
struct Records {
    reader: TextReader,
    lines: Option<Lines>,
    at: usize,
}

impl Records {
    fn step(&mut self) -> Result<Option<&[u8]>, FileError> {
        while self.lines.as_ref().is_none_or(|lines| self.at >= lines.len()) {
            let chunk = self
                .reader
                .next_chunk(ROWS, 1 << 22)
                .map_err(|error| FileError::Unreadable(error.to_string()))?;
            let Some(chunk) = chunk else { return Ok(None) };
            self.lines = Some(chunk.lines);
            self.at = 0;
        }
        self.at += 1;
        Ok(self.lines.as_ref().map(|lines| lines.record(self.at - 1)))
    }
}

fn merge_text(patch: &Patch, places: Places<'_>, path: &Path) -> Result<(), FileError> {
    let open = |path: &Path| -> Result<_, FileError> {
        let options = TextOptions {
            // Lines are taken as they are; only CSV records can go over several lines.
            format: if patch.format == Format::Csv { Format::Csv } else { Format::Lines },
            compression: patch.compression,
            csv_header: CsvHeader::No,
            max_record: usize::MAX,
        };
        let reader = TextReader::open(path, &options)
            .map_err(|error| FileError::Unreadable(error.to_string()))?;
        Ok(Records { reader, lines: None, at: 0 })
    };
    let (mut output, mut mended) = (open(&patch.output)?, open(&patch.mended_rows)?);
    let mut writer = TextOutput::create(path, patch.compression)?;
    let mut text = Vec::new();
    if patch.format == Format::Csv {
        // Both begin with the same header, or with records, which differ: one was rejected.
        let first = mended.step()?.map(<[u8]>::to_vec);
        let header = output.step()?.is_some_and(|line| Some(line) == first.as_deref());
        if header {
            text.extend_from_slice(&first.unwrap_or_default());
            text.push(b'\n');
        } else {
            output.at = 0;
            mended.at = 0;
        }
    }
    for place in places {
        if place == From::PatchInPlace && output.step()?.is_none() {
            return Err(changed(patch));
        }
        let record = if place == From::Output { output.step()? } else { mended.step()? };
        text.extend_from_slice(record.ok_or_else(|| changed(patch))?);
        text.push(b'\n');
        if text.len() >= 1 << 18 {
            writer.write(&text)?;
            text.clear();
        }
    }
    writer.write(&text)?;
    if output.step()?.is_some() {
        return Err(changed(patch));
    }
    Ok(writer.finish()?)
}

fn changed(patch: &Patch) -> FileError {
    FileError::Unreadable(format!(
        "`{}` has another number of rows than the run wrote; run it anew with `--overwrite`",
        patch.output.display()
    ))
}
