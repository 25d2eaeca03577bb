//! Columns of decimals.

use std::{marker::PhantomData, sync::Arc};

use arrow::{
    array::{ArrayRef, PrimitiveArray},
    buffer::NullBuffer,
    compute::kernels::cast_utils::parse_decimal,
    datatypes::DecimalType,
};

use super::{
    cells::{CellError, take_string},
    column::Values,
};
use crate::text::json::Scanner;

/// Decimals of one precision and scale. Digits beyond the scale are rounded away.
pub(super) struct Decimals<T> {
    precision: u8,
    scale: i8,
    kind: PhantomData<T>,
}

impl<T> Decimals<T> {
    pub(super) fn new(precision: u8, scale: i8) -> Self {
        Self { precision, scale, kind: PhantomData }
    }
}

impl<T: DecimalType> Values for Decimals<T> {
    type Value = T::Native;

    fn read_json(&self, json: &mut Scanner<'_>) -> Result<T::Native, CellError> {
        match json.peek() {
            Some(b'"') => self.read_text(take_string(json)?.as_bytes()),
            Some(b'-' | b'0'..=b'9') => {
                let number = json.number()?;
                self.read_text(number.text())
            }
            _ => Err(CellError::Type),
        }
    }

    fn read_text(&self, text: &[u8]) -> Result<T::Native, CellError> {
        let text = text.trim_ascii();
        let mut json = Scanner::new(text);
        json.number().and_then(|_| json.finish()).map_err(|_| CellError::Type)?;
        let text = std::str::from_utf8(text).map_err(|_| CellError::Type)?;
        parse_decimal::<T>(text, self.precision, self.scale).map_err(|_| CellError::Type)
    }

    fn array(self, values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
        let array = PrimitiveArray::<T>::new(values.into(), nulls);
        let array = array.with_precision_and_scale(self.precision, self.scale);
        Arc::new(array.expect("a wanted decimal has a precision and scale that its type allows"))
    }
}
