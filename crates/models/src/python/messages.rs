//! The messages between us and `worker/bessemer_worker.py`.

use serde::{Deserialize, Serialize};

/// The kinds of frames; `bessemer_worker.py` has the same numbers.
pub(super) mod kind {
    pub(crate) const SETTINGS: u32 = 1;
    pub(crate) const CALL: u32 = 2;
    pub(crate) const READY: u32 = 3;
    pub(crate) const FAILED: u32 = 4;
    pub(crate) const ARROW: u32 = 5;
    pub(crate) const JSON_LINES: u32 = 6;
    pub(crate) const PAYLOAD: u32 = 7;
}

/// The first frame that a worker gets.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Settings {
    pub(super) script: String,
    pub(super) model_dir: String,
    pub(super) content_type: String,
    pub(super) accept: String,
    /// Whether a list of dicts is to come as JSON text even where pyarrow is there.
    pub(super) text_records: bool,
    /// Whether SageMaker's functions get whole payloads, and their answers come back as they are.
    pub(super) payloads: bool,
    /// Whose container's steps stand in for absent functions.
    pub(super) framework: String,
    /// Our process id.
    pub(super) parent: u32,
}

/// The handler is loaded.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ready {
    pub(super) takes: Takes,
    pub(super) wire: Wire,
    /// Bytes of memory in use after loading.
    pub(super) resident: u64,
}

/// What the handler takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Takes {
    Dataframe,
    RecordBatch,
    Table,
    Records,
    Sagemaker,
}

/// How batches travel to the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wire {
    Arrow,
    JsonLines,
    Csv,
    /// The input's lines.
    Raw,
}

/// What goes with the body of a call.
#[derive(Debug, Serialize)]
pub(super) struct Call {
    /// None: the body is a whole payload.
    pub(super) rows: Option<usize>,
}

/// The script raised an exception, or can't be used.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) error: String,
    /// Where in the script.
    pub(super) line: Option<u64>,
    /// Whether it may pass by itself: memory ran out.
    #[serde(default)]
    pub(super) transient: bool,
    /// Whether the script cannot be used as it is, rather than raised an error.
    #[serde(default)]
    pub(super) refused: bool,
    /// A package that would help.
    #[serde(default)]
    pub(super) needs: Option<String>,
    #[serde(default)]
    pub(super) traceback: String,
}

impl Failure {
    /// The exception and where it happened in `script`.
    pub(super) fn message(&self, script: &str) -> String {
        match self.line {
            Some(line) => format!("{} ({script} line {line})", self.error),
            None => self.error.clone(),
        }
    }
}
