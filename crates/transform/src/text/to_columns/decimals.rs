//! Columns of decimals.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, NullBufferBuilder, PrimitiveArray},
    compute::kernels::cast_utils::parse_decimal,
    datatypes::DecimalType,
};

use super::cells::{CellError, Cells};
use crate::text::json::Scanner;

/// A column of decimals of one precision and scale. Digits beyond the scale are rounded away.
pub(super) struct Decimals<T: DecimalType> {
    precision: u8,
    scale: i8,
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: DecimalType> Decimals<T> {
    pub(super) fn new(precision: u8, scale: i8) -> Self {
        Self { precision, scale, values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl<T: DecimalType> Cells for Decimals<T> {
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        match json.peek() {
            Some(b'"') => {
                let text = json.string()?.unescape().ok_or(CellError::Type)?;
                self.push_text(text.as_bytes())
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = json.number()?;
                self.push_text(number.text())
            }
            _ => Err(CellError::Type),
        }
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        let text = text.trim_ascii();
        let mut json = Scanner::new(text);
        json.number().and_then(|_| json.finish()).map_err(|_| CellError::Type)?;
        let text = std::str::from_utf8(text).map_err(|_| CellError::Type)?;
        let value = parse_decimal::<T>(text, self.precision, self.scale);
        self.values.push(value.map_err(|_| CellError::Type)?);
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.values.push(T::default_value());
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
        let array = PrimitiveArray::<T>::new(self.values.into(), self.nulls.build());
        let array = array.with_precision_and_scale(self.precision, self.scale);
        Arc::new(array.expect("a wanted decimal has a precision and scale that its type allows"))
    }
}
