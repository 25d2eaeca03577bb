//! JSON answers: one value a record, or one document that holds the values of all.

use std::sync::atomic::{AtomicU8, Ordering};

use bessemer_transform::records::{Lines, LinesBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ReadError;

/// Reads JSON answers.
///
/// Two shapes are in use: a value a record (JSON Lines, also values without line ends between
/// them), and one document for all records, `[…]` or `{"predictions": […]}`. Which it is shows in
/// the number of values, whatever the content type says, except for a block of one record, whose
/// `[0.5]` may be either. There the shape of earlier blocks decides, else the content type.
#[derive(Debug, Default)]
pub(super) struct JsonReader {
    /// A `Shape` as its number.
    seen: AtomicU8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Shape {
    ValueARecord = 1,
    Document = 2,
}

/// The object form of a document.
#[derive(Deserialize)]
struct Predictions<'a> {
    #[serde(borrow)]
    predictions: Vec<&'a RawValue>,
}

impl JsonReader {
    /// The answers in `text`, which is said to be JSON Lines.
    pub(super) fn lines(&self, text: &str, records: usize) -> Result<Lines, ReadError> {
        self.read(text, records, Shape::ValueARecord)
    }

    /// The answers in `text`, which is said to be one JSON document.
    pub(super) fn document(&self, text: &str, records: usize) -> Result<Lines, ReadError> {
        self.read(text, records, Shape::Document)
    }

    fn read(&self, text: &str, records: usize, said: Shape) -> Result<Lines, ReadError> {
        let values = values(text)?;
        if let [only] = values[..] {
            let entries = entries(only);
            let found = entries.as_ref().map_or(1, Vec::len);
            let seen = self.seen();
            let as_document = records != 1 || seen.unwrap_or(said) == Shape::Document;
            match entries {
                Some(entries) if as_document && found == records => {
                    self.remember(Shape::Document, records);
                    return Ok(answers(&entries));
                }
                Some(_) if as_document && (found == 0 || seen == Some(Shape::Document)) => {
                    return Err(ReadError::WrongCount { found });
                }
                _ if records != 1 => return Err(ReadError::WrongCount { found }),
                _ => {}
            }
        }
        if values.len() != records {
            return Err(ReadError::WrongCount { found: values.len() });
        }
        self.remember(Shape::ValueARecord, records);
        Ok(answers(&values))
    }

    /// The shape of the blocks of several records so far.
    fn seen(&self) -> Option<Shape> {
        match self.seen.load(Ordering::Relaxed) {
            1 => Some(Shape::ValueARecord),
            2 => Some(Shape::Document),
            _ => None,
        }
    }

    /// Only a block of several records shows the shape.
    fn remember(&self, shape: Shape, records: usize) {
        if records > 1 {
            self.seen.store(shape as u8, Ordering::Relaxed);
        }
    }
}

/// All values in `text`, one after the other.
fn values(text: &str) -> Result<Vec<&RawValue>, ReadError> {
    serde_json::Deserializer::from_str(text)
        .into_iter::<&RawValue>()
        .collect::<Result<_, _>>()
        .map_err(|error| ReadError::Unreadable(error.to_string()))
}

/// The entries of a document: an array's, or those of an object's `predictions`.
fn entries(value: &RawValue) -> Option<Vec<&RawValue>> {
    match value.get().as_bytes().first()? {
        b'[' => serde_json::from_str(value.get()).ok(),
        b'{' => {
            serde_json::from_str(value.get()).ok().map(|Predictions { predictions }| predictions)
        }
        _ => None,
    }
}

fn answers(values: &[&RawValue]) -> Lines {
    let mut answers = LinesBuilder::default();
    for value in values {
        let text = value.get().as_bytes();
        let buffer = answers.buffer();
        let from = buffer.len();
        buffer.extend_from_slice(text);
        // A line end within JSON is white space: strings hold none. An answer is one line.
        for byte in &mut buffer[from..] {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        answers.end_record();
    }
    answers.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(reader: &JsonReader, text: &str, records: usize) -> Result<Vec<String>, ReadError> {
        reader.lines(text, records).map(|lines| texts(&lines))
    }

    fn document(reader: &JsonReader, text: &str, records: usize) -> Result<Vec<String>, ReadError> {
        reader.document(text, records).map(|lines| texts(&lines))
    }

    fn texts(lines: &Lines) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
    }

    #[test]
    fn values_are_found_with_and_without_line_ends() {
        let reader = JsonReader::default();
        assert_eq!(lines(&reader, "1\n\"a\"\n\n[2]\n", 3).unwrap(), ["1", "\"a\"", "[2]"]);
        assert_eq!(lines(&reader, "{\"a\":1}{\"a\":2}", 2).unwrap(), ["{\"a\":1}", "{\"a\":2}"]);
        let pretty = "{\r\n \"a\": 1\r\n}\n{\n \"a\": \"\\n\"\n}\n";
        assert_eq!(lines(&reader, pretty, 2).unwrap(), ["{   \"a\": 1  }", "{  \"a\": \"\\n\" }"]);
    }

    #[test]
    fn documents_are_taken_apart() {
        let reader = JsonReader::default();
        assert_eq!(
            document(&reader, " [1, {\"b\":2}, [3]] ", 3).unwrap(),
            ["1", "{\"b\":2}", "[3]"]
        );
        let predictions = "{\"predictions\": [[1,2],[3,4]], \"model\": \"x\"}";
        assert_eq!(document(&reader, predictions, 2).unwrap(), ["[1,2]", "[3,4]"]);
        assert_eq!(lines(&reader, "[1,2]", 2).unwrap(), ["1", "2"]);
        let wrong = |text| document(&reader, text, 3).unwrap_err();
        assert_eq!(wrong("[1,2]"), ReadError::WrongCount { found: 2 });
        assert_eq!(wrong("{\"predictions\": [1]}"), ReadError::WrongCount { found: 1 });
        assert_eq!(wrong("{\"error\": 1}"), ReadError::WrongCount { found: 1 });
        assert_eq!(wrong("1 2 3 4"), ReadError::WrongCount { found: 4 });
        assert_eq!(wrong("[]"), ReadError::WrongCount { found: 0 });
    }

    #[test]
    fn a_block_of_one_is_read_as_the_larger_ones_were() {
        let reader = JsonReader::default();
        assert_eq!(document(&reader, "[0.5]", 1).unwrap(), ["0.5"]);
        assert_eq!(document(&reader, "[0.5, 0.1]", 1).unwrap(), ["[0.5, 0.1]"]);
        assert_eq!(lines(&reader, "[0.5]", 1).unwrap(), ["[0.5]"]);
        assert_eq!(document(&reader, "{\"predictions\":[7]}", 1).unwrap(), ["7"]);
        document(&reader, "[1]\n[2]", 2).unwrap();
        assert_eq!(document(&reader, "[0.5]", 1).unwrap(), ["[0.5]"]);
        lines(&reader, "[1,2]", 2).unwrap();
        assert_eq!(lines(&reader, "[0.5]", 1).unwrap(), ["0.5"]);
        let wrong = |text| document(&reader, text, 1).unwrap_err();
        assert_eq!(wrong("[]"), ReadError::WrongCount { found: 0 });
        assert_eq!(wrong("[1,2]"), ReadError::WrongCount { found: 2 });
        let fresh = JsonReader::default();
        assert_eq!(document(&fresh, "[]", 1), Err(ReadError::WrongCount { found: 0 }));
        assert_eq!(lines(&fresh, "[]", 1).unwrap(), ["[]"]);
    }

    #[test]
    fn deep_nesting_is_no_trouble() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let reader = JsonReader::default();
        let read = lines(&reader, &format!("{deep}\n{deep}\n"), 2);
        assert!(read.is_ok() || matches!(read, Err(ReadError::Unreadable(_))));
    }
}
