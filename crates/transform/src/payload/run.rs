//! All files of a job, payload by payload: read in order, called at once, written in order.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use bytes::Bytes;

use super::{
    DEFAULT_PAYLOAD, PayloadFailure, PayloadModel, PayloadSettings, Split,
    call::{Caller, Failed},
    pack::Payloads,
    stream::{Streamed, stream},
    unreadable,
};
use crate::{
    TransformError,
    model::CallError,
    reorder::Reorder,
    text::detect::{Compression, is_bzip2},
};

/// A file to be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayloadFile {
    /// Its name below the inputs, and with `.out` at its end that of its output.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What is to be done.
pub struct PayloadJob {
    /// The inputs.
    pub files: Vec<PayloadFile>,
    /// The folder of the outputs. A file that has one there was finished by an earlier run.
    pub output: PathBuf,
    /// How.
    pub settings: PayloadSettings,
    /// By what.
    pub model: Arc<dyn PayloadModel>,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PayloadSummary {
    /// Records that were answered.
    pub records: u64,
    /// Payloads that were answered.
    pub payloads: u64,
    /// Calls that were made again.
    pub retries: u64,
    /// Calls at once.
    pub max_concurrent: usize,
    /// Bytes of a payload, at most; 0: no limit.
    pub max_payload: u64,
    /// Whether each payload held one record.
    pub single: bool,
    /// Files without an output.
    pub failed: Vec<PayloadFailure>,
}

/// Runs a job to its end. A file whose payload failed has no output, the others have theirs.
pub fn run_payloads(
    job: &PayloadJob,
    stop: &AtomicBool,
    on_file: &dyn Fn(&str, u64),
) -> Result<PayloadSummary, TransformError> {
    let summary = settle(job);
    let scratch = job.output.join(SCRATCH);
    fs::create_dir_all(&scratch).map_err(|source| cannot("create", &scratch, source))?;
    // Room for answers that wait for an earlier one.
    let window = summary.max_concurrent as u64 * 2;
    let shared = Shared {
        caller: Caller {
            model: &*job.model,
            retries: job.settings.retries,
            stop,
            ended: AtomicBool::new(false),
            retried: AtomicU64::new(0),
        },
        failed: job.files.iter().map(|_| AtomicBool::new(false)).collect(),
        window: Window { passed: Mutex::new(0), moved: Condvar::new(), size: window },
    };
    let (tasks, taken) = mpsc::sync_channel::<(u64, Task)>(summary.max_concurrent);
    let taken = Mutex::new(taken);
    let (answers, answered) = mpsc::channel();
    let collected = thread::scope(|scope| {
        scope.spawn({
            // Dropped at the end, which ends the callers.
            let (summary, shared) = (&summary, &shared);
            move || produce(job, summary, shared, &tasks)
        });
        for _ in 0..summary.max_concurrent {
            let answers = answers.clone();
            let (shared, taken) = (&shared, &taken);
            scope.spawn(move || work(job, shared, taken, &answers));
        }
        drop(answers);
        let collected = Collector::new(job, &shared, summary.clone(), on_file).run(&answered);
        shared.end();
        collected
    });
    let mut summary = collected?;
    summary.retries = shared.caller.retried.load(Ordering::Relaxed);
    // Empty by now; left behind it would do no harm.
    let _ = fs::remove_dir(&scratch);
    Ok(summary)
}

/// Where outputs are while they grow, in the folder of outputs.
const SCRATCH: &str = ".unfinished";

/// What holds for the run: what the user says, else what the model asks for.
fn settle(job: &PayloadJob) -> PayloadSummary {
    let (asked, settings) = (job.model.limits(), &job.settings);
    PayloadSummary {
        max_concurrent: settings.max_concurrent.or(asked.max_concurrent).unwrap_or(1).max(1),
        max_payload: settings.max_payload.or(asked.max_payload).unwrap_or(DEFAULT_PAYLOAD),
        single: settings.single.or(asked.single).unwrap_or(false),
        ..PayloadSummary::default()
    }
}

struct Shared<'r> {
    caller: Caller<'r>,
    /// By file.
    failed: Vec<AtomicBool>,
    window: Window,
}

/// How far the reader may be ahead of the writer.
struct Window {
    passed: Mutex<u64>,
    moved: Condvar,
    size: u64,
}

impl Shared<'_> {
    /// Nobody collects any more.
    fn end(&self) {
        let passed = self.window.passed.lock().unwrap_or_else(PoisonError::into_inner);
        self.caller.ended.store(true, Ordering::Relaxed);
        drop(passed);
        self.window.moved.notify_all();
    }

    /// Waits until task `number` is within the window.
    fn wait_for_room(&self, number: u64) {
        let passed = self.window.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_far =
            |passed: &mut u64| number >= *passed + self.window.size && !self.caller.is_over();
        let waited = self.window.moved.wait_while(passed, is_far);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn pass(&self) {
        *self.window.passed.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.window.moved.notify_all();
    }
}

enum Task {
    Call {
        file: usize,
        payload: Bytes,
        records: u64,
    },
    /// The whole file in one call.
    Stream {
        file: usize,
    },
    Unreadable {
        file: usize,
        error: CallError,
    },
    EndOfFile {
        file: usize,
    },
}

enum Answer {
    Payload { file: usize, answer: Result<Bytes, Failed>, records: u64 },
    Streamed { file: usize, answer: Result<Streamed, Failed> },
    Unreadable { file: usize, error: CallError },
    EndOfFile { file: usize },
}

/// Reads the files into numbered tasks.
fn produce(
    job: &PayloadJob,
    settled: &PayloadSummary,
    shared: &Shared<'_>,
    tasks: &mpsc::SyncSender<(u64, Task)>,
) {
    let mut number = 0;
    let mut send = |task: Task| {
        shared.wait_for_room(number);
        let sent = !shared.caller.is_over() && tasks.send((number, task)).is_ok();
        number += 1;
        sent
    };
    for (file, input) in job.files.iter().enumerate() {
        if output_of(job, &input.name).exists() {
            continue;
        }
        let last = match read(input, file, &job.settings, settled, shared, &mut send) {
            Ok(true) => Task::EndOfFile { file },
            Ok(false) => return,
            Err(error) => Task::Unreadable { file, error },
        };
        if !send(last) {
            return;
        }
    }
}

/// Sends the payloads of one file, until one of them has failed. Whether there is more to do.
fn read(
    input: &PayloadFile,
    file: usize,
    settings: &PayloadSettings,
    settled: &PayloadSummary,
    shared: &Shared<'_>,
    send: &mut dyn FnMut(Task) -> bool,
) -> Result<bool, CallError> {
    let most = if settled.max_payload == 0 { u64::MAX } else { settled.max_payload };
    let mut bytes = open(&input.path, settings.compression).map_err(unreadable)?;
    if settled.max_payload == 0 && (settings.split == Split::None || !settled.single) {
        // Where records are told apart, no record is no payload.
        let is_empty = bytes.fill_buf().map_err(unreadable)?.is_empty();
        return Ok((is_empty && settings.split != Split::None) || send(Task::Stream { file }));
    }
    let mut payloads = Payloads::new(bytes, settings.split, settled.single, most);
    while !shared.failed[file].load(Ordering::Relaxed)
        && let Some((payload, records)) = payloads.next()?
    {
        if !send(Task::Call { file, payload, records }) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A file's bytes, uncompressed. What is said to be compressed is told by its own mark.
fn open(path: &Path, compression: Option<Compression>) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(1 << 17, File::open(path)?);
    let Some(said) = compression else { return Ok(Box::new(file)) };
    let head = file.fill_buf()?;
    if is_bzip2(head) {
        return Err(io::Error::other(
            "it is packed by bzip2, which is not read; pack it by gzip or zstd instead",
        ));
    }
    let compression = match Compression::of(head) {
        Compression::None => said,
        found => found,
    };
    let bytes: Box<dyn io::Read + Send> = compression.decoder(Box::new(file))?;
    Ok(Box::new(BufReader::with_capacity(1 << 17, bytes)))
}

/// Calls the model for one task after another.
fn work(
    job: &PayloadJob,
    shared: &Shared<'_>,
    taken: &Mutex<mpsc::Receiver<(u64, Task)>>,
    answers: &mpsc::Sender<(u64, Answer)>,
) {
    loop {
        let next = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((number, task)) = next else { return };
        let answer = match task {
            Task::Call { file, payload, records } => {
                let answer = shared.caller.call(|| shared.caller.model.invoke(&payload));
                Answer::Payload { file, answer, records }
            }
            Task::Stream { file } => {
                let path = &job.files[file].path;
                let open = || -> io::Result<Box<dyn io::Read + Send>> {
                    Ok(Box::new(open(path, job.settings.compression)?))
                };
                let answer = stream(&shared.caller, &open, &scratch_of(job, file));
                Answer::Streamed { file, answer }
            }
            Task::Unreadable { file, error } => Answer::Unreadable { file, error },
            Task::EndOfFile { file } => Answer::EndOfFile { file },
        };
        if answers.send((number, answer)).is_err() {
            return;
        }
    }
}

/// Writes answers in the order of their tasks.
struct Collector<'r> {
    job: &'r PayloadJob,
    shared: &'r Shared<'r>,
    summary: PayloadSummary,
    on_file: &'r dyn Fn(&str, u64),
    /// The output that grows.
    growing: Option<BufWriter<File>>,
    /// Records of the file that it is of.
    records: u64,
}

impl<'r> Collector<'r> {
    fn new(
        job: &'r PayloadJob,
        shared: &'r Shared<'r>,
        summary: PayloadSummary,
        on_file: &'r dyn Fn(&str, u64),
    ) -> Self {
        Self { job, shared, summary, on_file, growing: None, records: 0 }
    }

    fn run(
        mut self,
        answers: &mpsc::Receiver<(u64, Answer)>,
    ) -> Result<PayloadSummary, TransformError> {
        let mut waiting = Reorder::default();
        for (number, answer) in answers {
            waiting.insert(number, answer);
            while let Some(answer) = waiting.pop() {
                self.take(answer)?;
                self.shared.pass();
            }
        }
        // The tasks ended early if it was told to stop.
        if self.shared.caller.stop.load(Ordering::Relaxed) {
            return Err(TransformError::Stopped);
        }
        Ok(self.summary)
    }

    fn take(&mut self, answer: Answer) -> Result<(), TransformError> {
        match answer {
            Answer::Payload { file, answer: Ok(bytes), records } => {
                if self.shared.failed[file].load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.summary.payloads += 1;
                self.summary.records += records;
                self.records += records;
                self.write(file, &bytes, bytes.ends_with(b"\n"))
            }
            Answer::Streamed { file, answer: Ok(Streamed { file: output, ends_line }) } => {
                self.summary.payloads += 1;
                self.summary.records += 1;
                self.records += 1;
                self.growing = Some(output);
                self.write(file, &[], ends_line)
            }
            Answer::Payload { file, answer: Err(failed), .. }
            | Answer::Streamed { file, answer: Err(failed) } => match failed {
                Failed::Stopped => Err(TransformError::Stopped),
                Failed::Unreachable(why) => Err(TransformError::Unreachable(why)),
                Failed::Unwritten(error) => Err(error),
                Failed::Payload(error) => self.fail(file, error),
            },
            Answer::Unreadable { file, error } => self.fail(file, error),
            Answer::EndOfFile { file } => self.finish(file),
        }
    }

    /// Adds the last bytes of an answer, which may lack a line end.
    fn write(&mut self, file: usize, bytes: &[u8], ends_line: bool) -> Result<(), TransformError> {
        let path = scratch_of(self.job, file);
        let mut output = self.take_growing(&path)?;
        let lacks_end = self.job.settings.line_ends && !ends_line;
        let end: &[u8] = if lacks_end { b"\n" } else { b"" };
        let written = output.write_all(bytes).and_then(|()| output.write_all(end));
        self.growing = Some(output);
        written.map_err(|source| cannot("write", &path, source))
    }

    fn take_growing(&mut self, path: &Path) -> Result<BufWriter<File>, TransformError> {
        if let Some(output) = self.growing.take() {
            return Ok(output);
        }
        let made = File::create(path).map_err(|source| cannot("create", path, source))?;
        Ok(BufWriter::new(made))
    }

    /// The first failure of a file is its end.
    fn fail(&mut self, file: usize, error: CallError) -> Result<(), TransformError> {
        if self.shared.failed[file].swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.records = 0;
        if self.growing.take().is_some() {
            let path = scratch_of(self.job, file);
            fs::remove_file(&path).map_err(|source| cannot("remove", &path, source))?;
        }
        let file = self.job.files[file].name.clone();
        self.summary.failed.push(PayloadFailure { file, error });
        Ok(())
    }

    fn finish(&mut self, file: usize) -> Result<(), TransformError> {
        if self.shared.failed[file].load(Ordering::Relaxed) {
            return Ok(());
        }
        let path = scratch_of(self.job, file);
        let whole = self.take_growing(&path)?.into_inner().map_err(io::IntoInnerError::into_error);
        let synced = whole.and_then(|whole| whole.sync_all());
        synced.map_err(|source| cannot("write", &path, source))?;
        let name = &self.job.files[file].name;
        let target = output_of(self.job, name);
        let folder = target.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(|source| cannot("create", folder, source))?;
        fs::rename(&path, &target).map_err(|source| cannot("write", &target, source))?;
        (self.on_file)(name, std::mem::take(&mut self.records));
        Ok(())
    }
}

/// Where the output of a file grows.
fn scratch_of(job: &PayloadJob, file: usize) -> PathBuf {
    job.output.join(SCRATCH).join(file.to_string())
}

fn output_of(job: &PayloadJob, name: &str) -> PathBuf {
    job.output.join(format!("{name}.out"))
}

fn cannot(doing: &'static str, path: &Path, source: io::Error) -> TransformError {
    TransformError::Io { doing, path: path.to_owned(), source }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
