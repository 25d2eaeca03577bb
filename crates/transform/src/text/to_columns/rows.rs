//! Rows of several columns in the making: each row is added whole, or stands as nulls.

use std::collections::HashMap;

use arrow::array::ArrayRef;

use super::cells::{CellError, Cells, column_of};
use crate::text::{
    csv,
    json::{Name, Scanner, SyntaxError, Text},
};
use arrow::datatypes::DataType;

/// One column of the rows.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The member that gives it. Without a name, an object's member is found by its place, too.
    pub(crate) name: Option<String>,
    /// The place in an array or a CSV row.
    pub(crate) position: usize,
    pub(crate) data_type: DataType,
    /// Whether a value may be null.
    pub(crate) nullable: bool,
    /// Whether an absent value counts as null.
    pub(crate) optional: bool,
}

/// Where each column's value is found in a record. Made once, shared by many readers.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) wanted: Vec<Wanted>,
    by_name: HashMap<Box<[u8]>, usize>,
    by_position: Vec<Option<usize>>,
    has_unnamed: bool,
}

impl Layout {
    pub(crate) fn new(wanted: Vec<Wanted>) -> Self {
        let mut by_name = HashMap::new();
        let mut by_position = Vec::new();
        for (column, field) in wanted.iter().enumerate() {
            if let Some(name) = &field.name {
                by_name.insert(name.as_bytes().into(), column);
            }
            if by_position.len() <= field.position {
                by_position.resize(field.position + 1, None);
            }
            by_position[field.position] = Some(column);
        }
        let has_unnamed = wanted.iter().any(|field| field.name.is_none());
        Self { wanted, by_name, by_position, has_unnamed }
    }

    fn at_position(&self, position: usize) -> Option<usize> {
        self.by_position.get(position).copied().flatten()
    }
}

/// Why a row stands as nulls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The record is not well formed.
    Malformed(String),
    /// The value of `column` is no value of its type. `value` is its text.
    Type { column: usize, value: String },
    /// There is no value for `column`.
    Absent { column: usize },
    /// The value for `column` is null.
    Null { column: usize },
    /// There is a member that no column takes.
    Unknown { name: String },
}

impl From<SyntaxError> for Fault {
    fn from(error: SyntaxError) -> Self {
        Self::Malformed(error.to_string())
    }
}

/// Of a value that is shown, so many characters at most.
const SHOWN: usize = 80;

/// `value`, for people.
pub(crate) fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

/// The columns in the making.
pub(crate) struct Rows<'l> {
    layout: &'l Layout,
    columns: Vec<Box<dyn Cells>>,
    /// For each column, the row that last gave it a value, counted from 1.
    given: Vec<usize>,
    row: usize,
    filled: usize,
    fault: Option<Fault>,
    seen: Vec<SeenName>,
    /// Whether a member that no column takes is a fault.
    strict: bool,
}

/// What the name at this place among an object's members was, the last time.
#[derive(Default)]
struct SeenName {
    /// As written, with its escapes.
    name: Vec<u8>,
    column: Option<usize>,
}

/// So many members of an object are remembered by their place.
const MOST_SEEN: usize = 4096;

impl<'l> Rows<'l> {
    pub(crate) fn new(layout: &'l Layout, capacity: usize, strict: bool) -> Self {
        let columns: Vec<_> =
            layout.wanted.iter().map(|field| column_of(&field.data_type, capacity)).collect();
        let given = vec![0; columns.len()];
        Self { layout, columns, given, row: 0, filled: 0, fault: None, seen: Vec::new(), strict }
    }

    /// Adds a row of nulls.
    pub(crate) fn push_nulls(&mut self) {
        for column in &mut self.columns {
            column.truncate(self.row);
            column.push_null();
        }
        self.next_row();
    }

    /// Adds the JSON object or array in `record`. A row with a fault is added as nulls. A broken
    /// record comes first among the faults, then values in the order of the text, then absent ones.
    pub(crate) fn push_json(&mut self, record: &[u8]) -> Result<(), Fault> {
        let mut json = Scanner::new(record);
        let read = match json.peek() {
            Some(b'{') => self.read_object(&mut json),
            Some(b'[') => self.read_array(&mut json),
            _ => {
                let shape = SyntaxError { at: 0, expected: "expected an object or an array" };
                json.skip_value().and_then(|()| json.finish()).and(Err(shape))
            }
        };
        self.close_row(read.map_err(Fault::from))
    }

    /// Adds a row whose only column is the JSON value in `record`.
    pub(crate) fn push_json_value(&mut self, record: &[u8]) -> Result<(), Fault> {
        let mut json = Scanner::new(record);
        let read = self.read_value(0, &mut json).and_then(|()| json.finish());
        self.close_row(read.map_err(Fault::from))
    }

    /// Adds the CSV row in `record`.
    pub(crate) fn push_csv(&mut self, record: &[u8]) -> Result<(), Fault> {
        for (position, cell) in csv::cells(record).enumerate().take(self.layout.by_position.len()) {
            let Some(column) = self.layout.by_position[position] else { continue };
            self.mark(column);
            let text = cell.text();
            let is_text = is_text(&self.layout.wanted[column].data_type);
            if text.trim_ascii().is_empty() && !(is_text && (cell.is_quoted() || !text.is_empty()))
            {
                self.push_null(column);
            } else if self.columns[column].push_text(&text).is_err() {
                self.fault.get_or_insert(Fault::Type { column, value: shown(&text) });
            }
        }
        self.close_row(Ok(()))
    }

    /// The columns.
    pub(crate) fn finish(self) -> Vec<ArrayRef> {
        self.columns.into_iter().map(Cells::finish).collect()
    }

    fn read_object(&mut self, json: &mut Scanner<'_>) -> Result<(), SyntaxError> {
        json.open_object()?;
        let mut first = true;
        let mut place = 0;
        loop {
            // Records mostly have the same members in the same order as the one before.
            let seen = self.seen.get(place);
            let column =
                match json.next_expected(&mut first, seen.map(|seen| seen.name.as_slice()))? {
                    None => return json.finish(),
                    Some(Name::Expected) => seen.and_then(|seen| seen.column),
                    Some(Name::Other(name)) => self.column_at(place, &name),
                };
            place += 1;
            match column {
                Some(column) => self.read_value(column, json)?,
                None => self.skip_unknown(place - 1, json)?,
            }
        }
    }

    fn read_array(&mut self, json: &mut Scanner<'_>) -> Result<(), SyntaxError> {
        json.open_array()?;
        let mut first = true;
        let mut position = 0;
        while json.next_element(&mut first)? {
            match self.layout.at_position(position) {
                Some(column) => self.read_value(column, json)?,
                None => json.skip_value()?,
            }
            position += 1;
        }
        json.finish()
    }

    /// Checks the value of a member that no column takes.
    fn skip_unknown(&mut self, place: usize, json: &mut Scanner<'_>) -> Result<(), SyntaxError> {
        json.skip_value()?;
        if self.strict {
            let seen = self.seen.get(place).map(|seen| seen.name.as_slice());
            let name = shown(seen.unwrap_or_default());
            self.fault.get_or_insert(Fault::Unknown { name });
        }
        Ok(())
    }

    /// The column that takes the member `name`, which stands at `place` among the members; what it
    /// is, is remembered for the next record.
    fn column_at(&mut self, place: usize, name: &Text<'_>) -> Option<usize> {
        let column = match name.plain() {
            Some(plain) => self.look_up(place, plain),
            None => name.unescape().and_then(|name| self.look_up(place, name.as_bytes())),
        };
        if self.seen.len() <= place && place < MOST_SEEN {
            self.seen.resize_with(place + 1, SeenName::default);
        }
        if let Some(seen) = self.seen.get_mut(place) {
            seen.name.clear();
            seen.name.extend_from_slice(name.raw());
            seen.column = column;
        }
        column
    }

    fn look_up(&self, place: usize, name: &[u8]) -> Option<usize> {
        if let Some(column) = self.layout.by_name.get(name) {
            return Some(*column);
        }
        if !self.layout.has_unnamed {
            return None;
        }
        let column = self.layout.at_position(place)?;
        self.layout.wanted[column].name.is_none().then_some(column)
    }

    /// Adds the value that comes next to `column`.
    #[inline]
    fn read_value(&mut self, column: usize, json: &mut Scanner<'_>) -> Result<(), SyntaxError> {
        self.mark(column);
        if json.peek() == Some(b'n') {
            json.literal("null")?;
            self.push_null(column);
            return Ok(());
        }
        let start = json.position();
        match self.columns[column].push_json(json) {
            Ok(()) => Ok(()),
            Err(CellError::Syntax(error)) => Err(error),
            Err(CellError::Type) => {
                json.rewind(start);
                json.skip_value()?;
                let value = shown(json.since(start));
                self.fault.get_or_insert(Fault::Type { column, value });
                Ok(())
            }
        }
    }

    /// Notes that the row has a value for `column`. The last of several counts.
    #[inline]
    fn mark(&mut self, column: usize) {
        if self.given[column] > self.row {
            self.columns[column].truncate(self.row);
        } else {
            self.given[column] = self.row + 1;
            self.filled += 1;
        }
    }

    fn push_null(&mut self, column: usize) {
        self.columns[column].push_null();
        if !self.layout.wanted[column].nullable {
            self.fault.get_or_insert(Fault::Null { column });
        }
    }

    /// Fills in what the record lacks. With a fault, the whole row becomes nulls.
    fn close_row(&mut self, read: Result<(), Fault>) -> Result<(), Fault> {
        let fault = read.err().or(self.fault.take());
        let fault = fault.or_else(|| self.fill_absent());
        match fault {
            None => {
                self.next_row();
                Ok(())
            }
            Some(fault) => {
                self.push_nulls();
                Err(fault)
            }
        }
    }

    fn fill_absent(&mut self) -> Option<Fault> {
        if self.filled == self.columns.len() {
            return None;
        }
        for column in 0..self.columns.len() {
            if self.given[column] > self.row {
                continue;
            }
            let wanted = &self.layout.wanted[column];
            if !(wanted.optional && wanted.nullable) {
                return Some(Fault::Absent { column });
            }
            self.columns[column].push_null();
        }
        None
    }

    fn next_row(&mut self) {
        self.row += 1;
        self.filled = 0;
        self.fault = None;
    }
}

/// Whether an empty text is a value of the type.
fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}
