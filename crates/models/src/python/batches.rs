//! Record batches as Arrow IPC streams, there and back.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
};

use arrow::{
    buffer::Buffer, compute::concat_batches, error::ArrowError, ipc::reader::StreamDecoder,
    ipc::writer::StreamWriter, record_batch::RecordBatch,
};

pub(super) fn write(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let bytes = batch.get_array_memory_size() + 4096;
    let mut writer = StreamWriter::try_new(Vec::with_capacity(bytes), &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    writer.into_inner()
}

/// The rows of a stream, on its own buffers. A worker whose memory is damaged can write anything:
/// what is no stream is an error, and so is a panic of the decoder.
pub(super) fn read(stream: Vec<u8>) -> Result<RecordBatch, String> {
    let read = catch_unwind(AssertUnwindSafe(|| decode(stream)));
    let batch = read.unwrap_or_else(|_| Err("the stream is damaged".to_owned()))?;
    let schema = batch.schema();
    let mut names = HashSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        Some(twice) => Err(format!("two of its columns are named `{}`", twice.name())),
        None => Ok(batch),
    }
}

fn decode(stream: Vec<u8>) -> Result<RecordBatch, String> {
    let mut rest = Buffer::from_vec(stream);
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        match decoder.decode(&mut rest) {
            Ok(Some(batch)) => batches.push(batch),
            Ok(None) => break,
            Err(error) => return Err(error.to_string()),
        }
    }
    decoder.finish().map_err(|error| error.to_string())?;
    let schema = decoder.schema().ok_or("the stream holds no schema")?;
    match batches.len() {
        1 => Ok(batches.remove(0)),
        _ => concat_batches(&schema, &batches).map_err(|error| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Array, ArrayRef, Float64Array, StringArray};

    use super::*;

    fn sample() -> RecordBatch {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), None, Some(-2.0)]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "", "ccc"]));
        RecordBatch::try_from_iter([("x", floats), ("y", texts)]).unwrap()
    }

    #[test]
    fn batches_come_back_and_slices_are_cut() {
        let batch = sample();
        assert_eq!(read(write(&batch).unwrap()).unwrap(), batch);
        let slice = batch.slice(1, 2);
        assert_eq!(read(write(&slice).unwrap()).unwrap(), slice);
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let stream = write(&sample()).unwrap();
        for at in 0..stream.len() {
            for flip in [0xff, 0x80, 0x01] {
                let mut damaged = stream.clone();
                damaged[at] ^= flip;
                if let Ok(batch) = read(damaged) {
                    // What is taken for a batch must be one to the last value.
                    for column in batch.columns() {
                        column.to_data().validate_full().unwrap();
                    }
                }
            }
            let _ = read(stream[..at].to_vec()).is_ok();
        }
        assert!(read(Vec::new()).is_err());
    }

    #[test]
    fn columns_of_one_name_are_refused() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![1.0]));
        let batch =
            RecordBatch::try_from_iter([("x", Arc::clone(&values)), ("x", values)]).unwrap();
        let error = read(write(&batch).unwrap()).unwrap_err();
        assert_eq!(error, "two of its columns are named `x`");
    }
}
