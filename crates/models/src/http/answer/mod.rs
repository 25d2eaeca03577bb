//! A reply's body as one answer a record, whatever form the server chose.
//!
//! The reply's `Content-Type` decides the form. If it is absent, unknown, or the unspecific
//! `text/plain`, what `Accept` asked for does.

mod columns;
mod csv;
mod json;

use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{Answer, CallError, CallErrorKind},
    records::{Lines, LinesBuilder},
};
use reqwest::header::CONTENT_TYPE;

use super::{BatchStrategy, ContentType, client::Reply, failure::excerpt};
use json::JsonReader;

/// Reads replies. It remembers the shape of JSON answers, so that a block of one record is read as
/// the larger blocks before it were.
#[derive(Debug)]
pub(super) struct AnswerReader {
    accepts: ContentType,
    strategy: BatchStrategy,
    json: JsonReader,
}

/// Why a body is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ReadError {
    /// It holds another number of answers than there are records.
    #[error("{found} answers")]
    WrongCount { found: usize },
    /// It is not what it says it is.
    #[error("{0}")]
    Unreadable(String),
}

impl AnswerReader {
    /// A reader for replies to requests that asked for `accepts`.
    pub(super) fn new(accepts: ContentType, strategy: BatchStrategy) -> Self {
        Self { accepts, strategy, json: JsonReader::default() }
    }

    /// The answers to `records` records.
    pub(super) fn read(&self, reply: &Reply, records: usize) -> Result<Answer, CallError> {
        let form = self.form(reply.header(&CONTENT_TYPE));
        let body = &reply.body;
        let read = match form {
            ContentType::JsonLines => {
                utf8(body).and_then(|text| self.json.lines(text, records)).map(Answer::Json)
            }
            ContentType::Json | ContentType::JsonInstances => {
                utf8(body).and_then(|text| self.json.document(text, records)).map(Answer::Json)
            }
            ContentType::Csv => {
                utf8(body).and_then(|text| csv::read(text, records)).map(Answer::Json)
            }
            ContentType::Text => {
                utf8(body).and_then(|text| self.text(text, records)).map(Answer::Json)
            }
            ContentType::Parquet => columns::parquet(body, records).map(Answer::Columns),
            ContentType::ArrowStream => columns::arrow_stream(body, records).map(Answer::Columns),
        };
        read.map_err(|error| call_error(&error, form, body, records))
    }

    fn form(&self, content_type: Option<&str>) -> ContentType {
        match content_type.and_then(ContentType::of_media_type) {
            None | Some(ContentType::Text) => self.accepts,
            Some(named) => named,
        }
    }

    /// Lines as JSON strings; the whole body when a request holds one record.
    fn text(&self, text: &str, records: usize) -> Result<Lines, ReadError> {
        let single = self.strategy == BatchStrategy::Single;
        if text.is_empty() && !single {
            return Err(ReadError::WrongCount { found: 0 });
        }
        let text = text.strip_suffix('\n').unwrap_or(text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        let mut answers = LinesBuilder::default();
        let lines: Vec<&str> = if single {
            vec![text]
        } else {
            text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect()
        };
        if lines.len() != records {
            return Err(ReadError::WrongCount { found: lines.len() });
        }
        for line in lines {
            push_json_string(&mut answers, line);
        }
        Ok(answers.finish())
    }
}

/// Adds `text` as a JSON string.
fn push_json_string(answers: &mut LinesBuilder, text: &str) {
    serde_json::to_writer(answers.buffer(), text).expect("a string is written to memory");
    answers.end_record();
}

fn utf8(body: &[u8]) -> Result<&str, ReadError> {
    match std::str::from_utf8(body) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            Err(ReadError::Unreadable(format!("no UTF-8 at byte {}", error.valid_up_to())))
        }
    }
}

fn call_error(error: &ReadError, form: ContentType, body: &[u8], records: usize) -> CallError {
    let beginning = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let sample: String = excerpt(&beginning).chars().take(100).collect();
    let (class, message) = match error {
        ReadError::WrongCount { found } => (
            RejectClass::WrongCount,
            format!(
                "the model answered {found} records for {records}; its answer begins `{sample}`"
            ),
        ),
        ReadError::Unreadable(cause) => (
            RejectClass::Output,
            format!("the model's answer is not {}: {cause}; it begins `{sample}`", form.header()),
        ),
    };
    CallError { kind: CallErrorKind::Records, class, message }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use reqwest::{
        StatusCode,
        header::{HeaderMap, HeaderValue},
    };

    use super::*;

    fn read_with(
        reader: &AnswerReader,
        content_type: Option<&'static str>,
        body: &[u8],
        records: usize,
    ) -> Result<Vec<String>, CallError> {
        let types = content_type.map(|text| (CONTENT_TYPE, HeaderValue::from_static(text)));
        let reply = Reply {
            status: StatusCode::OK,
            headers: HeaderMap::from_iter(types),
            body: Bytes::copy_from_slice(body),
        };
        let answer = reader.read(&reply, records)?;
        assert_eq!(answer.len(), records);
        let Answer::Json(lines) = answer else { panic!("columns") };
        Ok(lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect())
    }

    fn multi(accepts: ContentType) -> AnswerReader {
        AnswerReader::new(accepts, BatchStrategy::Multi)
    }

    #[test]
    fn the_content_type_decides_and_accept_stands_in() {
        let reader = multi(ContentType::JsonLines);
        let html = Some("text/html; charset=utf-8");
        assert_eq!(read_with(&reader, Some("text/csv"), b"a\nb\n", 2).unwrap(), ["\"a\"", "\"b\""]);
        assert_eq!(read_with(&reader, None, b"1\n2\n", 2).unwrap(), ["1", "2"]);
        assert_eq!(read_with(&reader, html, b"1\n2\n", 2).unwrap(), ["1", "2"]);
        assert_eq!(read_with(&reader, Some("text/plain"), b"1\n2\n", 2).unwrap(), ["1", "2"]);
        let json = Some("application/json; charset=utf-8");
        assert_eq!(read_with(&reader, json, b"[1,2]", 2).unwrap(), ["1", "2"]);
        let reader = multi(ContentType::Text);
        let plain = Some("text/plain");
        assert_eq!(read_with(&reader, plain, b"1\r\nb\"\r\n", 2).unwrap(), ["\"1\"", "\"b\\\"\""]);
    }

    #[test]
    fn one_records_text_may_have_several_lines() {
        let reader = AnswerReader::new(ContentType::Text, BatchStrategy::Single);
        assert_eq!(read_with(&reader, None, b"a\nb\n", 1).unwrap(), ["\"a\\nb\""]);
        assert_eq!(read_with(&reader, None, b"", 1).unwrap(), ["\"\""]);
        let several = multi(ContentType::Text);
        assert_eq!(read_with(&several, None, b"\n", 1).unwrap(), ["\"\""]);
        assert!(read_with(&several, None, b"", 1).is_err());
        assert!(read_with(&several, None, b"a\nb\n", 1).is_err());
    }

    #[test]
    fn wrong_counts_name_both_counts_and_show_the_answer() {
        let reader = multi(ContentType::JsonLines);
        let error = read_with(&reader, None, b"{\"a\": 1}\n{\"a\": 2}\n", 3).unwrap_err();
        assert_eq!(error.class, RejectClass::WrongCount);
        assert_eq!(error.kind, CallErrorKind::Records);
        assert_eq!(
            error.message,
            "the model answered 2 records for 3; its answer begins `{\"a\": 1} {\"a\": 2}`"
        );
        let error = read_with(&reader, None, b"", 3).unwrap_err();
        assert_eq!(error.class, RejectClass::WrongCount);
    }

    #[test]
    fn broken_bodies_are_errors() {
        let bodies: [&[u8]; 6] =
            [b"\xff\xfe", b"{\"a\":", b"NaN\n", b"PAR1", b"\0\0\0\0", &[0xff; 64]];
        for body in bodies {
            for form in [
                ContentType::JsonLines,
                ContentType::Json,
                ContentType::Parquet,
                ContentType::ArrowStream,
            ] {
                let error = read_with(&multi(form), None, body, 2).unwrap_err();
                assert_eq!(error.kind, CallErrorKind::Records, "{form:?} {body:?}");
            }
        }
        let error = read_with(&multi(ContentType::Json), None, b"[1, NaN]", 2).unwrap_err();
        assert!(error.message.starts_with("the model's answer is not application/json: "));
        assert_eq!(error.class, RejectClass::Output);
    }
}
