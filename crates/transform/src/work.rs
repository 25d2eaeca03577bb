//! What the calling threads do with a chunk: prepare it, call the model, bring the answers into rows.

use std::{ops::Range, sync::Arc, time::Instant};

use arrow::{
    array::{UInt32Array, UInt32Builder},
    compute::concat_batches,
    datatypes::SchemaRef,
    record_batch::RecordBatch,
};
use bessemer_domain::RejectClass;
use serde_json::Value;

use crate::{
    call::{Caller, Halt, Outcome, RowFailure, cut, row_bytes},
    error::TransformError,
    input::{Binding, Chunk, Documents, Prepared, Source, internal, take_rows, write_document},
    model::{Answer, TextFormat, Wants},
    output::Answers,
    records::{Lines, LinesBuilder, Records},
    shared::PayloadLimit,
    stats::Stats,
    text::to_columns::ColumnReader,
};

/// A chunk that has been through the model.
pub(crate) struct Scored {
    pub(crate) chunk: Chunk,
    pub(crate) outputs: Outputs,
    /// The input's columns that stand in the output, unless its lines do.
    pub(crate) joined: Option<RecordBatch>,
    /// The rejected records, in order.
    pub(crate) failures: Vec<RowFailure>,
}

/// The model's outputs for a chunk, one entry a record.
pub(crate) enum Outputs {
    /// Not known: no record of the chunk was answered, and the columns are not known yet.
    Unknown,
    /// Null in the rows of rejected records.
    Columns(RecordBatch),
    /// Whole documents; `null` for rejected records.
    Documents(Lines),
}

/// Why a chunk could not be finished.
#[derive(Debug)]
pub(crate) enum WorkError {
    Halt(Halt),
    Run(TransformError),
}

impl From<Halt> for WorkError {
    fn from(halt: Halt) -> Self {
        Self::Halt(halt)
    }
}

impl From<TransformError> for WorkError {
    fn from(error: TransformError) -> Self {
        Self::Run(error)
    }
}

/// Where the input's columns that stand in the output come from.
#[derive(Debug)]
pub(crate) enum JoinedColumns {
    /// There are none, or they are copied as lines or as encoded bytes.
    Nowhere,
    /// These of the columns that are read.
    Read(Vec<usize>),
    /// Parsed from lines.
    Parsed(ColumnReader),
}

/// What work on the chunks of one file needs.
pub(crate) struct Worker {
    pub(crate) caller: Arc<Caller>,
    pub(crate) wants: Wants,
    pub(crate) binding: Binding,
    pub(crate) documents: Option<Documents>,
    /// For each of the model's columns, its place among the columns that are read.
    pub(crate) positions: Vec<usize>,
    pub(crate) joined: JoinedColumns,
    pub(crate) answers: Arc<Answers>,
    /// Whether outputs are written as the documents that the model answers.
    pub(crate) raw_documents: bool,
    pub(crate) payload_limit: PayloadLimit,
    pub(crate) stats: Arc<Stats>,
}

impl Worker {
    /// Takes a chunk through the model.
    pub(crate) fn score(&self, mut chunk: Chunk) -> Result<Scored, WorkError> {
        let started = Instant::now();
        let joined = self.join(&mut chunk)?;
        let mut documents = Vec::new();
        let mut prepared = match &self.documents {
            None => self.binding.preparer.prepare(&chunk, self.model_columns(&chunk)?)?,
            Some(steps) => {
                let (opened, mut failures) = steps.open(&chunk)?;
                let lines = steps.model_input(&opened, self.text_format(), &mut failures);
                documents = opened;
                let filtered = Chunk {
                    rows: chunk.rows.clone(),
                    source: Source::Lines { byte_offsets: vec![0; lines.len()], lines },
                    bad: failures,
                };
                self.binding.preparer.prepare(&filtered, None)?
            }
        };
        let payloads = self.payloads(&mut prepared);
        self.stats.convert.add_time(started.elapsed());
        let mut outcome = Outcome::default();
        for payload in payloads {
            let scored = self.caller.score(&prepared.records.slice(payload.clone()))?;
            outcome.add(scored, payload.start);
        }
        let started = Instant::now();
        let scored = self.assemble(chunk, joined, prepared, outcome, &documents)?;
        self.stats.convert.add_time(started.elapsed());
        Ok(scored)
    }

    /// The input's columns for the output. Lines that don't fit them are bad records.
    fn join(&self, chunk: &mut Chunk) -> Result<Option<RecordBatch>, TransformError> {
        match (&self.joined, &chunk.source) {
            (JoinedColumns::Read(positions), Source::Columns(batch)) => {
                batch.project(positions).map(Some).map_err(internal)
            }
            (JoinedColumns::Parsed(reader), Source::Lines { lines, .. }) => {
                let known: Vec<usize> = chunk.bad.iter().map(|failure| failure.row).collect();
                let (batch, errors) = reader.read(lines, &|row| known.contains(&row));
                chunk.bad.extend(errors.into_iter().map(RowFailure::without_a_call));
                Ok(Some(batch))
            }
            _ => Ok(None),
        }
    }

    fn model_columns(&self, chunk: &Chunk) -> Result<Option<RecordBatch>, TransformError> {
        match &chunk.source {
            Source::Columns(batch) => batch.project(&self.positions).map(Some).map_err(internal),
            Source::Lines { .. } => Ok(None),
        }
    }

    fn text_format(&self) -> TextFormat {
        match self.wants {
            Wants::Text(format) => format,
            Wants::Features(_) | Wants::Columns => TextFormat::JsonLines,
        }
    }

    /// Cuts the prepared records into payloads; a record too large for one is a failure.
    fn payloads(&self, prepared: &mut Prepared) -> Vec<Range<usize>> {
        let rows = self.caller.setting().rows;
        let Some(most) = self.payload_limit.payload else {
            return cut(std::iter::repeat_n(0, prepared.records.len()), rows, u64::MAX);
        };
        let sizes: Vec<u64> = match &prepared.records {
            Records::Lines(lines) => lines.iter().map(|line| line.len() as u64 + 1).collect(),
            Records::Columns(batch) => row_bytes(batch),
        };
        let mut payloads = cut(sizes.iter().copied(), rows, most);
        let Some(most) = self.payload_limit.record else { return payloads };
        payloads.retain(|payload| {
            let size = sizes[payload.start];
            if payload.len() > 1 || size <= most {
                return true;
            }
            prepared.failures.push(RowFailure {
                row: place(prepared.kept.as_ref(), payload.start),
                class: RejectClass::TooLarge,
                message: format!(
                    "the record is {size} bytes, a payload at most {most} (`--max-payload`)"
                ),
                attempts: 0,
            });
            false
        });
        payloads
    }

    fn assemble(
        &self,
        chunk: Chunk,
        joined: Option<RecordBatch>,
        prepared: Prepared,
        outcome: Outcome,
        documents: &[Value],
    ) -> Result<Scored, TransformError> {
        let rows = chunk.len();
        let mut failures = prepared.failures;
        let kept = prepared.kept.as_ref();
        failures.extend(
            outcome
                .failures
                .into_iter()
                .map(|failure| RowFailure { row: place(kept, failure.row), ..failure }),
        );
        let outputs = if let Some(steps) = &self.documents {
            let lines = finish_documents(steps, documents, outcome.pieces, kept, &mut failures)?;
            let answers = Answered { pieces: vec![(0..rows, Answer::Json(lines))], kept: None };
            self.outputs(answers, rows, &mut failures)?
        } else {
            self.outputs(Answered { pieces: outcome.pieces, kept }, rows, &mut failures)?
        };
        failures.sort_by_key(|failure| failure.row);
        failures.dedup_by_key(|failure| failure.row);
        Ok(Scored { chunk, outputs, joined, failures })
    }

    fn outputs(
        &self,
        answered: Answered<'_>,
        rows: usize,
        failures: &mut Vec<RowFailure>,
    ) -> Result<Outputs, TransformError> {
        if self.raw_documents
            && answered.pieces.iter().all(|(_, answer)| matches!(answer, Answer::Json(_)))
        {
            return Ok(Outputs::Documents(answered.lines(rows, failures)));
        }
        let mut batches = Vec::new();
        // Row r of the concatenated batches belongs to record `places[r]`.
        let mut places: Vec<Option<u32>> = Vec::with_capacity(rows);
        let failed: Vec<bool> = failed_rows(rows, failures);
        for (range, answer) in answered.pieces {
            let (batch, errors) = match answer {
                Answer::Columns(batch) => self.answers.fit(&batch),
                Answer::Json(lines) => self.answers.decode(&lines),
            };
            let start = places.len();
            places.extend(range.map(|row| {
                let row = place(answered.kept, row);
                (!failed[row]).then_some(row as u32)
            }));
            for (at, error) in errors {
                if let Some(row) = places[start + at].take() {
                    failures.push(RowFailure {
                        row: row as usize,
                        class: error.class,
                        message: error.message,
                        attempts: 1,
                    });
                }
            }
            batches.push(batch);
        }
        let Some(schema) = self.answers.schema() else { return Ok(Outputs::Unknown) };
        let batch = match batches.len() {
            1 => batches.remove(0),
            _ => concat_batches(&schema, &batches).map_err(internal)?,
        };
        Ok(Outputs::Columns(scatter(batch, &places, rows, &schema)?))
    }
}

struct Answered<'a> {
    pieces: Vec<(Range<usize>, Answer)>,
    kept: Option<&'a Vec<u32>>,
}

impl Answered<'_> {
    /// The answers as lines, `null` where there is none.
    fn lines(self, rows: usize, failures: &[RowFailure]) -> Lines {
        let mut answers: Vec<Option<&[u8]>> = vec![None; rows];
        for (range, answer) in &self.pieces {
            let Answer::Json(lines) = answer else { continue };
            for (line, row) in lines.iter().zip(range.clone()) {
                answers[place(self.kept, row)] = Some(line);
            }
        }
        for failure in failures {
            answers[failure.row] = None;
        }
        answers.into_iter().map(|answer| answer.unwrap_or(b"null")).collect()
    }
}

/// The place in the chunk of good record `row`.
fn place(kept: Option<&Vec<u32>>, row: usize) -> usize {
    kept.map_or(row, |kept| kept[row] as usize)
}

fn failed_rows(rows: usize, failures: &[RowFailure]) -> Vec<bool> {
    let mut failed = vec![false; rows];
    for failure in failures {
        failed[failure.row] = true;
    }
    failed
}

/// Puts row r of `batch` at `places[r]` among `rows` rows; the others are null.
fn scatter(
    batch: RecordBatch,
    places: &[Option<u32>],
    rows: usize,
    schema: &SchemaRef,
) -> Result<RecordBatch, TransformError> {
    let in_place = |(at, place): (usize, &Option<u32>)| *place == Some(at as u32);
    if places.len() == rows && places.iter().enumerate().all(in_place) {
        return Ok(batch);
    }
    let mut sources: Vec<Option<u32>> = vec![None; rows];
    for (at, place) in places.iter().enumerate() {
        if let Some(place) = place {
            sources[*place as usize] = Some(at as u32);
        }
    }
    let mut builder = UInt32Builder::with_capacity(rows);
    builder.extend(sources);
    let at: UInt32Array = builder.finish();
    let columns = batch.columns().iter().map(|column| take_rows(column, &at));
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?).map_err(internal)
}

/// Joins and filters the answers; `null` where there is none.
fn finish_documents(
    steps: &Documents,
    documents: &[Value],
    pieces: Vec<(Range<usize>, Answer)>,
    kept: Option<&Vec<u32>>,
    failures: &mut Vec<RowFailure>,
) -> Result<Lines, TransformError> {
    let mut finished: Vec<Value> = vec![Value::Null; documents.len()];
    for (range, answer) in pieces {
        for (value, row) in values(answer)?.into_iter().zip(range) {
            let row = place(kept, row);
            match steps.finish(&documents[row], value) {
                Ok(document) => finished[row] = document,
                Err(message) => {
                    let class = RejectClass::Output;
                    failures.push(RowFailure { row, class, message, attempts: 1 });
                }
            }
        }
    }
    let mut lines = LinesBuilder::default();
    for document in finished {
        write_document(lines.buffer(), &document, TextFormat::JsonLines);
        lines.end_record();
    }
    Ok(lines.finish())
}

/// An answer as one JSON value a record: a lone column's value, an object of several.
fn values(answer: Answer) -> Result<Vec<Value>, TransformError> {
    let (lines, lone) = match answer {
        Answer::Json(lines) => (lines, false),
        Answer::Columns(batch) => {
            let lone = batch.num_columns() == 1;
            (crate::text::from_columns::to_json_lines(&batch).map_err(internal)?, lone)
        }
    };
    let parse = |line: &[u8]| match serde_json::from_slice(line) {
        Ok(Value::Object(members)) if lone => members.into_iter().next().map(|(_, value)| value),
        Ok(value) => Some(value),
        Err(_) => None,
    };
    Ok(lines.iter().map(|line| parse(line).unwrap_or(Value::Null)).collect())
}

impl Outcome {
    /// Adds the outcome of a payload that began at `offset`.
    fn add(&mut self, payload: Outcome, offset: usize) {
        let moved = |range: Range<usize>| range.start + offset..range.end + offset;
        self.pieces
            .extend(payload.pieces.into_iter().map(|(range, answer)| (moved(range), answer)));
        self.failures.extend(
            payload
                .failures
                .into_iter()
                .map(|failure| RowFailure { row: failure.row + offset, ..failure }),
        );
    }
}
