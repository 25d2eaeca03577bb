//! Columns of one value after another, such as numbers: a value a row, and which of them are null.

use arrow::{
    array::{ArrayRef, NullBufferBuilder},
    buffer::NullBuffer,
};

use super::cells::{CellError, Cells};
use crate::text::json::Scanner;

/// A type of values that text can give.
pub(super) trait Values {
    type Value: Default;

    /// The JSON value that comes next, which is not null.
    fn read_json(&self, json: &mut Scanner<'_>) -> Result<Self::Value, CellError>;

    /// The value of a text: a CSV cell, unquoted.
    fn read_text(&self, text: &[u8]) -> Result<Self::Value, CellError>;

    /// The values as a column.
    fn array(self, values: Vec<Self::Value>, nulls: Option<NullBuffer>) -> ArrayRef;
}

/// A column in the making.
pub(super) struct Column<V: Values> {
    kind: V,
    values: Vec<V::Value>,
    nulls: NullBufferBuilder,
}

impl<V: Values> Column<V> {
    pub(super) fn new(kind: V, capacity: usize) -> Self {
        let nulls = NullBufferBuilder::new(capacity);
        Self { kind, values: Vec::with_capacity(capacity), nulls }
    }
}

impl<V: Values> Cells for Column<V> {
    #[inline]
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        self.values.push(self.kind.read_json(json)?);
        self.nulls.append_non_null();
        Ok(())
    }

    #[inline]
    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        self.values.push(self.kind.read_text(text)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.values.push(V::Value::default());
        self.nulls.append_null();
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    fn finish(self: Box<Self>) -> ArrayRef {
        let nulls = self.nulls.build();
        self.kind.array(self.values, nulls)
    }
}
