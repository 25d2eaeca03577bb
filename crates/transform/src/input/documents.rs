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
    filter::{Filter, join_csv_document, join_document, parse_csv_record, write_csv_record},
    model::TextFormat,
    records::{Lines, LinesBuilder},
    settings::{Join, Settings},
    text::{detect::Format, from_columns::to_json_lines},
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

    /// How documents are written for a model that reads columns.
    pub(crate) fn format(&self) -> TextFormat {
        if self.csv { TextFormat::Csv } else { TextFormat::JsonLines }
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
                Ok(parse_csv_record(line))
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
                    message: error.to_string(),
                    attempts: 0,
                }),
            }
            lines.end_record();
        }
        lines.finish()
    }

    /// The document that is written for a record and its answer.
    pub(crate) fn finish(&self, document: &Value, answer: Value) -> Result<Value, String> {
        let joined = match (self.join, self.csv) {
            (false, _) => answer,
            (true, true) => join_csv_document(document.clone(), answer),
            (true, false) => join_document(document.clone(), answer),
        };
        match &self.output_filter {
            Some(filter) => filter.apply(&joined).map_err(|error| error.to_string()),
            None => Ok(joined),
        }
    }
}

/// Writes a document as one record: JSON, or a CSV row of its cells.
pub(crate) fn write_document(out: &mut Vec<u8>, document: &Value, format: TextFormat) {
    match format {
        TextFormat::Csv => write_csv_record(document, out),
        TextFormat::JsonLines | TextFormat::Raw => {
            out.extend_from_slice(document.to_string().as_bytes());
        }
    }
}
