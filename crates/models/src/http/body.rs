//! Records as the body of a request.

use std::io::Write;

use arrow::{ipc::writer::StreamWriter, record_batch::RecordBatch};
use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{CallError, CallErrorKind},
    records::{Lines, Records},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use parquet::{
    arrow::ArrowWriter,
    basic::Compression as ParquetCompression,
    file::properties::{EnabledStatistics, WriterProperties},
};

use super::{BatchStrategy, ContentType};

/// `records` as a body of `content_type`. Lines go out without being copied; with
/// [`BatchStrategy::Single`] the one record goes out alone, without its line end.
pub(super) fn encode(
    records: &Records,
    content_type: ContentType,
    strategy: BatchStrategy,
) -> Result<Bytes, CallError> {
    let single = strategy == BatchStrategy::Single && records.len() == 1;
    match (content_type, records) {
        (ContentType::JsonLines | ContentType::Csv | ContentType::Text, Records::Lines(lines)) => {
            Ok(if single { without_line_end(lines) } else { lines.text() })
        }
        (ContentType::Json, Records::Lines(lines)) => {
            Ok(if single { without_line_end(lines) } else { json_array("[", lines, "]") })
        }
        (ContentType::JsonInstances, Records::Lines(lines)) => {
            Ok(json_array("{\"instances\":[", lines, "]}"))
        }
        (ContentType::Parquet, Records::Columns(batch)) => parquet(batch).map_err(unwritable),
        (ContentType::ArrowStream, Records::Columns(batch)) => {
            arrow_stream(batch).map_err(unwritable)
        }
        (_, Records::Lines(_)) => Err(unwritable("lines where columns were asked for")),
        (_, Records::Columns(_)) => Err(unwritable("columns where lines were asked for")),
    }
}

/// `body`, gzipped at the fastest level.
pub(super) fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 3), Compression::fast());
    encoder.write_all(body).expect("writing to memory succeeds");
    encoder.finish().expect("writing to memory succeeds").into()
}

fn without_line_end(lines: &Lines) -> Bytes {
    let text = lines.text();
    text.slice(..text.len() - 1)
}

fn json_array(open: &str, lines: &Lines, close: &str) -> Bytes {
    let mut body = Vec::with_capacity(lines.text().len() + open.len() + close.len());
    body.extend_from_slice(open.as_bytes());
    for (index, record) in lines.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(record);
    }
    body.extend_from_slice(close.as_bytes());
    body.into()
}

/// Plain pages: most servers are on loopback, where compressing costs more than it saves.
fn parquet(batch: &RecordBatch) -> Result<Bytes, parquet::errors::ParquetError> {
    let properties = WriterProperties::builder()
        .set_compression(ParquetCompression::UNCOMPRESSED)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}

fn arrow_stream(batch: &RecordBatch) -> Result<Bytes, arrow::error::ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?.into())
}

fn unwritable(cause: impl std::fmt::Display) -> CallError {
    CallError {
        kind: CallErrorKind::Records,
        class: RejectClass::Type,
        message: format!("the records cannot be written for the model: {cause}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, sync::Arc};

    use arrow::array::Int32Array;

    use super::*;

    fn lines(records: &[&str]) -> Records {
        Records::Lines(records.iter().collect())
    }

    #[test]
    fn lines_become_the_body_that_the_content_type_asks_for() {
        let two = lines(&["{\"a\":1}", "2"]);
        let cases = [
            (ContentType::JsonLines, "{\"a\":1}\n2\n"),
            (ContentType::Csv, "{\"a\":1}\n2\n"),
            (ContentType::Json, "[{\"a\":1},2]"),
            (ContentType::JsonInstances, "{\"instances\":[{\"a\":1},2]}"),
        ];
        for (content_type, expected) in cases {
            assert_eq!(encode(&two, content_type, BatchStrategy::Multi).unwrap(), expected);
        }
        let one = lines(&["{\"a\":1}"]);
        let single = |content_type| encode(&one, content_type, BatchStrategy::Single).unwrap();
        assert_eq!(single(ContentType::Json), "{\"a\":1}");
        assert_eq!(single(ContentType::Text), "{\"a\":1}");
        assert_eq!(single(ContentType::JsonInstances), "{\"instances\":[{\"a\":1}]}");
        assert_eq!(encode(&one, ContentType::Json, BatchStrategy::Multi).unwrap(), "[{\"a\":1}]");
    }

    #[test]
    fn the_wrong_form_of_records_is_an_error() {
        assert!(encode(&lines(&["1"]), ContentType::Parquet, BatchStrategy::Multi).is_err());
        let array = Arc::new(Int32Array::from(vec![1]));
        let batch = RecordBatch::try_from_iter([("a", array as _)]).unwrap();
        let columns = Records::Columns(batch);
        assert!(encode(&columns, ContentType::JsonLines, BatchStrategy::Multi).is_err());
        let body = encode(&columns, ContentType::Parquet, BatchStrategy::Multi).unwrap();
        assert_eq!(&body[..4], b"PAR1");
    }

    #[test]
    fn gzip_reads_back() {
        let mut text = String::new();
        let zipped = gzip(b"some text");
        flate2::read::GzDecoder::new(&*zipped).read_to_string(&mut text).unwrap();
        assert_eq!(text, "some text");
    }
}
