//! What all lanes of a run share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Condvar, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde_json::{Value, json};

use crate::{
    budget::Budget,
    call::{Caller, Pool},
    error::TransformError,
    model::{Limits, Wants},
    output::{Answers, Committer, Folder, SpillFactory, prefixed},
    settings::Settings,
    stats::Stats,
    text_columns::TextColumns,
};

/// A file that could not be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedFile {
    /// The input, by its name below the input folder.
    pub file: String,
    /// Why.
    pub error: String,
}

pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) wants: Wants,
    pub(crate) limits: Limits,
    pub(crate) caller: Arc<Caller>,
    pub(crate) pool: Pool,
    pub(crate) budget: Arc<Budget>,
    pub(crate) spill: Arc<SpillFactory>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) folder: Folder,
    pub(crate) committer: Committer,
    pub(crate) stats: Arc<Stats>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) text: TextColumns,
    /// Outputs that are taken, and by which input.
    pub(crate) names: Mutex<BTreeMap<String, String>>,
    pub(crate) lanes: Lanes,
    pub(crate) recorded: OnceLock<SchemaRef>,
    pub(crate) failed: Mutex<Vec<FailedFile>>,
    pub(crate) fatal: Mutex<Option<TransformError>>,
}

/// How many bytes what a model is given may have: of text, with line ends; of columns, as
/// `row_bytes` counts them. None is without a limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PayloadLimit {
    /// Records are cut into payloads of at most so many.
    pub(crate) payload: Option<u64>,
    /// A record of more is rejected without a call.
    pub(crate) record: Option<u64>,
}

/// How many lanes there are, and how many of them can't go on before the output columns are known.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    state: Mutex<(usize, usize)>,
    changed: Condvar,
}

impl Lanes {
    pub(crate) fn enter(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 += 1;
    }

    pub(crate) fn leave(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 -= 1;
        self.changed.notify_all();
    }
}

impl Shared {
    /// Whether the model takes text.
    pub(crate) fn wants_text(&self) -> bool {
        matches!(self.wants, Wants::Text(_))
    }

    /// How large payloads and records may be.
    pub(crate) fn payload_limit(&self) -> PayloadLimit {
        const DEFAULT: u64 = 6 << 20;
        let fixed =
            [self.settings.max_payload, self.limits.max_payload].into_iter().flatten().min();
        let (payload, record) = match (fixed, &self.wants) {
            (Some(bytes), _) => (Some(bytes), Some(bytes)),
            (None, Wants::Text(_)) => (Some(DEFAULT), Some(DEFAULT)),
            (None, Wants::Columns) => (Some(DEFAULT), None),
            // In this process nothing is copied to be sent.
            (None, Wants::Features(_)) => (None, None),
        };
        PayloadLimit { payload, record }
    }

    /// Waits until the model has answered a record and the output columns are known. If no lane can
    /// go on, every record so far was rejected: the outputs then have one column without a value.
    pub(crate) fn wait_for_columns(&self) -> Result<(), TransformError> {
        let mut state = self.lanes.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 += 1;
        while self.answers.schema().is_none() {
            if self.stop.load(Ordering::Relaxed) {
                state.1 -= 1;
                return Err(TransformError::Stopped);
            }
            if state.0 == state.1 {
                let field = Field::new("prediction", DataType::Float64, true);
                self.answers.settle(&Schema::new(vec![field]));
                self.lanes.changed.notify_all();
                break;
            }
            let wait = self.lanes.changed.wait_timeout(state, Duration::from_millis(20));
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.1 -= 1;
        Ok(())
    }

    /// The model's columns as they are named in the output. They are recorded before any output, so
    /// that a resumed run has the same.
    pub(crate) fn outputs(&self) -> Result<SchemaRef, TransformError> {
        if self.answers.schema().is_none() {
            self.wait_for_columns()?;
        }
        let schema = self
            .answers
            .schema()
            .ok_or_else(|| TransformError::Internal("the output columns are not known".into()))?;
        if self.recorded.set(Arc::clone(&schema)).is_ok() {
            self.folder.write_columns(&describe(&schema))?;
        }
        Ok(prefixed(&schema, &self.settings.output_prefix))
    }

    /// Notes what stops the run; the first word counts.
    pub(crate) fn fail(&self, error: TransformError) {
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        if fatal.is_none() || matches!(*fatal, Some(TransformError::Stopped)) {
            *fatal = Some(error);
        }
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn file_failed(&self, file: &str, error: String) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.push(FailedFile { file: file.to_owned(), error });
    }
}

/// Output columns as `columns.json` holds them.
pub(crate) fn describe(schema: &SchemaRef) -> Value {
    let fields = schema.fields().iter();
    fields
        .map(|field| json!({ "name": field.name(), "type": field.data_type().to_string() }))
        .collect()
}

/// Reads what `describe` wrote.
pub(crate) fn recall(columns: &Value) -> Option<SchemaRef> {
    let field = |column: &Value| {
        let data_type: DataType = column["type"].as_str()?.parse().ok()?;
        Some(Field::new(column["name"].as_str()?, data_type, true))
    };
    let fields: Option<Vec<Field>> = columns.as_array()?.iter().map(field).collect();
    Some(Arc::new(Schema::new(fields?)))
}
