//! Columnar answers: Parquet files and Arrow IPC streams.

use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::{
    buffer::Buffer, compute::concat_batches, ipc::reader::StreamDecoder, record_batch::RecordBatch,
};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::ReadError;

/// The rows of a Parquet file. The count is checked before anything is decoded.
pub(super) fn parquet(body: &Bytes, records: usize) -> Result<RecordBatch, ReadError> {
    guarded(|| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(body.clone()).map_err(unreadable)?;
        let found = usize::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        if found != records {
            return Err(ReadError::WrongCount { found });
        }
        let schema = builder.schema().clone();
        let reader = builder.with_batch_size(records.max(1)).build().map_err(unreadable)?;
        let batches = reader.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        counted(concat_batches(&schema, &batches).map_err(unreadable)?, records)
    })
}

/// The rows of an Arrow IPC stream. `StreamDecoder` cuts the body where `StreamReader` would first
/// allocate whatever length a damaged header names.
pub(super) fn arrow_stream(body: &Bytes, records: usize) -> Result<RecordBatch, ReadError> {
    guarded(|| {
        let mut rest = Buffer::from(body.clone());
        let mut decoder = StreamDecoder::new();
        let mut batches = Vec::new();
        while let Some(batch) = decoder.decode(&mut rest).map_err(unreadable)? {
            batches.push(batch);
        }
        decoder.finish().map_err(unreadable)?;
        let schema = decoder.schema().ok_or_else(|| unreadable("it has no schema"))?;
        counted(concat_batches(&schema, &batches).map_err(unreadable)?, records)
    })
}

fn counted(batch: RecordBatch, records: usize) -> Result<RecordBatch, ReadError> {
    match batch.num_rows() {
        found if found == records => Ok(batch),
        found => Err(ReadError::WrongCount { found }),
    }
}

fn unreadable(cause: impl std::fmt::Display) -> ReadError {
    ReadError::Unreadable(cause.to_string())
}

/// Runs a decoder that may panic on damaged bytes: a server's answer must not end the run.
fn guarded<T>(decode: impl FnOnce() -> Result<T, ReadError>) -> Result<T, ReadError> {
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    decoded.unwrap_or_else(|_| Err(ReadError::Unreadable("it is damaged".to_owned())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Float64Array;
    use bessemer_transform::records::Records;

    use super::*;
    use crate::http::{BatchStrategy, ContentType, body::encode};

    fn sample() -> RecordBatch {
        let column = Arc::new(Float64Array::from_iter_values((0..50).map(f64::from)));
        RecordBatch::try_from_iter([("score", column as _)]).unwrap()
    }

    #[test]
    fn columns_come_back_as_they_went() {
        let batch = sample();
        let body = |content_type| {
            encode(&Records::Columns(batch.clone()), content_type, BatchStrategy::Multi).unwrap()
        };
        assert_eq!(parquet(&body(ContentType::Parquet), 50).unwrap(), batch);
        assert_eq!(arrow_stream(&body(ContentType::ArrowStream), 50).unwrap(), batch);
        let wrong = ReadError::WrongCount { found: 50 };
        assert_eq!(parquet(&body(ContentType::Parquet), 49).unwrap_err(), wrong);
        assert_eq!(arrow_stream(&body(ContentType::ArrowStream), 49).unwrap_err(), wrong);
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        type Read = fn(&Bytes, usize) -> Result<RecordBatch, ReadError>;
        let forms: [(ContentType, Read); 2] =
            [(ContentType::Parquet, parquet), (ContentType::ArrowStream, arrow_stream)];
        let records = Records::Columns(sample());
        for (content_type, read) in forms {
            let body = encode(&records, content_type, BatchStrategy::Multi).unwrap();
            for at in 0..body.len() {
                let mut damaged = body.to_vec();
                damaged[at] ^= 0xff;
                for body in [Bytes::from(damaged), body.slice(..at)] {
                    let rows = read(&body, 50).map_or(50, |batch| batch.num_rows());
                    assert_eq!(rows, 50, "{content_type:?}, byte {at}");
                }
            }
        }
    }
}
