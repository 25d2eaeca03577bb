//! Protocol Buffers without a schema: a message is walked field by field, in place. Enough to read what
//! we need of an ONNX model, and to write the model anew with some of it changed.

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// Its number, which says what it is.
    pub number: u64,
    /// What it holds.
    pub value: Value<'a>,
    /// The field as it stands in the message, its tag included.
    pub raw: &'a [u8],
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// An integer.
    Varint(u64),
    /// A text, bytes, a packed list or a message.
    Bytes(&'a [u8]),
    /// A number of 32 bits, such as a `float`.
    Fixed32([u8; 4]),
    /// A number of 64 bits, such as a `double`.
    Fixed64([u8; 8]),
}

/// Why bytes are no Protocol Buffers message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// It ends too early.
    #[error("it ends in the middle of a field: the file is cut off")]
    Truncated,
    /// It is something else.
    #[error("it is not a Protocol Buffers message")]
    Malformed,
}

impl<'a> Field<'a> {
    /// The field's bytes; malformed if it holds a number.
    pub fn bytes(&self) -> Result<&'a [u8], ProtobufError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(ProtobufError::Malformed),
        }
    }

    /// The field's text, with what is no UTF-8 replaced.
    pub fn text(&self) -> Result<String, ProtobufError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// The integers of a repeated field, packed or not.
    pub fn integers(&self) -> Result<Vec<i64>, ProtobufError> {
        match self.value {
            Value::Varint(number) => Ok(vec![number as i64]),
            Value::Bytes(mut packed) => {
                let mut numbers = Vec::new();
                while !packed.is_empty() {
                    numbers.push(take_varint(&mut packed)? as i64);
                }
                Ok(numbers)
            }
            Value::Fixed32(_) | Value::Fixed64(_) => Err(ProtobufError::Malformed),
        }
    }

    /// The `float`s of a repeated field, packed or not.
    pub fn floats(&self) -> Result<Vec<f32>, ProtobufError> {
        match self.value {
            Value::Fixed32(bytes) => Ok(vec![f32::from_le_bytes(bytes)]),
            Value::Bytes(packed) => {
                let (floats, rest) = packed.as_chunks();
                if !rest.is_empty() {
                    return Err(ProtobufError::Malformed);
                }
                Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            }
            Value::Varint(_) | Value::Fixed64(_) => Err(ProtobufError::Malformed),
        }
    }

    /// The `double`s of a repeated field, packed or not.
    pub fn doubles(&self) -> Result<Vec<f64>, ProtobufError> {
        match self.value {
            Value::Fixed64(bytes) => Ok(vec![f64::from_le_bytes(bytes)]),
            Value::Bytes(packed) => {
                let (doubles, rest) = packed.as_chunks();
                if !rest.is_empty() {
                    return Err(ProtobufError::Malformed);
                }
                Ok(doubles.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
            }
            Value::Varint(_) | Value::Fixed32(_) => Err(ProtobufError::Malformed),
        }
    }
}

/// Walks the fields of a message. Ends after the first error.
#[derive(Debug, Clone)]
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub fn of(message: &'a [u8]) -> Self {
        Self(message)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = take_field(&mut self.0);
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Result<Field<'a>, ProtobufError> {
    let start = *rest;
    let tag = take_varint(rest)?;
    let number = tag >> 3;
    if number == 0 {
        return Err(ProtobufError::Malformed);
    }
    let value = match tag & 7 {
        0 => Value::Varint(take_varint(rest)?),
        1 => Value::Fixed64(take_fixed(rest)?),
        2 => {
            let length = take_varint(rest)?;
            Value::Bytes(take_bytes(rest, length)?)
        }
        5 => Value::Fixed32(take_fixed(rest)?),
        _ => return Err(ProtobufError::Malformed),
    };
    Ok(Field { number, value, raw: &start[..start.len() - rest.len()] })
}

fn take_bytes<'a>(rest: &mut &'a [u8], length: u64) -> Result<&'a [u8], ProtobufError> {
    let length = usize::try_from(length).map_err(|_| ProtobufError::Truncated)?;
    let (taken, after) = rest.split_at_checked(length).ok_or(ProtobufError::Truncated)?;
    *rest = after;
    Ok(taken)
}

fn take_fixed<const SIZE: usize>(rest: &mut &[u8]) -> Result<[u8; SIZE], ProtobufError> {
    let (taken, after) = rest.split_first_chunk().ok_or(ProtobufError::Truncated)?;
    *rest = after;
    Ok(*taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, ProtobufError> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(ProtobufError::Truncated)?;
        *rest = after;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(ProtobufError::Malformed)
}

/// Appends a field that holds bytes, a text or a message.
pub fn put_bytes(message: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    put_varint(message, number << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

/// Appends a field that holds an integer.
pub fn put_integer(message: &mut Vec<u8>, number: u64, integer: u64) {
    put_varint(message, number << 3);
    put_varint(message, integer);
}

fn put_varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_read_back() {
        let mut message = Vec::new();
        put_integer(&mut message, 1, 300);
        put_bytes(&mut message, 1000, b"text");
        let fields: Vec<_> = Fields::of(&message).map(Result::unwrap).collect();
        assert!(matches!(fields[0], Field { number: 1, value: Value::Varint(300), .. }));
        assert_eq!((fields[1].number, fields[1].bytes()), (1000, Ok(b"text".as_slice())));
        assert_eq!([fields[0].raw, fields[1].raw].concat(), message);
    }

    #[test]
    fn a_cut_is_told_from_nonsense() {
        let mut message = Vec::new();
        put_bytes(&mut message, 7, b"a graph");
        let cut = Fields::of(&message[..4]).next().unwrap();
        assert_eq!(cut.unwrap_err(), ProtobufError::Truncated);
        let huge = [0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(Fields::of(&huge).next().unwrap().unwrap_err(), ProtobufError::Truncated);
        assert_eq!(Fields::of(b"\x0f").next().unwrap().unwrap_err(), ProtobufError::Malformed);
        assert_eq!(Fields::of(&[0xff; 20]).next().unwrap().unwrap_err(), ProtobufError::Malformed);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for field in Fields::of(&bytes).flatten() {
                let _ = (field.integers(), field.floats(), field.doubles());
            }
        }
    }
}
