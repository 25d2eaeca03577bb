//! Columns of numbers and of truth values.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BooleanArray, BooleanBufferBuilder, NullBufferBuilder,
        PrimitiveArray,
    },
    datatypes::{
        Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};

use super::cells::{CellError, Cells};
use crate::text::json::{Number, Scanner, parse_f64};

/// A number type that text can give.
pub(crate) trait FromNumber: ArrowPrimitiveType {
    /// The value, if the type holds it: no fraction is cut off, no finite number becomes infinite.
    fn from_number(number: Number<'_>) -> Option<Self::Native>;

    /// The value of a text that is no JSON number, such as `+1`, `.5` or `NaN`.
    fn from_other(text: &[u8]) -> Option<Self::Native>;

    /// 1 for true.
    fn from_bool(value: bool) -> Self::Native;
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl FromNumber for $type {
            #[inline]
            fn from_number(number: Number<'_>) -> Option<Self::Native> {
                number.to_i128()?.try_into().ok()
            }

            fn from_other(text: &[u8]) -> Option<Self::Native> {
                std::str::from_utf8(text).ok()?.parse().ok()
            }

            fn from_bool(value: bool) -> Self::Native {
                value.into()
            }
        }
    )*};
}

integers!(Int8Type Int16Type Int32Type Int64Type UInt8Type UInt16Type UInt32Type UInt64Type);

// Shorter floats are rounded from the float64, as Python's and NumPy's are, so that a record gives
// the same features here and in a Python server.
macro_rules! floats {
    ($($type:ty, $from_f64:expr;)*) => {$(
        impl FromNumber for $type {
            #[inline]
            fn from_number(number: Number<'_>) -> Option<Self::Native> {
                let value = $from_f64(number.to_f64());
                value.is_finite().then_some(value)
            }

            fn from_other(text: &[u8]) -> Option<Self::Native> {
                parse_f64(text).map($from_f64)
            }

            fn from_bool(value: bool) -> Self::Native {
                $from_f64(f64::from(u8::from(value)))
            }
        }
    )*};
}

floats! {
    Float16Type, <Float16Type as ArrowPrimitiveType>::Native::from_f64;
    Float32Type, |value: f64| value as f32;
    Float64Type, |value: f64| value;
}

/// A column of numbers.
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: NullBufferBuilder,
}

impl<T: FromNumber> Numbers<T> {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), nulls: NullBufferBuilder::new(capacity) }
    }

    #[inline]
    fn push(&mut self, value: Option<T::Native>) -> Result<(), CellError> {
        self.values.push(value.ok_or(CellError::Type)?);
        self.nulls.append_non_null();
        Ok(())
    }
}

impl<T: FromNumber> Cells for Numbers<T> {
    #[inline]
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        match json.peek() {
            Some(b'-' | b'0'..=b'9') => {
                let number = json.number()?;
                self.push(T::from_number(number))
            }
            Some(b'"') => {
                let text = json.string()?.unescape().ok_or(CellError::Type)?;
                self.push_text(text.as_bytes())
            }
            Some(b't' | b'f') => {
                let value = take_bool(json)?;
                self.push(Some(T::from_bool(value)))
            }
            _ => Err(CellError::Type),
        }
    }

    #[inline]
    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        let text = text.trim_ascii();
        let mut json = Scanner::new(text);
        let value = match json.number().and_then(|number| json.finish().map(|()| number)) {
            Ok(number) => T::from_number(number),
            Err(_) => T::from_other(text),
        };
        self.push(value)
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
        Arc::new(PrimitiveArray::<T>::new(self.values.into(), self.nulls.build()))
    }
}

/// Takes `true` or `false`.
pub(super) fn take_bool(json: &mut Scanner<'_>) -> Result<bool, CellError> {
    let value = json.peek() == Some(b't');
    json.literal(if value { "true" } else { "false" })?;
    Ok(value)
}

/// A column of truth values.
pub(super) struct Booleans {
    values: BooleanBufferBuilder,
    nulls: NullBufferBuilder,
}

impl Booleans {
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            values: BooleanBufferBuilder::new(capacity),
            nulls: NullBufferBuilder::new(capacity),
        }
    }

    fn push(&mut self, value: bool) {
        self.values.append(value);
        self.nulls.append_non_null();
    }
}

impl Cells for Booleans {
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        match json.peek() {
            Some(b't' | b'f') => {
                let value = take_bool(json)?;
                self.push(value);
                Ok(())
            }
            Some(b'"') => {
                let text = json.string()?.unescape().ok_or(CellError::Type)?;
                self.push_text(text.as_bytes())
            }
            Some(b'0' | b'1') => {
                let number = json.number()?;
                self.push_text(number.text())
            }
            _ => Err(CellError::Type),
        }
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        let text = text.trim_ascii();
        let is_any =
            |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        if is_any(["true", "t", "1"]) {
            self.push(true);
        } else if is_any(["false", "f", "0"]) {
            self.push(false);
        } else {
            return Err(CellError::Type);
        }
        Ok(())
    }

    fn push_null(&mut self) {
        self.values.append(false);
        self.nulls.append_null();
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.nulls.truncate(len);
    }

    fn finish(mut self: Box<Self>) -> ArrayRef {
        Arc::new(BooleanArray::new(self.values.finish(), self.nulls.build()))
    }
}
