//! Whole payloads through a model, as a SageMaker batch transform sends them: a file is cut into
//! records, as many as fit go into one payload, and what comes back is the output, byte for byte.
//!
//! Nothing is read into the records and the answers, so a payload may be anything. Where they are to
//! be joined, filtered or isolated, [`crate::run`] is the door.

mod call;
mod pack;
mod run;
mod split;
mod stream;

use std::io::{self, Read, Write};

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

    /// The same for a payload of any size, whose answer goes into `answer`. A runtime that can sends
    /// the one and writes the other as they come; this has both in memory.
    fn stream(&self, payload: &OpenPayload<'_>, answer: &mut dyn Write) -> Result<(), CallError> {
        let mut whole = Vec::new();
        payload().and_then(|mut bytes| bytes.read_to_end(&mut whole)).map_err(unreadable)?;
        answer.write_all(&self.invoke(&whole.into())?).map_err(|error| unwritten(&error))
    }
}

/// Opens a payload's bytes, at their beginning each time.
pub type OpenPayload<'r> = dyn Fn() -> io::Result<Box<dyn Read + Send>> + 'r;

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
    /// Bytes of a payload; 0 is no limit: unless records go alone, a whole file is a payload, which is
    /// sent as it is read. Default: what the model asks for, else 6 MiB.
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

/// An answer that can't be kept. Nobody tries again; the cause is told by whoever keeps it.
fn unwritten(error: &io::Error) -> CallError {
    CallError {
        kind: CallErrorKind::Records,
        class: RejectClass::Output,
        message: format!("write the answer: {error}"),
    }
}

fn too_large(message: String) -> CallError {
    CallError { kind: CallErrorKind::TooLarge, class: RejectClass::TooLarge, message }
}
