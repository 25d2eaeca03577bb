//! Whole payloads through a model, as a SageMaker batch transform sends them: a file is cut into
//! records, as many as fit go into one payload, and what comes back is the output, byte for byte.
//!
//! Nothing is read into the records and the answers, so a payload may be anything. Where they are to
//! be joined, filtered or isolated, [`crate::run`] is the door.

mod call;
mod pack;
mod run;
mod split;

use bessemer_domain::RejectClass;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use run::{PayloadFile, PayloadJob, PayloadSummary, run_payloads};

use crate::{
    model::{CallError, CallErrorKind},
    text::detect::Compression,
};

/// A model that is given payloads. It is called from many threads at once.
pub trait PayloadModel: Send + Sync {
    /// What the runtime asks of the settings.
    fn limits(&self) -> PayloadLimits;

    /// What the model answers to `payload`; blocks until it is there.
    fn invoke(&self, payload: &Bytes) -> Result<Bytes, CallError>;
}

/// What a runtime asks of the settings. `None`: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PayloadLimits {
    /// Calls at once, at most.
    pub max_concurrent: Option<usize>,
    /// Bytes of a payload, at most.
    pub max_payload: Option<u64>,
    /// Whether a payload holds one record.
    pub single: Option<bool>,
}

/// How files become payloads, and answers become files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadSettings {
    /// What a record is.
    pub split: Split,
    /// How the files are compressed; none if not at all. Told by their first bytes if it is another.
    pub compression: Option<Compression>,
    /// Whether a payload holds one record. Default: what the model asks for, else as many as fit.
    pub single: Option<bool>,
    /// Bytes of a payload; 0 is no limit. Default: what the model asks for, else 6 MiB.
    pub max_payload: Option<u64>,
    /// Calls at once. Default: what the model asks for, else one.
    pub max_concurrent: Option<usize>,
    /// How often a call that may pass is tried again.
    pub retries: u32,
    /// Whether each answer ends with a line end.
    pub line_ends: bool,
}

/// What a record of a file is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Split {
    /// The whole file.
    #[default]
    None,
    /// A line.
    Line,
    /// A record of `MXNet`'s `RecordIO`, with its frame.
    RecordIo,
    /// A record of `TensorFlow`'s `TFRecord`, with its frame.
    TfRecord,
}

/// Bytes of a payload if nobody says.
pub const DEFAULT_PAYLOAD: u64 = 6 << 20;

/// Why a file has no output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFailure {
    /// The file's name.
    pub file: String,
    /// What went wrong.
    pub error: CallError,
}

fn unreadable(message: impl std::fmt::Display) -> CallError {
    CallError {
        kind: CallErrorKind::Records,
        class: RejectClass::Parse,
        message: message.to_string(),
    }
}

fn too_large(message: String) -> CallError {
    CallError { kind: CallErrorKind::TooLarge, class: RejectClass::TooLarge, message }
}
