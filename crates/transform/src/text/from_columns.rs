//! Turns Arrow columns into text: JSON Lines with explicit nulls, or CSV.
//!
//! JSON: NaN and the infinities become null, bytes base64, dates and times ISO 8601. CSV: null is an
//! empty cell, nested values are JSON, floats that are no numbers `NaN`, `inf` and `-inf`.

mod value;

use arrow::{datatypes::DataType, error::ArrowError, record_batch::RecordBatch};

use super::{csv::write_cell, json::write_string};
use crate::records::{Lines, LinesBuilder};
use value::Values;

/// A column that text cannot hold.
#[derive(Debug, thiserror::Error)]
#[error("write column `{column}` of type `{data_type}` as text")]
pub struct ToTextError {
    column: String,
    data_type: DataType,
    source: ArrowError,
}

/// A JSON object a row.
pub fn to_json_lines(batch: &RecordBatch) -> Result<Lines, ToTextError> {
    let columns = TextColumns::new(batch)?;
    let mut lines = LinesBuilder::default();
    for row in 0..batch.num_rows() {
        let out = lines.buffer();
        out.push(b'{');
        columns.write_members(row, out);
        out.push(b'}');
        lines.end_record();
    }
    Ok(lines.finish())
}

/// A CSV row a row (RFC 4180), no header.
pub fn to_csv(batch: &RecordBatch) -> Result<Lines, ToTextError> {
    let columns = TextColumns::new(batch)?;
    let mut lines = LinesBuilder::default();
    for row in 0..batch.num_rows() {
        let out = lines.buffer();
        let start = out.len();
        columns.write_cells(row, out);
        if out.len() == start && batch.num_columns() > 0 {
            // An empty line would be no row at all.
            out.extend_from_slice(b"\"\"");
        }
        lines.end_record();
    }
    Ok(lines.finish())
}

/// The header row of a CSV file, with its line end.
pub fn csv_header<S: AsRef<str>>(names: &[S]) -> Vec<u8> {
    let mut header = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            header.push(b',');
        }
        write_cell(name.as_ref().as_bytes(), &mut header);
    }
    header.push(b'\n');
    header
}

/// The columns of a batch, ready to be written row by row.
pub(crate) struct TextColumns {
    columns: Vec<TextColumn>,
}

struct TextColumn {
    /// The name as a JSON string, with the colon.
    key: Vec<u8>,
    values: Values,
}

impl TextColumns {
    pub(crate) fn new(batch: &RecordBatch) -> Result<Self, ToTextError> {
        let schema = batch.schema_ref();
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let values = Values::new(array).map_err(|source| ToTextError {
                column: field.name().clone(),
                data_type: field.data_type().clone(),
                source,
            })?;
            columns.push(TextColumn { key: json_key(field.name()), values });
        }
        Ok(Self { columns })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// `"name":value,"name":value` of one row.
    pub(crate) fn write_members(&self, row: usize, out: &mut Vec<u8>) {
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&column.key);
            column.values.write_json(row, out);
        }
    }

    /// `cell,cell` of one row.
    pub(crate) fn write_cells(&self, row: usize, out: &mut Vec<u8>) {
        for (index, column) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            column.values.write_csv(row, out);
        }
    }
}

/// `"name":`.
fn json_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    write_string(name.as_bytes(), &mut key);
    key.push(b':');
    key
}

#[cfg(test)]
mod tests;
