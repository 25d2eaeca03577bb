//! Columns in the making, one value at a time, whatever the type.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, NullArray, new_null_array},
    datatypes::{
        DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DecimalType,
        Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};

use super::{
    column::Column,
    decimals::Decimals,
    moments::Moments,
    nested::{Items, Members},
    numbers::{Booleans, FromNumber, Numbers},
    texts::{Binaries, Texts},
};
use crate::text::json::{Scanner, SyntaxError};

/// Why a value was not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CellError {
    /// It is not well formed.
    Syntax(SyntaxError),
    /// It is no value of the column's type.
    Type,
}

impl From<SyntaxError> for CellError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax(error)
    }
}

/// A column in the making. After an error, the column holds nothing sure from the row on: `truncate`
/// brings it back.
pub(crate) trait Cells {
    /// Adds the JSON value that comes next, which is not null.
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError>;

    /// Adds a text: a CSV cell, unquoted.
    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError>;

    /// Adds a null.
    fn push_null(&mut self);

    /// How many values there are.
    fn len(&self) -> usize;

    /// Drops the values from `len` on.
    fn truncate(&mut self, len: usize);

    /// The column.
    fn finish(self: Box<Self>) -> ArrayRef;
}

/// An empty column of `data_type`. A dictionary becomes a column of its values.
pub(crate) fn column_of(data_type: &DataType, capacity: usize) -> Box<dyn Cells> {
    match data_type {
        DataType::Boolean => Box::new(Column::new(Booleans, capacity)),
        DataType::Int8 => numbers::<Int8Type>(capacity),
        DataType::Int16 => numbers::<Int16Type>(capacity),
        DataType::Int32 => numbers::<Int32Type>(capacity),
        DataType::Int64 => numbers::<Int64Type>(capacity),
        DataType::UInt8 => numbers::<UInt8Type>(capacity),
        DataType::UInt16 => numbers::<UInt16Type>(capacity),
        DataType::UInt32 => numbers::<UInt32Type>(capacity),
        DataType::UInt64 => numbers::<UInt64Type>(capacity),
        DataType::Float16 => numbers::<Float16Type>(capacity),
        DataType::Float32 => numbers::<Float32Type>(capacity),
        DataType::Float64 => numbers::<Float64Type>(capacity),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Box::new(Texts::new(data_type, capacity))
        }
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => {
            Box::new(Binaries::new(data_type, capacity))
        }
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Duration(_) => Box::new(Column::new(Moments(data_type.clone()), capacity)),
        DataType::Decimal32(precision, scale) => {
            decimals::<Decimal32Type>(*precision, *scale, capacity)
        }
        DataType::Decimal64(precision, scale) => {
            decimals::<Decimal64Type>(*precision, *scale, capacity)
        }
        DataType::Decimal128(precision, scale) => {
            decimals::<Decimal128Type>(*precision, *scale, capacity)
        }
        DataType::Decimal256(precision, scale) => {
            decimals::<Decimal256Type>(*precision, *scale, capacity)
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            Box::new(Items::new(data_type, item, capacity))
        }
        DataType::Struct(fields) => Box::new(Members::new(fields, capacity)),
        DataType::Dictionary(_, values) => column_of(values, capacity),
        other => Box::new(Nothing { data_type: other.clone(), len: 0 }),
    }
}

fn numbers<T: FromNumber>(capacity: usize) -> Box<dyn Cells> {
    Box::new(Column::new(Numbers::<T>::new(), capacity))
}

fn decimals<T: DecimalType>(precision: u8, scale: i8, capacity: usize) -> Box<dyn Cells> {
    Box::new(Column::new(Decimals::<T>::new(precision, scale), capacity))
}

/// A column of nulls: of type null, or of a type that text cannot give.
struct Nothing {
    data_type: DataType,
    len: usize,
}

impl Cells for Nothing {
    fn push_json(&mut self, _: &mut Scanner<'_>) -> Result<(), CellError> {
        Err(CellError::Type)
    }

    fn push_text(&mut self, _: &[u8]) -> Result<(), CellError> {
        Err(CellError::Type)
    }

    fn push_null(&mut self) {
        self.len += 1;
    }

    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    fn finish(self: Box<Self>) -> ArrayRef {
        if self.data_type == DataType::Null {
            return Arc::new(NullArray::new(self.len));
        }
        new_null_array(&self.data_type, self.len)
    }
}

/// Takes a string that stands for a value of another type; what is no Unicode is none.
pub(super) fn take_string<'a>(json: &mut Scanner<'a>) -> Result<Cow<'a, str>, CellError> {
    json.string()?.unescape().ok_or(CellError::Type)
}

/// Adds the JSON value that comes next, or null where `nullable`.
pub(super) fn push_nullable(
    cells: &mut dyn Cells,
    json: &mut Scanner<'_>,
    nullable: bool,
) -> Result<(), CellError> {
    if json.peek() != Some(b'n') {
        return cells.push_json(json);
    }
    json.literal("null")?;
    if !nullable {
        return Err(CellError::Type);
    }
    cells.push_null();
    Ok(())
}

/// Adds a JSON value that stands alone in `text`.
pub(super) fn push_whole(cells: &mut dyn Cells, text: &[u8]) -> Result<(), CellError> {
    let mut json = Scanner::new(text);
    let pushed = cells.push_json(&mut json).and_then(|()| Ok(json.finish()?));
    // In a cell, broken JSON is a wrong value, not a broken record.
    pushed.map_err(|_| CellError::Type)
}

/// The type of the arrays that `column_of(data_type)` gives.
pub(crate) fn column_type(data_type: &DataType) -> DataType {
    column_of(data_type, 0).finish().data_type().clone()
}
