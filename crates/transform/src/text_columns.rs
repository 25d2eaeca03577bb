//! The columns of text inputs: found once, from a sample of the first file of each format, so that
//! all outputs of a run have the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arrow::datatypes::SchemaRef;

use crate::{
    error::FileError,
    input::{ChunkLimits, Contents, InputFile, Reader, Source},
    records::Lines,
    text::{
        detect::Format,
        to_columns::{SourceKind, infer_schema},
    },
};

/// Records that are looked at to find the columns.
const SAMPLE_ROWS: usize = 2000;
const SAMPLE_BYTES: usize = 4 << 20;

/// What a sample shows of a text format's columns.
#[derive(Debug, Clone)]
pub(crate) struct TextShape {
    pub(crate) schema: SchemaRef,
    pub(crate) sample: Lines,
}

/// The shapes found so far, by format and CSV header.
#[derive(Debug, Default)]
pub(crate) struct TextColumns(Mutex<BTreeMap<Key, TextShape>>);

type Key = (&'static str, Option<Vec<String>>);

impl TextColumns {
    /// The columns of `file`; found from it, if it is the first of its kind.
    pub(crate) fn of(&self, file: &InputFile) -> Result<TextShape, FileError> {
        let Contents::Text { options, header } = &file.contents else {
            return Err(FileError::Unreadable("no text".to_owned()));
        };
        let key = (options.format.as_str(), header.clone());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.get(&key) {
            return Ok(shape.clone());
        }
        let limits = ChunkLimits { rows: SAMPLE_ROWS, bytes: SAMPLE_BYTES };
        let mut reader = Reader::open(file, None, None, limits, None)?;
        let sample: Lines = match reader.next_chunk(limits)? {
            Some(chunk) => match &chunk.source {
                Source::Lines { lines, .. } => {
                    let bad: Vec<usize> = chunk.bad.iter().map(|failure| failure.row).collect();
                    (0..lines.len())
                        .filter(|row| !bad.contains(row))
                        .map(|row| lines.record(row))
                        .collect()
                }
                Source::Columns(_) => Lines::default(),
            },
            None => Lines::default(),
        };
        let kind = match options.format {
            Format::Csv => SourceKind::Csv,
            _ => SourceKind::JsonLines,
        };
        let schema = match options.format {
            Format::Lines => Arc::new(arrow::datatypes::Schema::empty()),
            _ => Arc::new(infer_schema(kind, &sample, header.as_deref())),
        };
        let shape = TextShape { schema, sample };
        // An empty file shows nothing: the next one is asked again.
        if !shape.sample.is_empty() {
            known.insert(key, shape.clone());
        }
        Ok(shape)
    }
}
