//! Rejected records: why, where, and what they hold. One Parquet file for each input that has any.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray},
    datatypes::{DataType, Field, Int32Type, Int64Type, Schema, SchemaRef},
    record_batch::RecordBatch,
};
use bessemer_objects::{Location, Objects};
use bytes::Bytes;
use parquet::{
    arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder},
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};

use super::{folder::REJECTS, parquet::written};
use crate::{
    error::TransformError,
    input::{Chunk, Source, internal},
    text::{csv, from_columns::to_json_lines},
    work::Scored,
};

/// Rejects held in memory before they are written.
const BUFFERED: usize = 1024;

/// A message is cut to this many bytes.
const MESSAGE: usize = 1000;

static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        Field::new("file", DataType::Utf8, false),
        Field::new("row", DataType::Int64, false),
        Field::new("byte_offset", DataType::Int64, true),
        Field::new("error_class", DataType::Utf8, false),
        Field::new("message", DataType::Utf8, false),
        Field::new("attempts", DataType::Int32, false),
        Field::new("record", DataType::Utf8, true),
    ]))
});

/// A rejected record as it is kept in `_rejects/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectRecord {
    /// The input file, by its name below the input folder.
    pub file: String,
    /// The record's number in the file, from 0.
    pub row: u64,
    /// Where the record starts in the uncompressed text; none in Parquet.
    pub byte_offset: Option<u64>,
    /// The name of its `RejectClass`.
    pub error_class: String,
    /// Why.
    pub message: String,
    /// Failed calls that it was part of.
    pub attempts: u32,
    /// The record as JSON; a record that is no JSON is a JSON string.
    pub record: Option<String>,
}

/// A rejected record on its way to the file.
#[derive(Debug)]
pub(crate) struct Reject(RejectRecord);

/// Reads whole records as JSON by their numbers, for rejects of which only some columns were read.
pub(crate) type FetchRecords =
    Box<dyn Fn(&[u64]) -> Result<Vec<String>, TransformError> + Send + Sync>;

/// Collects the rejects of one file, from several threads.
pub(crate) struct RejectWriter {
    path: PathBuf,
    fetch: FetchRecords,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    buffered: Vec<RejectRecord>,
    writer: Option<ArrowWriter<File>>,
    count: u64,
}

impl RejectWriter {
    /// Collects into a file at `path`, which is made with the first reject.
    pub(crate) fn new(path: PathBuf, fetch: FetchRecords) -> Self {
        Self { path, fetch, state: Mutex::default() }
    }

    /// Adds the rejects of a chunk. `whole`: the chunk holds all of the record.
    pub(crate) fn add(
        &self,
        file: &str,
        scored: &Scored,
        header: Option<&[String]>,
        whole: bool,
    ) -> Result<(), TransformError> {
        if scored.failures.is_empty() {
            return Ok(());
        }
        let rejects: Result<Vec<Reject>, TransformError> = scored
            .failures
            .iter()
            .map(|failure| {
                let record = if whole {
                    Some(record_text(&scored.chunk, failure.row, header)?)
                } else {
                    None
                };
                Ok(Reject(RejectRecord {
                    file: file.to_owned(),
                    row: scored.chunk.rows.number(failure.row),
                    byte_offset: scored.chunk.byte_offset(failure.row),
                    error_class: failure.class.as_str().to_owned(),
                    message: cut_text(&failure.message),
                    attempts: failure.attempts,
                    record,
                }))
            })
            .collect();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.buffered.extend(rejects?.into_iter().map(|reject| reject.0));
        if state.buffered.len() >= BUFFERED { self.flush(&mut state) } else { Ok(()) }
    }

    /// Ends the file. Returns how many rejects there are, and the file if there are any.
    pub(crate) fn finish(&self) -> Result<(u64, Option<PathBuf>), TransformError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.flush(&mut state)?;
        match state.writer.take() {
            None => Ok((0, None)),
            Some(writer) => {
                writer.close().map_err(written)?;
                Ok((state.count, Some(self.path.clone())))
            }
        }
    }

    fn flush(&self, state: &mut State) -> Result<(), TransformError> {
        let mut rejects = std::mem::take(&mut state.buffered);
        if rejects.is_empty() {
            return Ok(());
        }
        rejects.sort_by_key(|reject| reject.row);
        let missing: Vec<u64> = rejects
            .iter()
            .filter(|reject| reject.record.is_none())
            .map(|reject| reject.row)
            .collect();
        if !missing.is_empty() {
            let mut records = (self.fetch)(&missing)?.into_iter();
            for reject in rejects.iter_mut().filter(|reject| reject.record.is_none()) {
                reject.record = records.next();
            }
        }
        if state.writer.is_none() {
            state.writer = Some(create(&self.path)?);
        }
        let writer = state.writer.as_mut().expect("the writer was made above");
        writer.write(&batch(&rejects)?).map_err(written)?;
        state.count += rejects.len() as u64;
        Ok(())
    }
}

fn create(path: &Path) -> Result<ArrowWriter<File>, TransformError> {
    let file = File::create(path).map_err(TransformError::io("create", path))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_bytes(Some(8 << 20))
        .build();
    ArrowWriter::try_new(file, Arc::clone(&SCHEMA), Some(properties)).map_err(written)
}

/// Writes `rejects` as one file.
pub(crate) fn write_rejects(path: &Path, rejects: &[RejectRecord]) -> Result<(), TransformError> {
    let mut writer = create(path)?;
    writer.write(&batch(rejects)?).map_err(written)?;
    writer.close().map_err(written)?;
    Ok(())
}

fn batch(rejects: &[RejectRecord]) -> Result<RecordBatch, TransformError> {
    let text = |of: fn(&RejectRecord) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rejects.iter().map(of)))
    };
    let columns: Vec<ArrayRef> = vec![
        text(|reject| &reject.file),
        Arc::new(rejects.iter().map(|reject| Some(reject.row as i64)).collect::<Int64Array>()),
        Arc::new(
            rejects
                .iter()
                .map(|reject| reject.byte_offset.map(|offset| offset as i64))
                .collect::<Int64Array>(),
        ),
        text(|reject| &reject.error_class),
        text(|reject| &reject.message),
        Arc::new(rejects.iter().map(|reject| Some(reject.attempts as i32)).collect::<Int32Array>()),
        Arc::new(rejects.iter().map(|reject| reject.record.as_deref()).collect::<StringArray>()),
    ];
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns).map_err(internal)
}

/// All rejects of the run whose output is at `output`, by file and row.
pub fn rejects_of(
    output: &Location,
    objects: &Objects,
) -> Result<Vec<RejectRecord>, TransformError> {
    let mut rejects = Vec::new();
    for listed in objects.list(&output.join(REJECTS))? {
        if let Some(bytes) = objects.read(&listed.location)? {
            rejects.extend(read_rejects(&listed.location, bytes.into())?);
        }
    }
    rejects.sort_by(|a, b| (&a.file, a.row).cmp(&(&b.file, b.row)));
    Ok(rejects)
}

fn read_rejects(place: &Location, bytes: Bytes) -> Result<Vec<RejectRecord>, TransformError> {
    let damaged = |error: &dyn std::fmt::Display| {
        TransformError::output(format!("reading the rejects `{place}`: {error}"))
    };
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .map_err(|error| damaged(&error))?;
    let mut rejects = Vec::new();
    for batch in reader {
        let batch = batch.map_err(|error| damaged(&error))?;
        if batch.schema().fields() != SCHEMA.fields() {
            return Err(damaged(&"these are not the columns of rejects"));
        }
        let text = |at: usize| batch.column(at).as_string::<i32>();
        let rows = batch.column(1).as_primitive::<Int64Type>();
        let offsets = batch.column(2).as_primitive::<Int64Type>();
        let attempts = batch.column(5).as_primitive::<Int32Type>();
        for at in 0..batch.num_rows() {
            rejects.push(RejectRecord {
                file: text(0).value(at).to_owned(),
                row: rows.value(at) as u64,
                byte_offset: offsets.is_valid(at).then(|| offsets.value(at) as u64),
                error_class: text(3).value(at).to_owned(),
                message: text(4).value(at).to_owned(),
                attempts: attempts.value(at) as u32,
                record: text(6).is_valid(at).then(|| text(6).value(at).to_owned()),
            });
        }
    }
    Ok(rejects)
}

/// Record `row` of a chunk as JSON.
fn record_text(
    chunk: &Chunk,
    row: usize,
    header: Option<&[String]>,
) -> Result<String, TransformError> {
    let lines = match &chunk.source {
        Source::Columns(batch) => {
            let lines = to_json_lines(&batch.slice(row, 1)).map_err(internal)?;
            return Ok(String::from_utf8_lossy(lines.record(0)).into_owned());
        }
        Source::Lines { lines, .. } => lines,
    };
    let text = String::from_utf8_lossy(lines.record(row));
    let unreadable = chunk.bad.iter().any(|failure| failure.row == row);
    if !unreadable && let Some(header) = header {
        let cells = csv::cells(lines.record(row));
        let text = |cell: csv::Cell<'_>| String::from_utf8_lossy(&cell.text()).into_owned().into();
        let members = header.iter().cloned().zip(cells.map(text));
        return Ok(serde_json::Value::Object(members.collect()).to_string());
    }
    let is_json =
        !unreadable && serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
    Ok(if is_json { text.into_owned() } else { serde_json::Value::from(text).to_string() })
}

fn cut_text(message: &str) -> String {
    let mut end = message.len().min(MESSAGE);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}
