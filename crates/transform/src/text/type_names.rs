//! Column types as people write and read them: `float64`, `list<utf8>`.

use std::fmt::Write;

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the schema `{text}`: {problem} at character {}", at + 1)]
pub struct SchemaTextError {
    text: String,
    at: usize,
    problem: String,
}

/// Types without parameters, the name to show first.
const PLAIN: &[(&str, DataType)] = &[
    ("bool", DataType::Boolean),
    ("int8", DataType::Int8),
    ("int16", DataType::Int16),
    ("int32", DataType::Int32),
    ("int64", DataType::Int64),
    ("uint8", DataType::UInt8),
    ("uint16", DataType::UInt16),
    ("uint32", DataType::UInt32),
    ("uint64", DataType::UInt64),
    ("float16", DataType::Float16),
    ("float32", DataType::Float32),
    ("float64", DataType::Float64),
    ("utf8", DataType::Utf8),
    ("binary", DataType::Binary),
    ("date", DataType::Date32),
    ("boolean", DataType::Boolean),
    ("int", DataType::Int64),
    ("long", DataType::Int64),
    ("float", DataType::Float32),
    ("double", DataType::Float64),
    ("string", DataType::Utf8),
    ("str", DataType::Utf8),
    ("date32", DataType::Date32),
];

/// The name of a type. Types that cannot be written in a schema text have Arrow's own name.
pub(crate) fn type_name(data_type: &DataType) -> String {
    if let Some((name, _)) = PLAIN.iter().find(|(_, plain)| plain == data_type) {
        return (*name).to_owned();
    }
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => "utf8".to_owned(),
        DataType::LargeBinary | DataType::BinaryView => "binary".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => {
            format!("list<{}>", type_name(item.data_type()))
        }
        DataType::FixedSizeList(item, size) => {
            format!("fixed_size_list<{}, {size}>", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let mut name = "struct<".to_owned();
            for (index, field) in fields.iter().enumerate() {
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(name, "{comma}{}: {}", field.name(), type_name(field.data_type()));
            }
            name + ">"
        }
        DataType::Timestamp(unit, zone) => match zone {
            None => format!("timestamp({unit})"),
            Some(zone) => format!("timestamp({unit}, {zone})"),
        },
        DataType::Decimal128(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::Dictionary(_, values) => type_name(values),
        other => other.to_string(),
    }
}

/// Reads columns such as `prediction: float64, tags: list<utf8>, box: fixed_size_list<float32, 4>`.
/// A name with a comma, colon or quote stands in double quotes. All columns are nullable.
pub(crate) fn parse_schema(text: &str) -> Result<Schema, SchemaTextError> {
    let mut parser = Parser { text, at: 0, depth: 0 };
    let fields = parser.fields(None)?;
    Ok(Schema::new(fields))
}

/// Types nest no deeper.
const MAX_DEPTH: usize = 32;

struct Parser<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn error(&self, problem: impl Into<String>) -> SchemaTextError {
        let at = self.text[..self.at].chars().count();
        SchemaTextError { text: self.text.to_owned(), at, problem: problem.into() }
    }

    fn rest(&mut self) -> &'a str {
        let rest = self.text[self.at..].trim_start();
        self.at = self.text.len() - rest.len();
        rest
    }

    fn take(&mut self, sign: char) -> bool {
        let found = self.rest().starts_with(sign);
        self.at += if found { sign.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), SchemaTextError> {
        if self.take(sign) { Ok(()) } else { Err(self.error(format!("expected `{sign}`"))) }
    }

    /// `name: type, …` up to `end`, or to the end of the text.
    fn fields(&mut self, end: Option<char>) -> Result<Fields, SchemaTextError> {
        let mut fields: Vec<Field> = Vec::new();
        loop {
            let start = self.at;
            let name = self.name()?;
            if fields.iter().any(|field| *field.name() == name) {
                self.at = start;
                return Err(self.error(format!("a second column `{name}`")));
            }
            self.expect(':')?;
            fields.push(Field::new(name, self.data_type()?, true));
            let ended = match end {
                Some(end) => self.take(end),
                None => self.rest().is_empty(),
            };
            if ended {
                return Ok(fields.into());
            }
            self.expect(',')?;
        }
    }

    fn name(&mut self) -> Result<String, SchemaTextError> {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('"') {
            let Some(end) = quoted.find('"') else {
                return Err(self.error("a quote that does not close"));
            };
            self.at += end + 2;
            return Ok(quoted[..end].to_owned());
        }
        let end = rest.find([':', ',', '<', '>', '"']).unwrap_or(rest.len());
        let name = rest[..end].trim();
        if name.is_empty() {
            return Err(self.error("expected a column's name"));
        }
        self.at += end;
        Ok(name.to_owned())
    }

    fn data_type(&mut self) -> Result<DataType, SchemaTextError> {
        let rest = self.rest();
        let start = self.at;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        self.at += word.len();
        let word = word.to_ascii_lowercase();
        if let Some((_, plain)) = PLAIN.iter().find(|(name, _)| *name == word) {
            return Ok(plain.clone());
        }
        match word.as_str() {
            "list" | "fixed_size_list" | "struct" => self.nested(&word),
            "timestamp" => self.timestamp(),
            "decimal" => self.decimal(),
            _ => {
                self.at = start;
                Err(self.error(
                    "expected a type: bool, int8 to int64, uint8 to uint64, float16, float32, \
                     float64, utf8, binary, date, timestamp(us), decimal(P, S), list<T>, \
                     fixed_size_list<T, N>, struct<NAME: T>",
                ))
            }
        }
    }

    fn nested(&mut self, word: &str) -> Result<DataType, SchemaTextError> {
        if self.depth == MAX_DEPTH {
            return Err(self.error("nested deeper than 32 levels"));
        }
        self.expect('<')?;
        self.depth += 1;
        let data_type = match word {
            "struct" => DataType::Struct(self.fields(Some('>'))?),
            "list" => {
                let item = Field::new_list_field(self.data_type()?, true);
                self.expect('>')?;
                DataType::List(item.into())
            }
            _ => {
                let item = Field::new_list_field(self.data_type()?, true);
                self.expect(',')?;
                let size = self.number(1..=1 << 20)?;
                self.expect('>')?;
                DataType::FixedSizeList(item.into(), size)
            }
        };
        self.depth -= 1;
        Ok(data_type)
    }

    fn number(&mut self, range: std::ops::RangeInclusive<i32>) -> Result<i32, SchemaTextError> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_digit() || c == '-';
        let digits = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        let (least, most) = (range.start(), range.end());
        let number = digits.parse().ok().filter(|number| range.contains(number));
        let number = number
            .ok_or_else(|| self.error(format!("expected a number from {least} to {most}")))?;
        self.at += digits.len();
        Ok(number)
    }

    /// What follows `timestamp`: nothing, `(us)` or `(us, ZONE)`.
    fn timestamp(&mut self) -> Result<DataType, SchemaTextError> {
        if !self.take('(') {
            return Ok(DataType::Timestamp(TimeUnit::Microsecond, None));
        }
        let rest = self.rest();
        let unit = &rest[..rest.find([',', ')']).unwrap_or(rest.len())];
        let (length, unit) = (unit.len(), unit.trim());
        let unit = match unit {
            "s" => TimeUnit::Second,
            "ms" => TimeUnit::Millisecond,
            "us" | "µs" => TimeUnit::Microsecond,
            "ns" => TimeUnit::Nanosecond,
            _ => return Err(self.error("expected a unit: s, ms, us or ns")),
        };
        self.at += length;
        let mut zone = None;
        if self.take(',') {
            let rest = self.rest();
            let end = rest.find(')').unwrap_or(rest.len());
            zone = Some(rest[..end].trim().into());
            self.at += end;
        }
        self.expect(')')?;
        Ok(DataType::Timestamp(unit, zone))
    }

    /// What follows `decimal`: `(PRECISION, SCALE)`.
    fn decimal(&mut self) -> Result<DataType, SchemaTextError> {
        self.expect('(')?;
        let precision = self.number(1..=38)?;
        self.expect(',')?;
        let scale = self.number(0..=precision)?;
        self.expect(')')?;
        Ok(DataType::Decimal128(precision as u8, scale as i8))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schemas_are_read() {
        let text = "prediction: float64, tags: list<utf8>,box : fixed_size_list<float32, 4>, \
                    \"a, b\": struct<x: int32, y: list<struct<z: bool>>>, at: timestamp(ms, UTC), \
                    price: decimal(10, 2), day: date, n: Double";
        let schema = parse_schema(text).expect("a schema");
        let shown: Vec<String> = schema
            .fields()
            .iter()
            .map(|field| format!("{}={}", field.name(), type_name(field.data_type())))
            .collect();
        let wanted = [
            "prediction=float64",
            "tags=list<utf8>",
            "box=fixed_size_list<float32, 4>",
            "a, b=struct<x: int32, y: list<struct<z: bool>>>",
            "at=timestamp(ms, UTC)",
            "price=decimal(10, 2)",
            "day=date",
            "n=float64",
        ];
        assert_eq!(shown, wanted);
    }

    #[test]
    fn errors_point_at_the_place() {
        for (text, at, problem) in [
            ("", 1, "expected a column's name"),
            ("a", 2, "expected `:`"),
            ("a: flaot64", 4, "expected a type"),
            ("é: int8, a: list<int8", 22, "expected `>`"),
            ("a: int8 b: int8", 9, "expected `,`"),
            ("a: int8, a: int8", 9, "a second column `a`"),
            ("a: fixed_size_list<int8, 0>", 26, "expected a number from 1"),
            ("a: decimal(99, 1)", 12, "expected a number from 1 to 38"),
            ("a: timestamp(h)", 14, "expected a unit"),
            ("a: int8,", 9, "expected a column's name"),
        ] {
            let error = parse_schema(text).expect_err(text);
            assert!(error.problem.starts_with(problem), "{text}: {error}");
            assert_eq!(error.at + 1, at, "{text}: {error}");
        }
        let deep = format!("a: {}int8{}", "list<".repeat(10_000), ">".repeat(10_000));
        assert!(parse_schema(&deep).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-c:,<>()\" é0-9listructfxed_mpn]{0,40}") {
            let _ = parse_schema(&text);
        }
    }
}
