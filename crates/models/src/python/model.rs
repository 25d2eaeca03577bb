//! A handler as a model.

use std::{
    env,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::Duration,
};

use arrow::datatypes::Field;
use bessemer_domain::RejectClass;
use bessemer_transform::{
    model::{Answer, CallError, CallErrorKind, Copies, Limits, Model, TextFormat, Wants},
    records::{LinesBuilder, Records},
};

use super::{
    batches, environment,
    error::PythonError,
    machine,
    messages::{Ready, Settings, Takes, Wire, kind},
    options::HandlerOptions,
    output::Sink,
    pipes::Frame,
    pool::Pool,
    worker::{Recipe, StartError, Trouble, failure, file_name, install_program},
};

/// What libraries look at to know how many threads to use.
const THREAD_VARIABLES: [&str; 5] = [
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
];

/// A Python handler in worker processes.
#[derive(Debug)]
pub struct PythonModel {
    pool: Pool,
    ready: Ready,
    /// Workers that there may be.
    most: usize,
    /// Whether the user fixed their number.
    fixed: bool,
    timeout: Duration,
    /// The script's file name, for messages.
    script: String,
}

impl PythonModel {
    /// Starts the first worker, which loads the handler, and settles how many there may be: the
    /// others are started when calls need them.
    pub fn open(options: &HandlerOptions) -> Result<Self, PythonError> {
        let recipe = recipe(options)?;
        let python = recipe.python.clone();
        let told = |error| opening_error(options, &python, error);
        let cores = machine::cores();
        let memory = options.memory.or_else(|| match options.copies {
            Some(_) => None,
            None => machine::free_memory(),
        });
        let wanted = machine::copies(options.copies, cores, None, 0);
        let mut pool = Pool::new(with_threads(recipe, options, cores / wanted))
            .map_err(|source| told(StartError::Spawn(source)))?;
        let ready = pool.start_first().map_err(told)?;
        let copies = machine::copies(options.copies, cores, memory, ready.resident);
        if cores / copies != cores / wanted {
            // Fewer workers than thought have more cores each, which they learn when they start.
            pool = pool.reset(environment_of(options, cores / copies));
            pool.start_first().map_err(told)?;
        }
        let looks = options.copies.is_none() && options.memory.is_none();
        pool.allow(copies, looks.then_some(ready.resident));
        let script = file_name(&options.script.to_string_lossy()).to_owned();
        let fixed = options.copies.is_some();
        Ok(Self { pool, ready, most: copies, fixed, timeout: options.timeout, script })
    }

    fn answer(&self, frame: Frame, rows: usize) -> Result<Answer, CallError> {
        let answer = match frame.kind {
            kind::ARROW => batches::read(frame.body).map(Answer::Columns),
            kind::JSON_LINES => json_lines(&frame.body).map(Answer::Json),
            _ => return Err(self.failed(&frame)),
        };
        let answer = answer.map_err(|cause| CallError {
            kind: CallErrorKind::Records,
            class: RejectClass::Output,
            message: format!("the handler's answer cannot be read: {cause}"),
        })?;
        if answer.len() == rows {
            return Ok(answer);
        }
        Err(CallError {
            kind: CallErrorKind::Records,
            class: RejectClass::WrongCount,
            message: format!("the handler answered {} records for {rows}", answer.len()),
        })
    }

    /// Whether the script has SageMaker's functions.
    pub(super) fn is_sagemaker(&self) -> bool {
        matches!(self.ready.takes, Takes::Sagemaker)
    }

    /// Workers that there may be.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// What the script answers to a whole payload.
    pub(super) fn answer_payload(&self, payload: &[u8]) -> Result<Vec<u8>, CallError> {
        let mut worker = self.pool.take().map_err(|error| self.unreachable(error))?;
        match worker.call(None, payload, self.timeout) {
            Ok(frame) => {
                self.pool.give_back(worker);
                match frame.kind {
                    kind::PAYLOAD => Ok(frame.body),
                    _ => Err(self.failed(&frame)),
                }
            }
            Err(trouble) => {
                self.pool.discard(worker);
                Err(self.troubled(trouble))
            }
        }
    }

    fn failed(&self, frame: &Frame) -> CallError {
        let failure = failure(frame);
        let kind =
            if failure.transient { CallErrorKind::Transient } else { CallErrorKind::Records };
        CallError { kind, class: RejectClass::Model, message: failure.message(&self.script) }
    }

    fn troubled(&self, trouble: Trouble) -> CallError {
        let (class, message) = match trouble {
            Trouble::Died(how) => (RejectClass::WorkerDied, how),
            Trouble::TimedOut => (
                RejectClass::Timeout,
                format!("the handler did not answer within {:?}", self.timeout),
            ),
        };
        CallError { kind: CallErrorKind::Transient, class, message }
    }

    fn unreachable(&self, error: StartError) -> CallError {
        let how = match error {
            StartError::Spawn(error) => error.to_string(),
            StartError::Failed(failure) => failure.message(&self.script),
            StartError::Died { message, .. } => message,
            StartError::TimedOut => "it took too long to load".to_owned(),
        };
        CallError {
            kind: CallErrorKind::Unreachable,
            class: RejectClass::WorkerDied,
            message: format!("the handler cannot be started again: {how}"),
        }
    }
}

impl Model for PythonModel {
    fn copies(&self) -> Option<Copies> {
        Some(self.pool.copies())
    }

    fn wants(&self) -> Wants {
        match self.ready.wire {
            Wire::Arrow => Wants::Columns,
            Wire::JsonLines => Wants::Text(TextFormat::JsonLines),
            Wire::Csv => Wants::Text(TextFormat::Csv),
            Wire::Raw => Wants::Text(TextFormat::Raw),
        }
    }

    fn outputs(&self) -> Option<Vec<Field>> {
        None
    }

    fn limits(&self) -> Limits {
        let start_rows = match self.ready.takes {
            Takes::Dataframe | Takes::RecordBatch | Takes::Table => 8192,
            Takes::Records | Takes::Sagemaker => 1024,
        };
        Limits {
            max_concurrent: Some(self.most),
            start_concurrent: self.fixed.then_some(self.most),
            max_payload: None,
            max_rows: None,
            start_rows: Some(start_rows),
        }
    }

    fn call(&self, records: &Records) -> Result<Answer, CallError> {
        let rows = records.len();
        let mut worker = match self.pool.take() {
            Ok(worker) => worker,
            Err(error) => return Err(self.unreachable(error)),
        };
        let frame = match (records, self.ready.wire) {
            (Records::Columns(batch), Wire::Arrow) => match batches::write(batch) {
                Ok(body) => worker.call(Some(rows), &body, self.timeout),
                Err(error) => {
                    self.pool.give_back(worker);
                    return Err(unwritable(&error.to_string()));
                }
            },
            (Records::Lines(lines), Wire::JsonLines | Wire::Csv | Wire::Raw) => {
                worker.call(Some(rows), &lines.text(), self.timeout)
            }
            _ => {
                self.pool.give_back(worker);
                return Err(unwritable("they are not in the form that the handler takes"));
            }
        };
        match frame {
            Ok(frame) => {
                self.pool.give_back(worker);
                self.answer(frame, rows)
            }
            Err(trouble) => {
                self.pool.discard(worker);
                Err(self.troubled(trouble))
            }
        }
    }
}

fn unwritable(cause: &str) -> CallError {
    CallError {
        kind: CallErrorKind::Records,
        class: RejectClass::Type,
        message: format!("the records cannot be written for the handler: {cause}"),
    }
}

fn json_lines(body: &[u8]) -> Result<bessemer_transform::records::Lines, String> {
    let Some(text) = body.strip_suffix(b"\n") else {
        return match body {
            [] => Ok(LinesBuilder::default().finish()),
            _ => Err("its last line has no end".to_owned()),
        };
    };
    Ok(text.split(|byte| *byte == b'\n').collect())
}

fn recipe(options: &HandlerOptions) -> Result<Recipe, PythonError> {
    let script = std::path::absolute(&options.script)
        .and_then(|path| std::fs::File::open(&path).map(|_| path))
        .map_err(|source| PythonError::Script { script: options.script.clone(), source })?;
    let folder = script.parent().unwrap_or(Path::new("/"));
    let model_dir = match &options.model_dir {
        Some(folder) => std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
        None => folder.to_owned(),
    };
    let write = |path: &Path, source| PythonError::Write { path: path.to_owned(), source };
    let program =
        install_program(&options.cache_dir).map_err(|source| write(&options.cache_dir, source))?;
    let sink = Sink::open(&options.log).map_err(|source| match &options.log {
        super::HandlerLog::File(path) => write(path, source),
        _ => write(Path::new("stderr"), source),
    })?;
    let python = options.python.clone().unwrap_or_else(|| PathBuf::from("python3"));
    let python = match &options.requirements {
        Some(requirements) => environment::prepare(requirements, &python, &options.cache_dir)?,
        None => python,
    };
    let or =
        |chosen: &Option<String>, default: &str| chosen.as_deref().unwrap_or(default).to_owned();
    let text_records = options.content_type.as_deref() == Some("application/jsonlines");
    let settings = Settings {
        script: script.to_string_lossy().into_owned(),
        model_dir: model_dir.to_string_lossy().into_owned(),
        content_type: or(&options.content_type, "application/jsonlines"),
        accept: or(&options.accept, "application/json"),
        text_records,
        payloads: options.payloads,
        framework: options.framework.clone().unwrap_or_default(),
        parent: process::id(),
    };
    let load_timeout = options.load_timeout;
    Ok(Recipe { python, program, settings, env: Vec::new(), sink: Arc::new(sink), load_timeout })
}

fn with_threads(recipe: Recipe, options: &HandlerOptions, threads: usize) -> Recipe {
    Recipe { env: environment_of(options, threads), ..recipe }
}

/// The user's variables, and a share of the cores where the user says nothing of threads.
fn environment_of(options: &HandlerOptions, threads: usize) -> Vec<(String, String)> {
    let named = |name: &str| {
        env::var_os(name).is_some() || options.env.iter().any(|(known, _)| known == name)
    };
    let threads = threads.max(1).to_string();
    let unset = THREAD_VARIABLES.iter().filter(|name| !named(name));
    let share = unset.map(|name| ((*name).to_owned(), threads.clone()));
    options.env.iter().cloned().chain(share).collect()
}

fn opening_error(options: &HandlerOptions, python: &Path, error: StartError) -> PythonError {
    let script = options.script.clone();
    match error {
        StartError::Spawn(source) => PythonError::Start { python: python.to_owned(), source },
        StartError::Failed(failure) if failure.refused => PythonError::Refused {
            script,
            message: failure.error,
            needs: failure.needs,
            python: python.to_owned(),
        },
        StartError::Failed(failure) => PythonError::Load {
            message: failure.message(file_name(&options.script.to_string_lossy())),
            script,
            traceback: failure.traceback,
        },
        StartError::Died { message, output } => PythonError::Died { script, message, output },
        StartError::TimedOut => PythonError::Slow { script, after: options.load_timeout },
    }
}
