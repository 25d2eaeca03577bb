//! What the engine asks of a model runtime.

use arrow::{
    datatypes::{DataType, Field},
    record_batch::RecordBatch,
};
use bessemer_domain::RejectClass;

use crate::records::{Lines, Records};

/// A model that scores blocks of records. The engine calls it from many threads at once.
pub trait Model: Send + Sync {
    /// In what form the model takes records.
    fn wants(&self) -> Wants;

    /// The output columns, if the model says them beforehand; else they are found from its first
    /// answers.
    fn outputs(&self) -> Option<Vec<Field>>;

    /// What the runtime asks of the engine's settings.
    fn limits(&self) -> Limits;

    /// How many copies of the model there are at this moment, where it has copies.
    fn copies(&self) -> Option<Copies> {
        None
    }

    /// Scores `records`, which are in the form of [`Model::wants`]; blocks until the answer is there.
    /// The answer holds exactly one entry a record, in order: the engine checks the count and treats
    /// another as a failure.
    fn call(&self, records: &Records) -> Result<Answer, CallError>;
}

/// The copies of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copies {
    /// Those that run or are being started.
    pub there: usize,
    /// Those of them that take calls.
    pub ready: usize,
}

/// The form in which a model takes records.
#[derive(Debug, Clone, PartialEq)]
pub enum Wants {
    /// These features, in this order, cast to these types: [`Records::Columns`] with one column a
    /// feature.
    Features(Vec<Feature>),
    /// All columns of the input (or those of `--features`) as they are: [`Records::Columns`].
    Columns,
    /// Text: [`Records::Lines`].
    Text(TextFormat),
}

/// One input of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// The name to look for among the columns, if the model records one.
    pub name: Option<String>,
    /// The type that the model reads.
    pub data_type: DataType,
    /// Whether null means "missing" to the model. If not, a record with a null here is rejected.
    pub nullable: bool,
}

/// How a record is written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// One JSON value a line. Columns become an object's members.
    JsonLines,
    /// One CSV row a record (RFC 4180), no header.
    Csv,
    /// The input's lines, untouched.
    Raw,
}

/// What a runtime asks of the engine's settings. `None` leaves it to the engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Calls at once, at most.
    pub max_concurrent: Option<usize>,
    /// Calls at once, to start with.
    pub start_concurrent: Option<usize>,
    /// Bytes of a payload, at most.
    pub max_payload: Option<u64>,
    /// Rows of a payload, at most (1 for single-record containers).
    pub max_rows: Option<usize>,
    /// Rows of a payload, to start with.
    pub start_rows: Option<usize>,
}

/// What a model answers to a block of records.
#[derive(Debug, Clone)]
pub enum Answer {
    /// One row a record.
    Columns(RecordBatch),
    /// One JSON text a record: a number, string, array or object.
    Json(Lines),
}

impl Answer {
    /// How many records are answered.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Columns(batch) => batch.num_rows(),
            Self::Json(lines) => lines.len(),
        }
    }

    /// Whether no record is answered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// What the engine does about it.
    pub kind: CallErrorKind,
    /// The class of the reject, should the failure come down to a single record.
    pub class: RejectClass,
    /// What the model said, in one line as short as it can be and still help.
    pub message: String,
}

/// What the engine does about a failed call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallErrorKind {
    /// May pass by itself (timeout, 429, 502 to 504, the death of a worker): tried again with
    /// backoff, with less load; still failing, it is bisected.
    Transient,
    /// The records' own fault, for certain (the model raised an error, 4xx, a wrong count): bisected.
    Records,
    /// Perhaps the records' fault (500): bisected, and each culprit is called alone once before it
    /// is rejected.
    Suspect,
    /// The payload is too large (413): split without counting a failure; a single record is rejected.
    TooLarge,
    /// The model cannot be reached at all: tried again for a while, then the run stops, resumable.
    Unreachable,
}
