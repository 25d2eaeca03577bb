//! UBJSON (draft 12) as XGBoost writes it.

use super::{MAX_DEPTH, SyntaxError, Value};

/// Reads one UBJSON document. The values of members named in `skip` are checked, but not kept.
pub(crate) fn parse_ubjson(bytes: &[u8], skip: &[&str]) -> Result<Value, SyntaxError> {
    let mut parser = Parser { bytes, at: 0, skip };
    let marker = parser.marker()?;
    let value = parser.value(marker, 0)?;
    if parser.at < bytes.len() {
        return Err(parser.error("something follows the end of the document"));
    }
    Ok(value)
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    skip: &'a [&'a str],
}

impl<'a> Parser<'a> {
    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { offset: self.at, message: message.into() }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], SyntaxError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| self.error("the document ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], SyntaxError> {
        Ok(self.take(BYTES)?.try_into().expect("as many bytes as were taken"))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// The next marker that is no filler.
    fn marker(&mut self) -> Result<u8, SyntaxError> {
        loop {
            let [marker] = self.number()?;
            if marker != b'N' {
                return Ok(marker);
            }
        }
    }

    fn value(&mut self, marker: u8, depth: usize) -> Result<Value, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("values nest deeper than {MAX_DEPTH}")));
        }
        Ok(match marker {
            b'Z' => Value::Null,
            b'T' => Value::Bool(true),
            b'F' => Value::Bool(false),
            b'd' | b'D' => Value::Float(self.float(marker)?),
            b'S' => Value::Text(self.text()?),
            b'[' => self.array(depth)?,
            b'{' => self.map(depth)?,
            _ => Value::Int(self.int(marker)?),
        })
    }

    fn int(&mut self, marker: u8) -> Result<i64, SyntaxError> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.number()?)),
            b'U' => i64::from(u8::from_be_bytes(self.number()?)),
            b'I' => i64::from(i16::from_be_bytes(self.number()?)),
            b'l' => i64::from(i32::from_be_bytes(self.number()?)),
            b'L' => i64::from_be_bytes(self.number()?),
            _ => return Err(self.error(format!("unknown marker {marker:#04x}"))),
        })
    }

    fn float(&mut self, marker: u8) -> Result<f32, SyntaxError> {
        Ok(match marker {
            b'd' => f32::from_be_bytes(self.number()?),
            _ => f64::from_be_bytes(self.number()?) as f32,
        })
    }

    fn length(&mut self) -> Result<usize, SyntaxError> {
        let [marker] = self.number()?;
        let length = self.int(marker)?;
        usize::try_from(length).map_err(|_| self.error(format!("a length of {length}")))
    }

    fn text(&mut self) -> Result<String, SyntaxError> {
        let length = self.length()?;
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.error("a string is not UTF-8"))
    }

    /// What stands before the elements of a container: the type of all of them, their count.
    fn header(&mut self) -> Result<(Option<u8>, Option<usize>), SyntaxError> {
        let mut kind = None;
        if self.peek() == Some(b'$') {
            self.at += 1;
            let [marker] = self.number()?;
            kind = Some(marker);
        }
        if self.peek() == Some(b'#') {
            self.at += 1;
            return Ok((kind, Some(self.length()?)));
        }
        if kind.is_some() {
            return Err(self.error("a typed container has no count"));
        }
        Ok((None, None))
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let (kind, count) = self.header()?;
        if let (Some(kind), Some(count)) = (kind, count) {
            return self.typed_array(kind, count);
        }
        let mut values = Vec::new();
        while count.is_none_or(|count| values.len() < count) {
            let marker = self.marker()?;
            if marker == b']' && count.is_none() {
                break;
            }
            values.push(self.value(marker, depth + 1)?);
        }
        Ok(packed(values))
    }

    fn typed_array(&mut self, kind: u8, count: usize) -> Result<Value, SyntaxError> {
        let size = match kind {
            b'i' | b'U' => 1,
            b'I' => 2,
            b'l' | b'd' => 4,
            b'L' | b'D' => 8,
            _ => return Err(self.error(format!("an array of type {kind:#04x}"))),
        };
        if count > (self.bytes.len() - self.at) / size {
            return Err(self.error(format!("the document ends within an array of {count}")));
        }
        if matches!(kind, b'd' | b'D') {
            return (0..count)
                .map(|_| self.float(kind))
                .collect::<Result<_, _>>()
                .map(Value::Floats);
        }
        (0..count).map(|_| self.int(kind)).collect::<Result<_, _>>().map(Value::Ints)
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let (kind, count) = self.header()?;
        let mut members = Vec::new();
        let mut seen = 0;
        while count.is_none_or(|count| seen < count) {
            if count.is_none() {
                while self.peek() == Some(b'N') {
                    self.at += 1;
                }
                if self.peek() == Some(b'}') {
                    self.at += 1;
                    break;
                }
            }
            let name = self.text()?;
            let marker = kind.map_or_else(|| self.marker(), Ok)?;
            let value = self.value(marker, depth + 1)?;
            seen += 1;
            if !self.skip.contains(&name.as_str()) {
                members.push((name, value));
            }
        }
        Ok(Value::Map(members))
    }
}

/// An array of numbers in its packed form.
fn packed(values: Vec<Value>) -> Value {
    let ints = values.iter().map(|value| match value {
        Value::Int(number) => Some(*number),
        _ => None,
    });
    if let Some(ints) = ints.collect::<Option<Vec<_>>>() {
        return Value::Ints(ints);
    }
    let floats = values.iter().map(|value| match value {
        Value::Int(number) => Some(*number as f32),
        Value::Float(number) => Some(*number),
        _ => None,
    });
    floats.collect::<Option<Vec<_>>>().map_or(Value::List(values), Value::Floats)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": [1.5, -2.0], "b": ["x", true, null], "c": [1, 300], "skipped": 1}`.
    fn document() -> Vec<u8> {
        let mut bytes = b"{U\x01a[$d#L".to_vec();
        bytes.extend(2_i64.to_be_bytes());
        bytes.extend(1.5_f32.to_be_bytes());
        bytes.extend((-2_f32).to_be_bytes());
        bytes.extend(
            b"i\x01b[SU\x01xTNZ]L\0\0\0\0\0\0\0\x01c[#i\x02U\x01I\x01\x2ci\x07skippedi\x01}",
        );
        bytes
    }

    #[test]
    fn reads_every_kind_of_container() {
        let expected = Value::Map(vec![
            ("a".into(), Value::Floats(vec![1.5, -2.0])),
            (
                "b".into(),
                Value::List(vec![Value::Text("x".into()), Value::Bool(true), Value::Null]),
            ),
            ("c".into(), Value::Ints(vec![1, 300])),
        ]);
        assert_eq!(parse_ubjson(&document(), &["skipped"]), Ok(expected));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let bytes = document();
        for length in 0..bytes.len() {
            assert!(parse_ubjson(&bytes[..length], &[]).is_err(), "{length}");
        }
    }

    #[test]
    fn lengths_are_believed_only_as_far_as_the_file_goes() {
        let mut bytes = b"[$l#L".to_vec();
        bytes.extend((1_i64 << 31).to_be_bytes());
        let message = parse_ubjson(&bytes, &[]).map_err(|error| error.message);
        assert_eq!(message, Err("the document ends within an array of 2147483648".into()));
        assert!(parse_ubjson(b"[$i#i\xff", &[]).is_err());
        assert!(parse_ubjson(b"SL\x7f\xff\xff\xff\xff\xff\xff\xff", &[]).is_err());
        assert!(parse_ubjson(&b"[".repeat(100_000), &[]).is_err());
    }
}
