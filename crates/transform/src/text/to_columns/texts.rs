//! Columns of text and of bytes.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, FixedSizeBinaryArray, GenericBinaryArray, GenericStringArray, NullBufferBuilder,
        OffsetSizeTrait, StringViewArray,
    },
    buffer::{NullBuffer, OffsetBuffer, ScalarBuffer},
    datatypes::DataType,
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::cells::{CellError, Cells, take_string};
use crate::text::json::Scanner;

/// Byte strings of any length, one after another.
struct Strings {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    nulls: NullBufferBuilder,
    /// All strings together may have so many bytes.
    most_bytes: usize,
}

impl Strings {
    fn new(capacity: usize, most_bytes: usize) -> Self {
        let mut ends = Vec::with_capacity(capacity + 1);
        ends.push(0);
        Self { bytes: Vec::new(), ends, nulls: NullBufferBuilder::new(capacity), most_bytes }
    }

    fn push(&mut self, text: &[u8]) -> Result<(), CellError> {
        if text.len() > self.most_bytes - self.bytes.len() {
            return Err(CellError::Type);
        }
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        self.nulls.append_non_null();
        Ok(())
    }

    fn push_null(&mut self) {
        self.ends.push(self.bytes.len());
        self.nulls.append_null();
    }

    fn len(&self) -> usize {
        self.ends.len() - 1
    }

    fn truncate(&mut self, len: usize) {
        self.ends.truncate(len + 1);
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
        self.nulls.truncate(len);
    }

    fn offsets<O: OffsetSizeTrait>(&self) -> OffsetBuffer<O> {
        let offsets: Vec<O> = self.ends.iter().map(|end| O::usize_as(*end)).collect();
        OffsetBuffer::new(ScalarBuffer::from(offsets))
    }
}

/// A column of text. Numbers, truth values, arrays and objects become their JSON text.
pub(super) struct Texts {
    strings: Strings,
    data_type: DataType,
}

impl Texts {
    pub(super) fn new(data_type: &DataType, capacity: usize) -> Self {
        let most_bytes = if *data_type == DataType::Utf8 { i32::MAX as usize } else { usize::MAX };
        Self { strings: Strings::new(capacity, most_bytes), data_type: data_type.clone() }
    }

    fn array<O: OffsetSizeTrait>(mut self) -> GenericStringArray<O> {
        let offsets = self.strings.offsets();
        let nulls = self.strings.nulls.finish();
        GenericStringArray::new(offsets, self.strings.bytes.into(), nulls)
    }
}

impl Cells for Texts {
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        if json.peek() != Some(b'"') {
            let start = json.position();
            json.skip_value()?;
            return self.push_text(json.since(start));
        }
        let at = json.clone();
        let text = json.string()?.unescape();
        let text = text.ok_or_else(|| at.error("expected valid Unicode in the string"))?;
        self.strings.push(text.as_bytes())
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        // The array's maker asks for valid UTF-8.
        std::str::from_utf8(text).map_err(|_| CellError::Type)?;
        self.strings.push(text)
    }

    fn push_null(&mut self) {
        self.strings.push_null();
    }

    fn len(&self) -> usize {
        self.strings.len()
    }

    fn truncate(&mut self, len: usize) {
        self.strings.truncate(len);
    }

    fn finish(self: Box<Self>) -> ArrayRef {
        match self.data_type {
            DataType::Utf8 => Arc::new(self.array::<i32>()),
            DataType::Utf8View => Arc::new(StringViewArray::from_iter(&self.array::<i64>())),
            _ => Arc::new(self.array::<i64>()),
        }
    }
}

/// A column of bytes, which text gives as base64.
pub(super) struct Binaries {
    strings: Strings,
    data_type: DataType,
}

impl Binaries {
    pub(super) fn new(data_type: &DataType, capacity: usize) -> Self {
        let large = *data_type == DataType::LargeBinary;
        let most_bytes = if large { usize::MAX } else { i32::MAX as usize };
        Self { strings: Strings::new(capacity, most_bytes), data_type: data_type.clone() }
    }
}

impl Cells for Binaries {
    fn push_json(&mut self, json: &mut Scanner<'_>) -> Result<(), CellError> {
        if json.peek() != Some(b'"') {
            return Err(CellError::Type);
        }
        self.push_text(take_string(json)?.as_bytes())
    }

    fn push_text(&mut self, text: &[u8]) -> Result<(), CellError> {
        let bytes = STANDARD.decode(text.trim_ascii()).map_err(|_| CellError::Type)?;
        match self.data_type {
            DataType::FixedSizeBinary(size) if bytes.len() as i64 != i64::from(size) => {
                Err(CellError::Type)
            }
            _ => self.strings.push(&bytes),
        }
    }

    fn push_null(&mut self) {
        self.strings.push_null();
    }

    fn len(&self) -> usize {
        self.strings.len()
    }

    fn truncate(&mut self, len: usize) {
        self.strings.truncate(len);
    }

    fn finish(mut self: Box<Self>) -> ArrayRef {
        let nulls = self.strings.nulls.finish();
        match self.data_type {
            DataType::FixedSizeBinary(size) => fixed(&self.strings, nulls, size),
            DataType::LargeBinary => {
                let offsets = self.strings.offsets::<i64>();
                Arc::new(GenericBinaryArray::new(offsets, self.strings.bytes.into(), nulls))
            }
            _ => {
                let offsets = self.strings.offsets::<i32>();
                Arc::new(GenericBinaryArray::new(offsets, self.strings.bytes.into(), nulls))
            }
        }
    }
}

/// `strings`, of which each that is not null has `size` bytes.
fn fixed(strings: &Strings, nulls: Option<NullBuffer>, size: i32) -> ArrayRef {
    let width = usize::try_from(size).unwrap_or(0);
    let mut bytes = Vec::with_capacity(width * strings.len());
    for ends in strings.ends.windows(2) {
        bytes.extend_from_slice(&strings.bytes[ends[0]..ends[1]]);
        // A null has no bytes of its own.
        bytes.resize(bytes.len() + width - (ends[1] - ends[0]), 0);
    }
    Arc::new(FixedSizeBinaryArray::new(size, bytes.into(), nulls))
}
