//! Records as documents, for `--input-filter` and `--output-filter`: what Batch Transform calls
//! `DataProcessing`. The order is input filter, model, join, output filter.

use bessemer_domain::RejectClass;
use serde_json::Value;

use super::{
    prepare::internal,
    reader::{Chunk, Source},
};
use crate::{
    call::RowFailure,
    error::TransformError,
    filter::{Filter, join_document},
    model::TextFormat,
    records::{Lines, LinesBuilder},
    settings::{Join, Settings},
    text::{csv, detect::Format, from_columns::to_json_lines},
};

/// Takes records apart and puts them together again.
#[derive(Debug)]
pub(crate) struct Documents {
    input_filter: Option<Filter>,
    output_filter: Option<Filter>,
    join: bool,
    csv: bool,
}

impl Documents {
    /// None if no filter is set.
    pub(crate) fn new(settings: &Settings, format: Format) -> Option<Self> {
        settings.is_filtered().then(|| Self {
            input_filter: settings.input_filter.clone(),
            output_filter: settings.output_filter.clone(),
            join: settings.join == Join::Input,
            csv: format == Format::Csv,
        })
    }

    /// The records of a chunk as documents: objects, or arrays of cells for CSV. `Null` where a record
    /// can't be read, which is then among the failures.
    pub(crate) fn open(
        &self,
        chunk: &Chunk,
    ) -> Result<(Vec<Value>, Vec<RowFailure>), TransformError> {
        let mut failures = chunk.bad.clone();
        let lines = match &chunk.source {
            Source::Columns(batch) => to_json_lines(batch).map_err(internal)?,
            Source::Lines { lines, .. } => lines.clone(),
        };
        let mut documents = Vec::with_capacity(lines.len());
        for (row, line) in lines.iter().enumerate() {
            if failures.iter().any(|failure| failure.row == row) {
                documents.push(Value::Null);
                continue;
            }
            let document = if self.csv {
                Ok(Value::Array(csv::cells(line).map(|cell| cell_value(&cell.text())).collect()))
            } else {
                serde_json::from_slice(line).map_err(|error| error.to_string())
            };
            documents.push(document.unwrap_or_else(|message| {
                failures.push(RowFailure { row, class: RejectClass::Parse, message, attempts: 0 });
                Value::Null
            }));
        }
        Ok((documents, failures))
    }

    /// What the model is given of each document, written as it wants it.
    pub(crate) fn model_input(
        &self,
        documents: &[Value],
        format: TextFormat,
        failures: &mut Vec<RowFailure>,
    ) -> Lines {
        let mut lines = LinesBuilder::default();
        for (row, document) in documents.iter().enumerate() {
            let picked = match &self.input_filter {
                Some(filter) if !document.is_null() => filter.apply(document),
                _ => Ok(document.clone()),
            };
            match picked {
                Ok(picked) => write_document(lines.buffer(), &picked, format),
                Err(error) => failures.push(RowFailure {
                    row,
                    class: RejectClass::MissingFeature,
                    message: format!("`--input-filter`: {error}"),
                    attempts: 0,
                }),
            }
            lines.end_record();
        }
        lines.finish()
    }

    /// The document that is written for a record and its answer.
    pub(crate) fn finish(&self, document: &Value, answer: Value) -> Result<Value, String> {
        let joined = match (self.join, self.csv, document) {
            (false, ..) => answer,
            (true, true, Value::Array(cells)) => {
                let mut cells = cells.clone();
                match answer {
                    Value::Array(more) => cells.extend(more),
                    one => cells.push(one),
                }
                Value::Array(cells)
            }
            (true, ..) => join_document(document.clone(), answer),
        };
        match &self.output_filter {
            Some(filter) => {
                filter.apply(&joined).map_err(|error| format!("`--output-filter`: {error}"))
            }
            None => Ok(joined),
        }
    }
}

fn cell_value(cell: &[u8]) -> Value {
    Value::String(String::from_utf8_lossy(cell).into_owned())
}

/// Writes a document as one record: JSON, or a CSV row of its cells.
pub(crate) fn write_document(out: &mut Vec<u8>, document: &Value, format: TextFormat) {
    match (format, document) {
        (TextFormat::Csv, Value::Array(cells)) => {
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_cell(out, cell);
            }
        }
        (TextFormat::Csv, cell) => write_cell(out, cell),
        (_, document) => out.extend_from_slice(document.to_string().as_bytes()),
    }
}

fn write_cell(out: &mut Vec<u8>, cell: &Value) {
    match cell {
        Value::Null => {}
        Value::String(text) => csv::write_cell(text.as_bytes(), out),
        other => csv::write_cell(other.to_string().as_bytes(), out),
    }
}
