//! What a run is asked to do, apart from its inputs, output and model.

use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::{
    filter::Filter,
    text::{
        detect::{Compression, Format},
        reader::CsvHeader,
    },
};

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What stands beside the model's outputs.
    pub join: Join,
    /// What happens to the place of a rejected record.
    pub rejected: Rejected,
    /// The inputs' format, if it is not to be told from them.
    pub input_format: Option<Format>,
    /// The inputs' compression, if it is not to be told from them.
    pub compression: Option<Compression>,
    /// Whether CSV inputs begin with a header.
    pub csv_header: CsvHeader,
    /// The outputs' format, if it is not the inputs'.
    pub output_format: Option<Format>,
    /// The input columns that the model reads, in its order.
    pub features: Option<Vec<String>>,
    /// Whether a null in a floating-point feature is passed to the model as NaN, and a feature that a
    /// JSON record lacks counts as null.
    pub nulls_as_nan: bool,
    /// Put in front of the name of each output column.
    pub output_prefix: String,
    /// The output columns, if they are not to be found from the model or its first answers.
    pub output_schema: Option<SchemaRef>,
    /// The part of a record that the model is given (`DataProcessing.InputFilter`).
    pub input_filter: Option<Filter>,
    /// The part of the joined record that is written (`DataProcessing.OutputFilter`).
    pub output_filter: Option<Filter>,
    /// Bytes of a payload, at most.
    pub max_payload: Option<u64>,
    /// Calls at once, at most and to start with.
    pub max_concurrent: Option<usize>,
    /// Rows of a payload.
    pub batch_rows: Option<usize>,
    /// Bytes of memory that the run should stay under; a quarter of it may be in flight.
    pub memory: u64,
    /// Threads that read, decode, encode and write.
    pub threads: usize,
    /// Further tries of a call that failed for a reason that may pass.
    pub retries: u32,
    /// How long a model that cannot be reached is tried again before the run stops.
    pub unreachable_after: Duration,
}

/// What stands beside the model's outputs in the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Join {
    /// All of the input record.
    Input,
    /// Nothing.
    Nothing,
    /// These input columns.
    Columns(Vec<String>),
}

/// What happens to the place of a rejected record in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It stays, with null outputs: row i of the output is row i of the input.
    Keep,
    /// It is left out.
    Drop,
}

impl Settings {
    /// Bytes of records that may be in flight.
    pub(crate) fn in_flight(&self) -> u64 {
        (self.memory / 4).max(1 << 20)
    }

    /// The largest record that is read at all. One that is larger than a payload is still read, so
    /// that it keeps its place in the output.
    pub(crate) fn max_record(&self) -> usize {
        const USUAL: u64 = 16 << 20;
        let bytes = USUAL.min(self.memory / 8).max(self.max_payload.unwrap_or(0));
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// Whether records are taken apart and put together as documents.
    pub(crate) fn is_filtered(&self) -> bool {
        self.input_filter.is_some() || self.output_filter.is_some()
    }
}
