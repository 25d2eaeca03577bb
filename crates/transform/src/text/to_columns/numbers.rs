//! Columns of numbers and of truth values.

use std::{marker::PhantomData, sync::Arc};

use arrow::{
    array::{ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::{
        Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
        UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};

use super::{
    cells::{CellError, take_string},
    column::Values,
};
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
    ($($type:ty, $from_number:expr, $from_f64:expr;)*) => {$(
        impl FromNumber for $type {
            #[inline]
            fn from_number(number: Number<'_>) -> Option<Self::Native> {
                let value = $from_number(number);
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

type Half = <Float16Type as ArrowPrimitiveType>::Native;

floats! {
    Float16Type, |number: Number<'_>| Half::from_f64(number.to_f64()), Half::from_f64;
    Float32Type, Number::to_f32, |value: f64| value as f32;
    Float64Type, Number::to_f64, |value: f64| value;
}

/// Numbers of one type.
pub(super) struct Numbers<T>(PhantomData<T>);

impl<T> Numbers<T> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: FromNumber> Values for Numbers<T> {
    type Value = T::Native;

    #[inline]
    fn read_json(&self, json: &mut Scanner<'_>) -> Result<T::Native, CellError> {
        match json.peek() {
            Some(b'-' | b'0'..=b'9') => T::from_number(json.number()?).ok_or(CellError::Type),
            Some(b'"') => self.read_text(take_string(json)?.as_bytes()),
            Some(b't' | b'f') => Ok(T::from_bool(take_bool(json)?)),
            _ => Err(CellError::Type),
        }
    }

    #[inline]
    fn read_text(&self, text: &[u8]) -> Result<T::Native, CellError> {
        let text = text.trim_ascii();
        let mut json = Scanner::new(text);
        let value = match json.number().and_then(|number| json.finish().map(|()| number)) {
            Ok(number) => T::from_number(number),
            Err(_) => T::from_other(text),
        };
        value.ok_or(CellError::Type)
    }

    fn array(self, values: Vec<T::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))
    }
}

/// Takes `true` or `false`.
fn take_bool(json: &mut Scanner<'_>) -> Result<bool, CellError> {
    let value = json.peek() == Some(b't');
    json.literal(if value { "true" } else { "false" })?;
    Ok(value)
}

/// Truth values.
pub(super) struct Booleans;

impl Values for Booleans {
    type Value = bool;

    fn read_json(&self, json: &mut Scanner<'_>) -> Result<bool, CellError> {
        match json.peek() {
            Some(b't' | b'f') => take_bool(json),
            Some(b'"') => self.read_text(take_string(json)?.as_bytes()),
            Some(b'0' | b'1') => {
                let number = json.number()?;
                self.read_text(number.text())
            }
            _ => Err(CellError::Type),
        }
    }

    fn read_text(&self, text: &[u8]) -> Result<bool, CellError> {
        let text = text.trim_ascii();
        let is_any =
            |words: [&str; 3]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        if is_any(["true", "t", "1"]) {
            Ok(true)
        } else if is_any(["false", "f", "0"]) {
            Ok(false)
        } else {
            Err(CellError::Type)
        }
    }

    fn array(self, values: Vec<bool>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(BooleanArray::new(values.into(), nulls))
    }
}
