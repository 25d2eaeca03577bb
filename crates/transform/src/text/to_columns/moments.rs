//! Columns of dates, times, timestamps and durations: ISO 8601 texts, or numbers of the type's own
//! unit. A timestamp without an offset is taken as UTC.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, Date32Array, Date64Array, DurationMicrosecondArray, DurationMillisecondArray,
        DurationNanosecondArray, DurationSecondArray, Time32MillisecondArray, Time32SecondArray,
        Time64MicrosecondArray, Time64NanosecondArray, TimestampMicrosecondArray,
        TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
    },
    buffer::{NullBuffer, ScalarBuffer},
    compute::kernels::cast_utils::Parser,
    datatypes::{
        DataType, Date32Type, Date64Type, Time32MillisecondType, Time32SecondType,
        Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
        TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    },
};

use super::{
    cells::{CellError, take_string},
    column::Values,
};
use crate::text::json::Scanner;

/// Points or spans in time.
pub(super) struct Moments(pub(super) DataType);

impl Moments {
    fn fitting(&self, value: Option<i64>) -> Result<i64, CellError> {
        let short = matches!(self.0, DataType::Date32 | DataType::Time32(_));
        value.filter(|value| !short || i32::try_from(*value).is_ok()).ok_or(CellError::Type)
    }
}

impl Values for Moments {
    type Value = i64;

    fn read_json(&self, json: &mut Scanner<'_>) -> Result<i64, CellError> {
        match json.peek() {
            Some(b'"') => self.read_text(take_string(json)?.as_bytes()),
            Some(b'-' | b'0'..=b'9') => {
                self.fitting(json.number()?.to_i128().and_then(|value| value.try_into().ok()))
            }
            _ => Err(CellError::Type),
        }
    }

    fn read_text(&self, text: &[u8]) -> Result<i64, CellError> {
        let text = std::str::from_utf8(text).map_err(|_| CellError::Type)?.trim();
        self.fitting(parse(&self.0, text).or_else(|| text.parse().ok()))
    }

    fn array(self, values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
        array(&self.0, values, nulls)
    }
}

/// The moment that `text` names, in the type's unit.
fn parse(data_type: &DataType, text: &str) -> Option<i64> {
    match data_type {
        DataType::Date32 => Date32Type::parse(text).map(i64::from),
        DataType::Date64 => Date64Type::parse(text),
        DataType::Time32(TimeUnit::Second) => Time32SecondType::parse(text).map(i64::from),
        DataType::Time32(_) => Time32MillisecondType::parse(text).map(i64::from),
        DataType::Time64(TimeUnit::Microsecond) => Time64MicrosecondType::parse(text),
        DataType::Time64(_) => Time64NanosecondType::parse(text),
        DataType::Timestamp(TimeUnit::Second, _) => TimestampSecondType::parse(text),
        DataType::Timestamp(TimeUnit::Millisecond, _) => TimestampMillisecondType::parse(text),
        DataType::Timestamp(TimeUnit::Microsecond, _) => TimestampMicrosecondType::parse(text),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => TimestampNanosecondType::parse(text),
        _ => None,
    }
}

fn array(data_type: &DataType, values: Vec<i64>, nulls: Option<NullBuffer>) -> ArrayRef {
    let short = |values: &[i64]| -> ScalarBuffer<i32> {
        values.iter().map(|value| *value as i32).collect()
    };
    match data_type {
        DataType::Date32 => Arc::new(Date32Array::new(short(&values), nulls)),
        DataType::Date64 => Arc::new(Date64Array::new(values.into(), nulls)),
        DataType::Time32(TimeUnit::Second) => {
            Arc::new(Time32SecondArray::new(short(&values), nulls))
        }
        DataType::Time32(_) => Arc::new(Time32MillisecondArray::new(short(&values), nulls)),
        DataType::Time64(TimeUnit::Microsecond) => {
            Arc::new(Time64MicrosecondArray::new(values.into(), nulls))
        }
        DataType::Time64(_) => Arc::new(Time64NanosecondArray::new(values.into(), nulls)),
        DataType::Timestamp(unit, zone) => timestamps(*unit, zone.clone(), values, nulls),
        DataType::Duration(TimeUnit::Second) => {
            Arc::new(DurationSecondArray::new(values.into(), nulls))
        }
        DataType::Duration(TimeUnit::Millisecond) => {
            Arc::new(DurationMillisecondArray::new(values.into(), nulls))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            Arc::new(DurationMicrosecondArray::new(values.into(), nulls))
        }
        DataType::Duration(TimeUnit::Nanosecond) => {
            Arc::new(DurationNanosecondArray::new(values.into(), nulls))
        }
        other => unreachable!("`{other}` is no time: `column_of` makes `Moments` of times only"),
    }
}

fn timestamps(
    unit: TimeUnit,
    zone: Option<Arc<str>>,
    values: Vec<i64>,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let values = values.into();
    match unit {
        TimeUnit::Second => {
            Arc::new(TimestampSecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => {
            Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => {
            Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone_opt(zone))
        }
    }
}
