//! Turns scored chunks into one output file.

use std::path::PathBuf;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use parquet::basic::Compression as Codec;

use super::{
    columns::{OutputColumns, keep_rows, renamed},
    parquet::ParquetOutput,
    text::TextOutput,
};
use crate::{
    error::TransformError,
    input::{Source, internal, write_document},
    model::TextFormat,
    records::Lines,
    settings::Rejected,
    text::{
        detect::{Compression, Format},
        from_columns::{csv_header, to_csv, to_json_lines},
        join::{join_csv, join_json},
    },
    work::{Outputs, Scored},
};

/// How an output file is written.
#[derive(Debug, Clone)]
pub(crate) struct SinkPlan {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) compression: Compression,
    pub(crate) codec: Codec,
    /// Bytes of a Parquet row group.
    pub(crate) group_bytes: usize,
    pub(crate) rejected: Rejected,
    /// The input's lines stand in the output as they are, with the outputs added to each.
    pub(crate) splice: bool,
    /// The input's CSV header, if it has one.
    pub(crate) header: Option<Vec<String>>,
    /// Whether a CSV output begins with a header.
    pub(crate) write_header: bool,
}

/// An output file in the making.
pub(crate) struct Sink {
    plan: SinkPlan,
    columns: OutputColumns,
    output: Output,
}

enum Output {
    Parquet(Box<ParquetOutput>),
    Text(Box<TextOutput>),
}

impl Sink {
    pub(crate) fn open(plan: SinkPlan, columns: OutputColumns) -> Result<Self, TransformError> {
        let output = if plan.format == Format::Parquet {
            Output::Parquet(Box::new(ParquetOutput::create(
                &plan.path,
                columns.schema(),
                plan.codec,
                plan.group_bytes,
            )?))
        } else {
            Output::Text(Box::new(TextOutput::create(&plan.path, plan.compression)?))
        };
        let mut sink = Self { plan, columns, output };
        sink.begin()?;
        Ok(sink)
    }

    fn begin(&mut self) -> Result<(), TransformError> {
        let Output::Text(output) = &mut self.output else { return Ok(()) };
        if self.plan.format != Format::Csv || !self.plan.write_header {
            return Ok(());
        }
        let outputs = self.columns.outputs.fields().iter().map(|field| field.name().clone());
        let joined = match (&self.plan.header, self.plan.splice) {
            (Some(header), true) => header.clone(),
            _ => self.columns.joined.iter().map(|field| field.name().clone()).collect(),
        };
        output.write(&csv_header(&joined.into_iter().chain(outputs).collect::<Vec<_>>()))
    }

    /// Writes a chunk; `Outputs::Unknown` is not for a sink.
    pub(crate) fn write(&mut self, scored: &Scored) -> Result<(), TransformError> {
        match &scored.outputs {
            Outputs::Unknown => Err(internal("outputs are not known")),
            Outputs::Documents(lines) => self.write_documents(scored, lines),
            Outputs::Columns(batch) => {
                let outputs = renamed(batch, &self.columns.outputs)?;
                if self.plan.splice {
                    self.write_spliced(scored, &outputs)
                } else {
                    self.write_rows(scored, &outputs)
                }
            }
        }
    }

    /// Ends the file.
    pub(crate) fn finish(self) -> Result<(), TransformError> {
        match self.output {
            Output::Parquet(output) => output.finish(),
            Output::Text(output) => output.finish(),
        }
    }

    fn write_rows(&mut self, scored: &Scored, outputs: &RecordBatch) -> Result<(), TransformError> {
        let mut rows = self.columns.rows(scored.joined.as_ref(), outputs)?;
        if self.plan.rejected == Rejected::Drop {
            rows = keep_rows(&rows, &scored.failures)?;
        }
        match &mut self.output {
            Output::Parquet(output) => output.write(&rows),
            Output::Text(output) => {
                let lines = match self.plan.format {
                    Format::Csv => to_csv(&rows),
                    _ => to_json_lines(&rows),
                };
                let lines =
                    lines.map_err(|error| TransformError::configuration(error.to_string()))?;
                output.write(&lines.text())
            }
        }
    }

    fn write_documents(&mut self, scored: &Scored, lines: &Lines) -> Result<(), TransformError> {
        let Output::Text(output) = &mut self.output else {
            return Err(internal("documents can't be written as Parquet"));
        };
        let dropped = |row: usize| {
            self.plan.rejected == Rejected::Drop
                && scored.failures.binary_search_by_key(&row, |failure| failure.row).is_ok()
        };
        let csv = self.plan.format == Format::Csv;
        let mut text = Vec::with_capacity(lines.text().len());
        for (row, line) in lines.iter().enumerate() {
            if dropped(row) {
                continue;
            }
            if csv {
                let document = serde_json::from_slice(line).map_err(internal)?;
                write_document(&mut text, &document, TextFormat::Csv);
            } else {
                text.extend_from_slice(line);
            }
            text.push(b'\n');
        }
        output.write(&text)
    }

    fn write_spliced(
        &mut self,
        scored: &Scored,
        outputs: &RecordBatch,
    ) -> Result<(), TransformError> {
        let (Output::Text(output), Source::Lines { lines, .. }) =
            (&mut self.output, &scored.chunk.source)
        else {
            return Err(internal("only lines can be spliced"));
        };
        let mut lines = lines.clone();
        let mut outputs = outputs.clone();
        if self.plan.rejected == Rejected::Drop && !scored.failures.is_empty() {
            let failed = |row: &usize| {
                scored.failures.binary_search_by_key(row, |failure| failure.row).is_err()
            };
            lines = (0..lines.len()).filter(failed).map(|row| lines.record(row)).collect();
            outputs = keep_rows(&outputs, &scored.failures)?;
        }
        let mut text = Vec::with_capacity(lines.text().len() * 5 / 4);
        let joined = if self.plan.format == Format::Csv {
            join_csv(&lines, self.columns.joined.len(), &outputs, &mut text)
        } else {
            join_json(&lines, &outputs, &mut text)
        };
        joined.map_err(|error| TransformError::configuration(error.to_string()))?;
        output.write(&text)
    }
}

/// The schema that a sink needs where documents are written as they are.
pub(crate) fn no_columns() -> SchemaRef {
    std::sync::Arc::new(arrow::datatypes::Schema::empty())
}
