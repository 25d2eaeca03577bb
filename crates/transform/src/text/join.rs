//! Puts the outputs beside the records they were made from, in the records' own text.

use arrow::record_batch::RecordBatch;

use super::{
    csv::{count_cells, write_cell},
    from_columns::{TextColumns, ToTextError},
    json::{Scanner, SyntaxError, write_string},
};
use crate::records::Lines;

/// Writes each record of `input` to `out` as a JSON object with the members of its row of `outputs`
/// added at its end, a line each. The record's own text is kept byte for byte.
///
/// A record that is no object becomes the member `input` of a new one; a malformed record becomes
/// that member as a string.
pub fn join_json(
    input: &Lines,
    outputs: &RecordBatch,
    out: &mut Vec<u8>,
) -> Result<(), ToTextError> {
    assert_eq!(input.len(), outputs.num_rows(), "a row of outputs for each record");
    let columns = TextColumns::new(outputs)?;
    for (row, record) in input.iter().enumerate() {
        join_record(record, &columns, row, out);
        out.push(b'\n');
    }
    Ok(())
}

fn join_record(record: &[u8], columns: &TextColumns, row: usize, out: &mut Vec<u8>) {
    let comma: &[u8] = if columns.is_empty() { b"" } else { b"," };
    match Shape::of(record) {
        Shape::Object { close, empty } => {
            out.extend_from_slice(&record[..close]);
            if !empty {
                out.extend_from_slice(comma);
            }
            columns.write_members(row, out);
            out.extend_from_slice(&record[close..]);
        }
        other => {
            out.extend_from_slice(b"{\"input\":");
            if other == Shape::Value {
                out.extend_from_slice(record.trim_ascii());
            } else {
                write_string(record, out);
            }
            out.extend_from_slice(comma);
            columns.write_members(row, out);
            out.push(b'}');
        }
    }
}

/// What a record is, for joining.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An object, whose `}` stands at `close`.
    Object {
        close: usize,
        empty: bool,
    },
    /// Another JSON value.
    Value,
    Malformed,
}

impl Shape {
    fn of(record: &[u8]) -> Self {
        let mut json = Scanner::new(record);
        let is_object = json.peek() == Some(b'{');
        let well_formed = json.skip_value().and_then(|()| json.finish()).is_ok();
        // Only a quoted CSV field may go over lines, and text must be UTF-8.
        if !well_formed
            || memchr::memchr(b'\n', record).is_some()
            || std::str::from_utf8(record).is_err()
        {
            return Self::Malformed;
        }
        if !is_object {
            return Self::Value;
        }
        let close = memchr::memrchr(b'}', record).expect("an object ends with `}`");
        Self::Object { close, empty: record[..close].trim_ascii_end().ends_with(b"{") }
    }
}

/// The names of the members of the object in `line`; none if it is no object.
#[must_use]
pub fn members(line: &[u8]) -> Vec<String> {
    let read = |mut json: Scanner<'_>| -> Result<Vec<String>, SyntaxError> {
        json.open_object()?;
        let mut names = Vec::new();
        let mut first = true;
        while let Some(name) = json.next_member(&mut first)? {
            names.extend(name.unescape().map(std::borrow::Cow::into_owned));
            json.skip_value()?;
        }
        json.finish()?;
        Ok(names)
    };
    read(Scanner::new(line)).unwrap_or_default()
}

/// Writes each CSV row of `input` to `out` with the cells of its row of `outputs` added, a line each.
/// The row's own text is kept.
///
/// `columns` is how many cells the input's rows have (`TextReader::columns`). So that no row shifts
/// the outputs of its neighbours, a shorter row is filled up with empty cells, and a row with more
/// cells or an open quote becomes one cell.
pub fn join_csv(
    input: &Lines,
    columns: usize,
    outputs: &RecordBatch,
    out: &mut Vec<u8>,
) -> Result<(), ToTextError> {
    assert_eq!(input.len(), outputs.num_rows(), "a row of outputs for each record");
    let added = TextColumns::new(outputs)?;
    for (row, record) in input.iter().enumerate() {
        let cells = match count_cells(record) {
            Some(cells) if cells <= columns => {
                out.extend_from_slice(record);
                cells
            }
            _ => {
                write_cell(record, out);
                1
            }
        };
        out.resize(out.len() + columns.saturating_sub(cells), b',');
        if !added.is_empty() {
            out.push(b',');
        }
        added.write_cells(row, out);
        out.push(b'\n');
    }
    Ok(())
}

#[cfg(test)]
mod tests;
