//! The values of one column, typed once, written one at a time.

use arrow::{
    array::{
        Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Float32Array, Float64Array,
        Int8Array, Int16Array, Int32Array, Int64Array, LargeBinaryArray, LargeStringArray,
        StringArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
    },
    buffer::NullBuffer,
    compute::cast,
    datatypes::{
        DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
        UInt16Type, UInt32Type, UInt64Type,
    },
    error::ArrowError,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;

use super::json_key;
use crate::text::{csv::write_cell, json::write_string};

/// The values of one column.
pub(super) struct Values {
    nulls: Option<NullBuffer>,
    typed: Typed,
}

enum Typed {
    Null,
    Bool(BooleanArray),
    Int8(Int8Array),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    UInt8(UInt8Array),
    UInt16(UInt16Array),
    UInt32(UInt32Array),
    UInt64(UInt64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Text(StringArray),
    LargeText(LargeStringArray),
    Bytes(LargeBinaryArray),
    FixedBytes(FixedSizeBinaryArray),
    /// Decimals, as JSON numbers.
    Decimal(StringArray),
    /// `items` from `ends[row]` to `ends[row + 1]`.
    List {
        items: Box<Values>,
        ends: Vec<usize>,
    },
    Struct(Vec<(Vec<u8>, Values)>),
    /// Objects with any members: the keys are text.
    Map {
        keys: Box<Values>,
        values: Box<Values>,
        ends: Vec<usize>,
    },
}

impl Values {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(Self { nulls: array.logical_nulls(), typed: Typed::new(array)? })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    #[inline]
    pub(super) fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            self.typed.write_json(row, out);
        }
    }

    #[inline]
    pub(super) fn write_csv(&self, row: usize, out: &mut Vec<u8>) {
        if !self.is_null(row) {
            self.typed.write_csv(row, out);
        }
    }
}

impl Typed {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean().clone()),
            DataType::Int8 => Self::Int8(array.as_primitive::<Int8Type>().clone()),
            DataType::Int16 => Self::Int16(array.as_primitive::<Int16Type>().clone()),
            DataType::Int32 => Self::Int32(array.as_primitive::<Int32Type>().clone()),
            DataType::Int64 => Self::Int64(array.as_primitive::<Int64Type>().clone()),
            DataType::UInt8 => Self::UInt8(array.as_primitive::<UInt8Type>().clone()),
            DataType::UInt16 => Self::UInt16(array.as_primitive::<UInt16Type>().clone()),
            DataType::UInt32 => Self::UInt32(array.as_primitive::<UInt32Type>().clone()),
            DataType::UInt64 => Self::UInt64(array.as_primitive::<UInt64Type>().clone()),
            DataType::Float32 => Self::Float32(array.as_primitive::<Float32Type>().clone()),
            DataType::Float64 => Self::Float64(array.as_primitive::<Float64Type>().clone()),
            DataType::Float16 => Self::new(&cast(array, &DataType::Float32)?)?,
            DataType::Utf8 => Self::Text(array.as_string().clone()),
            DataType::LargeUtf8 => Self::LargeText(array.as_string().clone()),
            DataType::LargeBinary => Self::Bytes(array.as_binary().clone()),
            DataType::Binary | DataType::BinaryView => {
                Self::new(&cast(array, &DataType::LargeBinary)?)?
            }
            DataType::FixedSizeBinary(_) => Self::FixedBytes(array.as_fixed_size_binary().clone()),
            DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => {
                Self::Decimal(cast(array, &DataType::Utf8)?.as_string().clone())
            }
            DataType::Dictionary(_, values) => Self::new(&cast(array, values)?)?,
            DataType::RunEndEncoded(_, values) => Self::new(&cast(array, values.data_type())?)?,
            DataType::Struct(_) => Self::of_struct(array)?,
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::ListView(_)
            | DataType::LargeListView(_)
            | DataType::Map(..) => Self::of_list(array)?,
            // A zone whose rules are not at hand: the moment is right in UTC.
            DataType::Timestamp(unit, Some(_)) => {
                let text = cast(array, &DataType::LargeUtf8).or_else(|_| {
                    let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
                    cast(&cast(array, &utc)?, &DataType::LargeUtf8)
                })?;
                Self::LargeText(text.as_string().clone())
            }
            _ => Self::LargeText(cast(array, &DataType::LargeUtf8)?.as_string().clone()),
        })
    }

    fn of_struct(array: &ArrayRef) -> Result<Self, ArrowError> {
        let array = array.as_struct();
        let mut members = Vec::with_capacity(array.num_columns());
        for (field, column) in array.fields().iter().zip(array.columns()) {
            members.push((json_key(field.name()), Values::new(column)?));
        }
        Ok(Self::Struct(members))
    }

    fn of_list(array: &ArrayRef) -> Result<Self, ArrowError> {
        let widen = |offsets: &[i32]| offsets.iter().map(|end| *end as usize).collect();
        Ok(match array.data_type() {
            DataType::List(_) => {
                let array = array.as_list::<i32>();
                let items = Box::new(Values::new(array.values())?);
                Self::List { items, ends: widen(array.value_offsets()) }
            }
            DataType::LargeList(_) => {
                let array = array.as_list::<i64>();
                let ends = array.value_offsets().iter().map(|end| *end as usize).collect();
                Self::List { items: Box::new(Values::new(array.values())?), ends }
            }
            DataType::FixedSizeList(_, size) => {
                let size = usize::try_from(*size).unwrap_or(0);
                let list = array.as_fixed_size_list();
                let ends = (0..=array.len()).map(|row| row * size).collect();
                Self::List { items: Box::new(Values::new(list.values())?), ends }
            }
            DataType::Map(..) => {
                let map = array.as_map();
                // Members of objects have texts as names.
                let keys = Box::new(Values::new(&cast(map.keys(), &DataType::LargeUtf8)?)?);
                let values = Box::new(Values::new(map.values())?);
                Self::Map { keys, values, ends: widen(map.value_offsets()) }
            }
            DataType::ListView(item) => {
                Self::of_list(&cast(array, &DataType::List(std::sync::Arc::clone(item)))?)?
            }
            DataType::LargeListView(item) => {
                Self::of_list(&cast(array, &DataType::LargeList(std::sync::Arc::clone(item)))?)?
            }
            other => return Err(ArrowError::CastError(format!("`{other}` is no list"))),
        })
    }

    fn write_json(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Float32(array) => write_number(array.value(row), out),
            Self::Float64(array) => write_number(array.value(row), out),
            Self::Int8(array) => write_number(array.value(row), out),
            Self::Int16(array) => write_number(array.value(row), out),
            Self::Int32(array) => write_number(array.value(row), out),
            Self::Int64(array) => write_number(array.value(row), out),
            Self::UInt8(array) => write_number(array.value(row), out),
            Self::UInt16(array) => write_number(array.value(row), out),
            Self::UInt32(array) => write_number(array.value(row), out),
            Self::UInt64(array) => write_number(array.value(row), out),
            Self::Bool(array) => write_number(array.value(row), out),
            Self::Text(array) => write_string(array.value(row).as_bytes(), out),
            Self::LargeText(array) => write_string(array.value(row).as_bytes(), out),
            Self::Bytes(array) => write_string(STANDARD.encode(array.value(row)).as_bytes(), out),
            Self::FixedBytes(array) => {
                write_string(STANDARD.encode(array.value(row)).as_bytes(), out);
            }
            Self::Decimal(array) => out.extend_from_slice(array.value(row).as_bytes()),
            Self::List { items, ends } => {
                out.push(b'[');
                for item in ends[row]..ends[row + 1] {
                    if item > ends[row] {
                        out.push(b',');
                    }
                    items.write_json(item, out);
                }
                out.push(b']');
            }
            Self::Struct(members) => {
                out.push(b'{');
                for (index, (key, values)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(key);
                    values.write_json(row, out);
                }
                out.push(b'}');
            }
            Self::Map { keys, values, ends } => {
                out.push(b'{');
                for entry in ends[row]..ends[row + 1] {
                    if entry > ends[row] {
                        out.push(b',');
                    }
                    keys.write_json(entry, out);
                    out.push(b':');
                    values.write_json(entry, out);
                }
                out.push(b'}');
            }
        }
    }

    fn write_csv(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            Self::Null => {}
            Self::Float32(array) if !array.value(row).is_finite() => {
                write_no_number(f64::from(array.value(row)), out);
            }
            Self::Float64(array) if !array.value(row).is_finite() => {
                write_no_number(array.value(row), out);
            }
            Self::Text(array) => write_cell(array.value(row).as_bytes(), out),
            Self::LargeText(array) => write_cell(array.value(row).as_bytes(), out),
            Self::Bytes(array) => write_cell(STANDARD.encode(array.value(row)).as_bytes(), out),
            Self::FixedBytes(array) => {
                write_cell(STANDARD.encode(array.value(row)).as_bytes(), out);
            }
            Self::List { .. } | Self::Struct(_) | Self::Map { .. } => {
                let mut json = Vec::new();
                self.write_json(row, &mut json);
                write_cell(&json, out);
            }
            _ => self.write_json(row, out),
        }
    }
}

/// Writes a number or truth value; what JSON has no number for becomes null.
#[inline]
fn write_number<T: Serialize>(value: T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, &value).expect("a number is always written, and memory takes it");
}

/// Writes a float that JSON has no number for.
fn write_no_number(value: f64, out: &mut Vec<u8>) {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value > 0.0 {
        b"inf"
    } else {
        b"-inf"
    };
    out.extend_from_slice(text);
}
