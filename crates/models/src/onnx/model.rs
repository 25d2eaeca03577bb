//! An ONNX model as the engine sees it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use arrow::{
    datatypes::{Field, Schema},
    record_batch::{RecordBatch, RecordBatchOptions},
};
use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{Answer, CallError, CallErrorKind, Limits, Model, Wants},
    records::Records,
};

use super::{
    buffer::FillError,
    error::{OnnxError, short_message},
    inputs::{Inputs, InputsError, PackError},
    model_file::{ModelFile, ModelFileError},
    outputs::{AnswerError, Answers, Outputs},
    runtime,
    sessions::{Sessions, Source},
};

/// How a model is to be used.
#[derive(Debug, Clone)]
pub struct OnnxOptions {
    /// Cores that the model may use, at least one.
    pub threads: usize,
    /// Whether null means "not a number" to features that are floats; else it is a reject.
    pub nulls_as_nan: bool,
    /// The ONNX Runtime library; else it is looked for ([`runtime::find`]).
    pub library: Option<PathBuf>,
    /// The Python whose `onnxruntime` package will do as a library.
    pub python: PathBuf,
    /// The features' names in the model's order. A single name for an input of several values is that
    /// of a list column.
    pub features: Option<Vec<String>>,
    /// The outputs to keep; else all.
    pub outputs: Option<Vec<String>>,
}

impl Default for OnnxOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            nulls_as_nan: false,
            library: None,
            python: "python3".into(),
            features: None,
            outputs: None,
        }
    }
}

/// Bytes of input that a run takes, at most: so much stays in a core's cache.
const RUN_BYTES: usize = 128 << 10;
/// Rows that a run takes, at most.
const RUN_ROWS: usize = 1024;
/// Rows that a run takes, at least, however wide they are.
const FEWEST_RUN_ROWS: usize = 8;

/// An ONNX model in this process.
///
/// A call's records run through the model some at a time: about 128 KiB of input, at most 1,024
/// records (28 floats: 1,024). The tensors between the layers then stay in the cache and small: an MLP
/// (28-256-256-1) ran at 1.13M rows/s with 1,024 rows a run and at 0.9M with 8,192; five sessions of it
/// held 62 MB and 207 MB, and 372 MB with 16,384. Trees and linear models do not care.
///
/// So the rows of a call hardly matter to the model; [`Limits::start_rows`] asks for sixteen runs, to
/// make what a call costs beside the runs small. As many calls run at once as there are sessions, which
/// is as many as `threads` unless the model is large (`sessions` tells why).
pub struct OnnxModel {
    inputs: Inputs,
    outputs: Outputs,
    sessions: Sessions,
    /// The output columns, once known.
    fields: OnceLock<Vec<Field>>,
    run_rows: usize,
}

impl OnnxModel {
    /// Opens the model at `path`, loading ONNX Runtime first if that has not been done.
    pub fn open(path: &Path, options: &OnnxOptions) -> Result<Self, OnnxError> {
        Self::of_bytes(path, read(path)?, options)
    }

    /// As [`OnnxModel::open`], with the content of the file.
    pub(super) fn of_bytes(
        path: &Path,
        bytes: Vec<u8>,
        options: &OnnxOptions,
    ) -> Result<Self, OnnxError> {
        let file = ModelFile::read(&bytes, options.outputs.as_deref())
            .map_err(|error| model_file_error(path, error))?;
        let environment = runtime::load(options.library.as_deref(), &options.python)?;
        let edited = file.edited.is_some();
        let bytes = file.edited.unwrap_or(bytes);
        let source = Source { path, bytes, edited, external_data: file.external_data };
        let refused = |error: ort::Error| OnnxError::Refused {
            path: path.to_owned(),
            message: short_message(error.message()),
        };
        let sessions =
            Sessions::open(environment, source, options.threads.max(1)).map_err(refused)?;
        let unsupported = |reason| OnnxError::Unsupported { path: path.to_owned(), reason };
        let (inputs, outputs) = {
            let mut session = sessions.take();
            let session = session.get();
            let outputs = Outputs::plan(file.outputs, session.outputs()).map_err(unsupported)?;
            let recorded = file.feature_names.as_deref();
            let names = options.features.as_deref();
            let inputs = Inputs::plan(session.inputs(), names, recorded, options.nulls_as_nan)
                .map_err(|error| inputs_error(path, error))?;
            (inputs, outputs)
        };
        let run_rows = inputs.fixed_rows().unwrap_or_else(|| run_rows(inputs.bytes_a_record()));
        let model = Self { inputs, outputs, sessions, fields: OnceLock::new(), run_rows };
        if let Some(fields) = model.outputs.fields().or_else(|| model.probe()) {
            model.fields.get_or_init(|| fields);
        }
        Ok(model)
    }

    /// The output columns, found by running records of zeros and empty texts. `None` if the model
    /// refuses such records.
    fn probe(&self) -> Option<Vec<Field>> {
        let rows = self.inputs.fixed_rows().unwrap_or(2);
        let mut buffers = self.inputs.buffers();
        let values = self.inputs.pack_zeros(rows, &mut buffers).ok()?;
        let mut session = self.sessions.take();
        let answer = session.get().run(values).ok()?;
        let mut answers = self.outputs.answers();
        answers.add(&answer, rows, rows).ok()?;
        answers.finish().map(|(fields, _)| fields)
    }

    /// Runs the rows of `batch` through the model, some at a time.
    fn run<'a>(&'a self, batch: &RecordBatch) -> Result<Answers<'a>, CallError> {
        let mut buffers = self.inputs.buffers();
        let mut answers = self.outputs.answers();
        let mut session = self.sessions.take();
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = from..batch.num_rows().min(from + self.run_rows);
            let count = rows.len();
            from = rows.end;
            let run_rows = self.inputs.fixed_rows().unwrap_or(count);
            let values = self
                .inputs
                .pack(batch.columns(), rows, &mut buffers)
                .map_err(|error| self.pack_error(error))?;
            let answer = session.get().run(values).map_err(|error| run_error(&error))?;
            answers.add(&answer, count, run_rows).map_err(|error| answer_error(&error))?;
        }
        Ok(answers)
    }

    fn pack_error(&self, error: PackError) -> CallError {
        let (feature, error) = match error {
            PackError::Ort(error) => return run_error(&error),
            PackError::Column(feature, error) => (feature, error),
        };
        let name = self.inputs.features()[feature].name.clone();
        let name = name.map_or_else(|| format!("feature {feature}"), |name| format!("`{name}`"));
        match error {
            FillError::Null => failed(RejectClass::MissingFeature, format!("{name} holds a null")),
            FillError::Type => {
                failed(RejectClass::Type, format!("{name} has a type that the model does not read"))
            }
        }
    }
}

impl Model for OnnxModel {
    fn wants(&self) -> Wants {
        Wants::Features(self.inputs.features().to_vec())
    }

    fn outputs(&self) -> Option<Vec<Field>> {
        self.fields.get().cloned()
    }

    fn limits(&self) -> Limits {
        Limits {
            max_concurrent: Some(self.sessions.most()),
            start_concurrent: Some(self.sessions.most()),
            max_payload: None,
            max_rows: None,
            start_rows: Some(self.run_rows * 16),
        }
    }

    fn call(&self, records: &Records) -> Result<Answer, CallError> {
        let Records::Columns(batch) = records else {
            return Err(failed(RejectClass::Type, "the model reads columns, not text".to_owned()));
        };
        let expected = self.inputs.features().len();
        if batch.num_columns() != expected {
            let message =
                format!("the model reads {expected} columns, not {}", batch.num_columns());
            return Err(failed(RejectClass::MissingFeature, message));
        }
        let Some((fields, columns)) = self.run(batch)?.finish() else {
            let schema = Schema::new(self.fields.get().cloned().unwrap_or_default());
            return Ok(Answer::Columns(RecordBatch::new_empty(Arc::new(schema))));
        };
        if *self.fields.get_or_init(|| fields.clone()) != fields {
            let message = "the outputs' sizes differ from those of earlier records".to_owned();
            return Err(failed(RejectClass::Output, message));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        RecordBatch::try_new_with_options(schema, columns, &options)
            .map(Answer::Columns)
            .map_err(|error| failed(RejectClass::Output, error.to_string()))
    }
}

/// The content of the model's file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, OnnxError> {
    fs::read(path).map_err(|source| OnnxError::Read { path: path.to_owned(), source })
}

/// Rows a run for records of so many bytes: a power of two.
fn run_rows(bytes_a_record: usize) -> usize {
    let rows = (RUN_BYTES / bytes_a_record.max(1)).clamp(FEWEST_RUN_ROWS, RUN_ROWS);
    if rows.is_power_of_two() { rows } else { rows.next_power_of_two() / 2 }
}

pub(super) fn failed(class: RejectClass, message: String) -> CallError {
    CallError { kind: CallErrorKind::Records, class, message }
}

/// A run that ONNX Runtime ended with an error. Without memory for so many rows, fewer may do.
fn run_error(error: &ort::Error) -> CallError {
    let message = short_message(error.message());
    let no_memory = ["bad_alloc", "bad allocation", "Failed to allocate memory"];
    if no_memory.iter().any(|words| error.message().contains(words)) {
        return CallError { kind: CallErrorKind::TooLarge, class: RejectClass::TooLarge, message };
    }
    failed(RejectClass::Model, message)
}

fn answer_error(error: &AnswerError) -> CallError {
    let class = match error {
        AnswerError::Count { .. } => RejectClass::WrongCount,
        AnswerError::Width { .. } => RejectClass::Output,
        AnswerError::Ort(error) => return run_error(error),
    };
    failed(class, error.to_string())
}

fn model_file_error(path: &Path, error: ModelFileError) -> OnnxError {
    let path = path.to_owned();
    match error {
        ModelFileError::UnknownOutput { wanted, known } => {
            OnnxError::UnknownOutput { wanted, known }
        }
        ModelFileError::Unsupported(reason) => OnnxError::Unsupported { path, reason },
        other => OnnxError::NotAModel { path, reason: other.to_string() },
    }
}

fn inputs_error(path: &Path, error: InputsError) -> OnnxError {
    match error {
        InputsError::Unsupported(reason) => {
            OnnxError::Unsupported { path: path.to_owned(), reason }
        }
        InputsError::FeaturesUnknown { input } => OnnxError::FeaturesUnknown { input },
        InputsError::FeatureCount { named, expected } => {
            OnnxError::FeatureCount { named, expected }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_as_long_as_the_cache_allows() {
        assert_eq!(run_rows(28 * 4), 1024);
        assert_eq!(run_rows(4), 1024);
        assert_eq!(run_rows(1000 * 4), 32);
        assert_eq!(run_rows(3 * 224 * 224 * 4), 8);
    }
}
