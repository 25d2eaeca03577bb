//! CSV rows as the arrays that filters work on.

use serde_json::Value;

use crate::text::csv;

/// The row as an array of its cells' texts; an empty cell without quotes is null.
#[must_use]
pub fn parse_csv_record(record: &[u8]) -> Value {
    let cell = |cell: csv::Cell<'_>| {
        let text = cell.text();
        if text.is_empty() && !cell.is_quoted() {
            return Value::Null;
        }
        Value::String(String::from_utf8_lossy(&text).into_owned())
    };
    Value::Array(csv::cells(record).map(cell).collect())
}

/// Writes a filter's result as a CSV row, without a line end: an array is a row of its elements,
/// anything else a row of one cell. Nested values become JSON.
pub fn write_csv_record(value: &Value, out: &mut Vec<u8>) {
    let cells = match value {
        Value::Array(cells) => cells.as_slice(),
        cell => std::slice::from_ref(cell),
    };
    if let [Value::Null] = cells {
        // An empty line would be no row at all.
        out.extend_from_slice(b"\"\"");
    }
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match cell {
            Value::Null => {}
            Value::String(text) => csv::write_cell(text.as_bytes(), out),
            other => csv::write_cell(other.to_string().as_bytes(), out),
        }
    }
}
