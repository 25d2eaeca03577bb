//! Columns of lists and of structs.

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, FixedSizeListArray, LargeListArray, ListArray, NullBufferBuilder,
        StructArray,
    },
    buffer::{OffsetBuffer, ScalarBuffer},
    datatypes::{DataType, FieldRef, Fields},
};

use super::cells::{CellError, Cells, column_of, push_nullable, push_whole};
use crate::text::json::Scanner;

/// A column of lists, which JSON gives as arrays.
pub(super) struct Items {
    data_type: DataType,
    item: FieldRef,
    values: Box<dyn Cells>,
    ends: Vec<usize>,
    nulls: NullBufferBuilder,
}

impl Items {
    pub(super) fn new(data_type: &DataType, item: &FieldRef, capacity: usize) -> Self {
        let values = column_of(item.data_type(), capacity);
        let nulls = NullBufferBuilder::new(capacity);
        Self { data_type: data_type.clone(), item: Arc::clone(item), values, ends: vec![0], nulls }
    }

    /// Items in every list, if the type says so.
    fn fixed_size(&self) -> Option<usize> {
        match self.data_type {
            DataType::FixedSizeList(_, size) => Some(usize::try_from(size).unwrap_or(0)),
            _ => None,
        }
    }

    fn offsets(&self) -> impl Iterator<Item = usize> {
        self.ends.iter().copied()
    }
}

impl Cells for Items {
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        if json.peek() != Some(b'[') {
            return Err(CellError::Type);
        }
        let before = self.values.len();
        json.open_array()?;
        let mut first = true;
        while json.next_element(&mut first)? {
            push_nullable(self.values.as_mut(), json, self.item.is_nullable())?;
        }
        let end = self.values.len();
        let fits = match self.data_type {
            DataType::FixedSizeList(..) => Some(end - before) == self.fixed_size(),
            DataType::LargeList(_) => true,
            _ => i32::try_from(end).is_ok(),
        };
        if !fits {
            return Err(CellError::Type);
        }
        self.ends.push(end);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        push_whole(self, text)
    }

    fn push_null(&mut self) {
        for _ in 0..self.fixed_size().unwrap_or(0) {
            self.values.push_null();
        }
        self.ends.push(self.values.len());
        self.nulls.append_null();
    }

    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len + 1);
        self.values.truncate(self.ends.last().copied().unwrap_or(0));
        self.nulls.truncate(len);
    }

    fn finish(mut self: Box<Self>) -> ArrayRef {
        let nulls = self.nulls.finish();
        let len = self.len();
        match self.data_type {
            DataType::FixedSizeList(_, size) => {
                let items = self.values.finish();
                let item = typed(&self.item, &items);
                let array = FixedSizeListArray::try_new_with_length(item, size, items, nulls, len);
                Arc::new(array.expect("every list has the size of its type"))
            }
            DataType::LargeList(_) => {
                let offsets: Vec<i64> = self.offsets().map(|end| end as i64).collect();
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let items = self.values.finish();
                Arc::new(LargeListArray::new(typed(&self.item, &items), offsets, items, nulls))
            }
            _ => {
                let offsets: Vec<i32> = self.offsets().map(|end| end as i32).collect();
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                let items = self.values.finish();
                Arc::new(ListArray::new(typed(&self.item, &items), offsets, items, nulls))
            }
        }
    }
}

/// `field` with the type that the column has got: the values of a dictionary, say.
fn typed(field: &FieldRef, column: &ArrayRef) -> FieldRef {
    if field.data_type() == column.data_type() {
        return Arc::clone(field);
    }
    Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone()))
}

/// A column of structs, which JSON gives as objects. Members that the type lacks are left out.
pub(super) struct Members {
    fields: Fields,
    columns: Vec<Box<dyn Cells>>,
    len: usize,
    nulls: NullBufferBuilder,
}

impl Members {
    pub(super) fn new(fields: &Fields, capacity: usize) -> Self {
        let columns = fields.iter().map(|field| column_of(field.data_type(), capacity)).collect();
        Self { fields: fields.clone(), columns, len: 0, nulls: NullBufferBuilder::new(capacity) }
    }
}

impl Cells for Members {
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        if json.peek() != Some(b'{') {
            return Err(CellError::Type);
        }
        json.open_object()?;
        let mut first = true;
        while let Some(name) = json.next_member(&mut first)? {
            let name = name.unescape();
            let place = self.fields.iter().position(|field| name.as_deref() == Some(field.name()));
            let Some(place) = place else {
                json.skip_value()?;
                continue;
            };
            let column = self.columns[place].as_mut();
            // Of two members with one name, the last counts.
            column.truncate(self.len);
            push_nullable(column, json, self.fields[place].is_nullable())?;
        }
        for (field, column) in self.fields.iter().zip(&mut self.columns) {
            if column.len() == self.len {
                if !field.is_nullable() {
                    return Err(CellError::Type);
                }
                column.push_null();
            }
        }
        self.len += 1;
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        push_whole(self, text)
    }

    fn push_null(&mut self) {
        for column in &mut self.columns {
            column.push_null();
        }
        self.len += 1;
        self.nulls.append_null();
    }

    fn len(&self) -> usize {
        self.len
    }

    fn truncate(&mut self, len: usize) {
        for column in &mut self.columns {
            column.truncate(len);
        }
        self.len = self.len.min(len);
        self.nulls.truncate(len);
    }

    fn finish(mut self: Box<Self>) -> ArrayRef {
        let nulls = self.nulls.finish();
        if self.fields.is_empty() {
            return Arc::new(StructArray::new_empty_fields(self.len, nulls));
        }
        let columns: Vec<ArrayRef> = self.columns.into_iter().map(Cells::finish).collect();
        let fields = self.fields.iter().zip(&columns).map(|(field, column)| typed(field, column));
        Arc::new(StructArray::new(fields.collect(), columns, nulls))
    }
}
