//! JSON as XGBoost writes it: RFC 8259 and the literals `NaN`, `Infinity` and `-Infinity`.

use super::{MAX_DEPTH, SyntaxError, Value};

/// Reads one JSON text. The values of members named in `skip` are not kept, and arrays of numbers
/// among them only skimmed.
pub(crate) fn parse_json(bytes: &[u8], skip: &[&str]) -> Result<Value, SyntaxError> {
    let mut parser = Parser { bytes, at: 0, skip };
    parser.space();
    let value = parser.value(0)?;
    parser.space();
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

/// A number as written.
enum Number {
    Int(i64),
    Float(f32),
}

impl Parser<'_> {
    fn error(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError { offset: self.at, message: message.into() }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), SyntaxError> {
        match self.peek() {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(self.error(format!("expected `{}`", char::from(byte)))),
            None => Err(self.error("the document ends too early")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        if depth > MAX_DEPTH {
            return Err(self.error(format!("values nest deeper than {MAX_DEPTH}")));
        }
        match self.peek() {
            Some(b'{') => self.map(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::Text),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b'N' | b'I' | b'-' | b'0'..=b'9') => Ok(match self.number()? {
                Number::Int(number) => Value::Int(number),
                Number::Float(number) => Value::Float(number),
            }),
            Some(_) => Err(self.error("expected a value")),
            None => Err(self.error("the document ends too early")),
        }
    }

    fn literal(&mut self, text: &str, value: Value) -> Result<Value, SyntaxError> {
        if !self.bytes[self.at..].starts_with(text.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += text.len();
        Ok(value)
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.expect(b'{')?;
        let mut members = Vec::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Map(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.expect(b':')?;
            self.space();
            if !self.skip.contains(&name.as_str()) {
                members.push((name, self.value(depth + 1)?));
            } else if !self.skim_numbers() {
                self.value(depth + 1)?;
            }
            self.space();
            if self.peek() != Some(b',') {
                break;
            }
            self.at += 1;
        }
        self.expect(b'}')?;
        Ok(Value::Map(members))
    }

    /// Steps over an array of numbers without reading them; whether there was one.
    fn skim_numbers(&mut self) -> bool {
        let Some(rest) = self.bytes[self.at..].strip_prefix(b"[") else { return false };
        let end = rest.iter().position(|byte| {
            !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E' | b',' | b' ')
        });
        match end {
            Some(end) if rest[end] == b']' => {
                self.at += end + 2;
                true
            }
            _ => false,
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        self.expect(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Ints(Vec::new()));
        }
        if matches!(self.peek(), Some(b'N' | b'I' | b'-' | b'0'..=b'9')) {
            return self.numbers();
        }
        let mut values = Vec::new();
        loop {
            self.space();
            values.push(self.value(depth + 1)?);
            if !self.more()? {
                return Ok(Value::List(values));
            }
        }
    }

    /// The rest of an array whose first element is a number.
    fn numbers(&mut self) -> Result<Value, SyntaxError> {
        let mut ints = Vec::new();
        loop {
            self.space();
            match self.number()? {
                Number::Int(number) => ints.push(number),
                Number::Float(number) => {
                    let mut floats: Vec<f32> = ints.into_iter().map(|int| int as f32).collect();
                    floats.push(number);
                    return self.floats(floats);
                }
            }
            if !self.more()? {
                return Ok(Value::Ints(ints));
            }
        }
    }

    fn floats(&mut self, mut floats: Vec<f32>) -> Result<Value, SyntaxError> {
        while self.more()? {
            self.space();
            floats.push(match self.number()? {
                Number::Int(number) => number as f32,
                Number::Float(number) => number,
            });
        }
        Ok(Value::Floats(floats))
    }

    /// Steps over the `,` or the `]` after an element; whether it was a `,`.
    fn more(&mut self) -> Result<bool, SyntaxError> {
        self.space();
        if self.peek() == Some(b',') {
            self.at += 1;
            return Ok(true);
        }
        self.expect(b']')?;
        Ok(false)
    }

    fn number(&mut self) -> Result<Number, SyntaxError> {
        if matches!(self.bytes[self.at..], [b'N' | b'I', ..] | [b'-', b'I', ..]) {
            return self.not_finite();
        }
        let rest = &self.bytes[self.at..];
        let length = rest
            .iter()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = str::from_utf8(&rest[..length]).expect("digits and signs are ASCII");
        let number =
            text.parse::<i64>().map(Number::Int).or_else(|_| text.parse().map(Number::Float));
        let number = number.map_err(|_| self.error("expected a number"))?;
        self.at += length;
        Ok(number)
    }

    fn not_finite(&mut self) -> Result<Number, SyntaxError> {
        for (text, number) in
            [("NaN", f32::NAN), ("Infinity", f32::INFINITY), ("-Infinity", f32::NEG_INFINITY)]
        {
            if self.bytes[self.at..].starts_with(text.as_bytes()) {
                self.at += text.len();
                return Ok(Number::Float(number));
            }
        }
        Err(self.error("expected a number"))
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        self.expect(b'"')?;
        let mut bytes = Vec::new();
        loop {
            let Some(byte) = self.peek() else {
                return Err(self.error("the document ends within a string"));
            };
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    let character = self.escape()?;
                    bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).map_err(|_| self.error("a string is not UTF-8"))
    }

    /// The character of the escape sequence whose `\` was just read.
    fn escape(&mut self) -> Result<char, SyntaxError> {
        let byte = self.peek().ok_or_else(|| self.error("the document ends within a string"))?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let mut code = high;
                if (0xd800..0xdc00).contains(&high) && self.bytes[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.hex()?;
                    code = 0x1_0000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
                }
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(self.error("unknown escape in a string")),
        })
    }

    fn hex(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.bytes.get(self.at..self.at + 4);
        let digits = digits.and_then(|digits| str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.error("expected four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Value, SyntaxError> {
        parse_json(text.as_bytes(), &["skipped"])
    }

    #[test]
    fn packs_arrays_of_numbers() {
        assert_eq!(parse("[1, -2]"), Ok(Value::Ints(vec![1, -2])));
        assert_eq!(parse("[1,2.5E0 , 3]"), Ok(Value::Floats(vec![1.0, 2.5, 3.0])));
        assert_eq!(parse("[-Infinity]"), Ok(Value::Floats(vec![f32::NEG_INFINITY])));
        assert_eq!(parse("[]"), Ok(Value::Ints(vec![])));
        assert_eq!(
            parse("[true, \"a\"]"),
            Ok(Value::List(vec![Value::Bool(true), Value::Text("a".into())]))
        );
    }

    #[test]
    fn keeps_members_but_the_skipped() {
        let value =
            parse(r#"{"a": {"skipped": [NaN]}, "skipped": 1, "\u00e4\n\ud83d\ude00": null}"#);
        let expected =
            Value::Map(vec![("a".into(), Value::Map(vec![])), ("ä\n😀".into(), Value::Null)]);
        assert_eq!(value, Ok(expected));
    }

    #[test]
    fn every_truncation_is_an_error() {
        let text = r#"{"a": [1, 2.5, NaN], "b": ["x\n", {"c": true}], "d": -1e3}"#;
        assert!(parse(text).is_ok());
        for length in 0..text.len() {
            assert!(parse(&text[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn depth_is_limited() {
        let text = "[".repeat(100_000);
        assert_eq!(
            parse(&text).map_err(|error| error.message),
            Err("values nest deeper than 64".into())
        );
    }

    #[test]
    fn refuses_what_is_no_json() {
        for text in ["", "x", "[1 2]", "{\"a\" 1}", "[1,]", "1 2", "--1", "\"\\q\"", "[1, true]"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
