//! Turns text records into Arrow columns: only the members or cells that are wanted, each cast to the
//! type that is wanted, without a tree or an allocation a row.
//!
//! A record that does not give its row becomes a row of nulls and an error that says why.

mod cells;
mod column;
mod decimals;
mod infer;
mod moments;
mod nested;
mod numbers;
mod rows;
mod texts;

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::ArrayRef,
    datatypes::{DataType, Field, FieldRef, Schema, SchemaRef},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use bessemer_domain::RejectClass;

use super::type_names::type_name;
use crate::records::Lines;

pub use infer::infer_schema;
pub(crate) use infer::{Guess, NumberTypes};
pub(crate) use rows::{Fault, Layout, Rows, Wanted, shown};

/// Which kind of text the records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// JSON objects, found by name, or arrays, found by position. Where all columns have names, arrays
    /// are no records.
    JsonLines,
    /// CSV rows, found by position.
    Csv,
}

/// A column to read.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedField {
    /// The member of a JSON object, and the column's name. Without one, an object's member is
    /// taken by its place.
    pub name: Option<String>,
    /// The place in a JSON array or a CSV row, from 0.
    pub position: usize,
    /// The type to cast to. A dictionary type gives a column of its values.
    pub data_type: DataType,
    /// Whether a null stays one; if not, it rejects the record.
    pub nullable: bool,
    /// Whether a record may lack the value, which then counts as null; if not, it is rejected.
    pub optional: bool,
}

/// Why a record gave no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The class of the reject.
    pub class: RejectClass,
    /// What is wrong: names the field and shows the value.
    pub message: String,
}

/// Reads the same columns out of any number of blocks of records, from many threads.
#[derive(Debug)]
pub struct ColumnReader {
    layout: Layout,
    /// For each column of the batch, which of the layout's it is.
    places: Vec<usize>,
    kind: SourceKind,
    schema: SchemaRef,
    /// Whether every column is found by its name, so that arrays are no records.
    by_name: bool,
}

impl ColumnReader {
    /// A reader of `wanted`. Columns of one name or position must be the same in all else: they are
    /// read once.
    #[must_use]
    pub fn new(wanted: &[WantedField], kind: SourceKind) -> Self {
        let mut unique: Vec<Wanted> = Vec::with_capacity(wanted.len());
        let mut known = HashMap::new();
        let mut places = Vec::with_capacity(wanted.len());
        for field in wanted {
            let place =
                *known.entry((field.name.as_deref(), field.position)).or_insert(unique.len());
            places.push(place);
            if place == unique.len() {
                unique.push(Wanted {
                    name: field.name.clone(),
                    position: field.position,
                    data_type: field.data_type.clone(),
                    nullable: field.nullable,
                    optional: field.optional,
                });
            }
        }
        let once = schema_of(&unique);
        let fields: Vec<FieldRef> =
            places.iter().map(|place| Arc::clone(&once.fields()[*place])).collect();
        let by_name =
            kind == SourceKind::JsonLines && unique.iter().all(|field| field.name.is_some());
        let schema = Arc::new(Schema::new(fields));
        Self { layout: Layout::new(unique), places, kind, schema, by_name }
    }

    /// The schema of what `read` gives. Every column is nullable: rejected rows are nulls.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// One row a record, in order, and why the rows of nulls are such. The records that `skip` names
    /// are rows of nulls without an error.
    pub fn read(
        &self,
        lines: &Lines,
        skip: &dyn Fn(usize) -> bool,
    ) -> (RecordBatch, Vec<(usize, RowError)>) {
        let mut rows = Rows::new(&self.layout, lines.len(), false);
        let mut errors = Vec::new();
        for (index, record) in lines.iter().enumerate() {
            if skip(index) {
                rows.push_nulls();
                continue;
            }
            if self.by_name && record.trim_ascii_start().starts_with(b"[") {
                rows.push_nulls();
                let message = "an array where the other records are objects".to_owned();
                errors.push((index, RowError { class: RejectClass::Parse, message }));
                continue;
            }
            let pushed = match self.kind {
                SourceKind::JsonLines => rows.push_json(record),
                SourceKind::Csv => rows.push_csv(record),
            };
            if let Err(fault) = pushed {
                errors.push((index, self.error(fault)));
            }
        }
        let once = rows.finish();
        let columns = self.places.iter().map(|place| Arc::clone(&once[*place])).collect();
        (batch(&self.schema, columns, lines.len()), errors)
    }

    fn error(&self, fault: Fault) -> RowError {
        let name = |column: usize| column_name(&self.layout.wanted[column]);
        match fault {
            Fault::Malformed(message) => RowError { class: RejectClass::Parse, message },
            Fault::Type { column, value } => {
                let wanted = type_name(&self.layout.wanted[column].data_type);
                let message = format!("feature `{}`: `{value}` is no {wanted}", name(column));
                RowError { class: RejectClass::Type, message }
            }
            Fault::Absent { column } => {
                let hint = match (self.layout.wanted[column].nullable, self.kind) {
                    (false, _) => "",
                    (true, SourceKind::JsonLines) => {
                        ": send a missing value as `null`, or count absent ones as null with \
                         `--nulls nan`"
                    }
                    (true, SourceKind::Csv) => ": send a missing value as an empty cell",
                };
                let message = format!("feature `{}` is absent{hint}", name(column));
                RowError { class: RejectClass::MissingFeature, message }
            }
            Fault::Null { column } => {
                let message = format!("feature `{}` is null", name(column));
                RowError { class: RejectClass::MissingFeature, message }
            }
            Fault::Unknown { name } => {
                let message = format!("member `{name}` is unknown");
                RowError { class: RejectClass::Type, message }
            }
        }
    }
}

/// What a column is called.
fn column_name(field: &Wanted) -> String {
    field.name.clone().unwrap_or_else(|| format!("column_{}", field.position))
}

/// The schema of rows of these columns.
pub(crate) fn schema_of(wanted: &[Wanted]) -> SchemaRef {
    let fields: Vec<Field> = wanted
        .iter()
        .map(|field| Field::new(column_name(field), cells::column_type(&field.data_type), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// The columns as a batch, also if there are none.
pub(crate) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .expect("the columns were made by the schema's types, with a value a row")
}

#[cfg(test)]
mod tests;
