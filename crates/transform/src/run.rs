//! A run: from inputs and a model to an output folder and a summary.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use bessemer_objects::{Input, Objects};
use serde_json::{Value, json};

use crate::{
    budget::Budget,
    call::{Bounds, Caller, Pool, Setting, Tuner},
    error::{FileError, TransformError},
    file_work::{FileRequest, FileWork},
    lane::Lane,
    model::Model,
    output::{Answers, Committer, Entry, Folder, Ledger, SpillFactory},
    settings::Settings,
    shared::{FailedFile, Lanes, Shared, recall},
    stats::Stats,
    summary::{Status, Summary},
    text_columns::TextColumns,
};

/// Rows of row groups that one lane takes, at least.
const LANE_ROWS: u64 = 1 << 16;
/// Rows of a first payload, where neither user nor model says.
const START_ROWS: usize = 256;
/// Calls at once, at most, where neither user nor model says.
const MAX_CONCURRENT: usize = 256;

/// What is to be run.
pub struct Job {
    /// The input files.
    pub inputs: Vec<Input>,
    /// The output folder, taken for this run.
    pub folder: Folder,
    /// The model.
    pub model: Arc<dyn Model>,
    /// Everything else.
    pub settings: Settings,
    /// What makes the outputs what they are: a resumed run must have the same.
    pub identity: Value,
    /// What the user asked, for `run.json`.
    pub request: Value,
    /// For a replay: the records of each input that are taken; inputs not named are left out.
    pub picked: Option<BTreeMap<String, Vec<u64>>>,
}

/// How others watch and stop a run.
#[derive(Clone)]
pub struct Controls {
    /// The run's counters.
    pub stats: Arc<Stats>,
    /// Set it to stop the run.
    pub stop: Arc<AtomicBool>,
    /// Told of each file that is in place.
    pub on_file: OnFile,
}

/// Takes a file's name, its records and how many of them were rejected.
pub(crate) type OnFile = Arc<dyn Fn(&str, u64, u64) + Send + Sync>;

/// Runs a job to its end. Files that can't be read and records that are rejected are in the summary;
/// an error means that the run itself could not go on.
pub fn run(job: Job, objects: &Objects, controls: &Controls) -> Result<Summary, TransformError> {
    let started = Instant::now();
    let Job { inputs, folder, model, settings, identity, request, picked } = job;
    check_identity(&folder, &identity)?;
    let ledger = Ledger::new(folder.root(), objects);
    let finished = ledger.read()?;
    let record = json!({
        "bessemer": env!("CARGO_PKG_VERSION"), "identity": identity, "request": request,
    });
    let done = |input: &Input| {
        finished.get(&input.relative).is_some_and(|entry| entry.version == input.version)
    };
    let kept: Vec<&Entry> =
        inputs.iter().filter(|input| done(input)).map(|input| &finished[&input.relative]).collect();
    let todo: VecDeque<Item> = inputs
        .iter()
        .enumerate()
        .filter(|(_, input)| !done(input))
        .filter(|(_, input)| picked.as_ref().is_none_or(|some| some.contains_key(&input.relative)))
        .map(|(index, _)| Item::File(index))
        .collect();
    let mut summary = Summary::new(inputs.len(), &kept);
    if todo.is_empty() && folder.is_done()? {
        return Ok(summary);
    }
    let (shared, entries) = share(folder, model, settings, controls, ledger, &kept, objects)?;
    let work = Work {
        shared: &shared,
        objects,
        inputs: &inputs,
        picked: picked.as_ref(),
        todo,
        record: &record,
    };
    work.all();
    let shared = Arc::into_inner(shared)
        .ok_or_else(|| TransformError::Internal("a lane outlived the run".to_owned()))?;
    let setting = shared.caller.setting();
    let max_payload = shared.payload_limit().payload;
    let failed = shared.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let fatal = shared.fatal.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.committer.finish()?;
    let entries = std::mem::take(&mut *entries.lock().unwrap_or_else(PoisonError::into_inner));
    shared.folder.clear_scratch();
    let stats = &shared.stats;
    summary.conclude(&entries, failed, stats, (setting, max_payload), started.elapsed());
    if let Some(error) = fatal {
        shared.pool.detach();
        return match error {
            TransformError::Stopped => {
                summary.status = Status::Stopped;
                Ok(summary)
            }
            error => Err(error),
        };
    }
    // An output with files missing is not whole: `--resume` tries them again.
    if summary.failed.is_empty() {
        shared.folder.succeed(&summary.to_json())?;
    }
    Ok(summary)
}

fn check_identity(folder: &Folder, identity: &Value) -> Result<(), TransformError> {
    let Some(run) = folder.run()? else { return Ok(()) };
    let (Some(old), Some(new)) = (run["identity"].as_object(), identity.as_object()) else {
        return Ok(());
    };
    let differing: Vec<&str> = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(value))
        .map(|(key, _)| key.as_str())
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(TransformError::output(format!(
        "the run in the output was asked something else (differing: {})",
        differing.join(", ")
    ))
    .with_hint("start anew with `--overwrite`, or choose another output"))
}

type Entries = Arc<Mutex<Vec<Entry>>>;

fn share(
    folder: Folder,
    model: Arc<dyn Model>,
    settings: Settings,
    controls: &Controls,
    ledger: Ledger,
    kept: &[&Entry],
    objects: &Objects,
) -> Result<(Arc<Shared>, Entries), TransformError> {
    let limits = model.limits();
    let wants = model.wants();
    let given = settings.output_schema.clone();
    let known = match (folder.columns()?, &given) {
        (Some(columns), _) => recall(&columns),
        (None, Some(schema)) => Some(Arc::clone(schema)),
        (None, None) if settings.output_filter.is_some() => None,
        (None, None) => {
            model.outputs().map(|fields| Arc::new(arrow::datatypes::Schema::new(fields)))
        }
    };
    let tuner = tuner(&settings, &limits);
    let caller = Arc::new(Caller::new(
        model,
        tuner,
        settings.retries,
        settings.unreachable_after,
        Arc::clone(&controls.stop),
        Arc::clone(&controls.stats),
    ));
    let asked = Arc::clone(&caller);
    let entries: Entries = Arc::default();
    let (noted, on_file) = (Arc::clone(&entries), Arc::clone(&controls.on_file));
    let committer = Committer::start(ledger, objects, &controls.stats, move |entry: &Entry| {
        on_file(&entry.file, entry.rows, entry.rejected);
        noted.lock().unwrap_or_else(PoisonError::into_inner).push(entry.clone());
    });
    let names =
        kept.iter().filter_map(|entry| Some((entry.output.clone()?, entry.file.clone()))).collect();
    let shared = Shared {
        budget: Budget::new(settings.in_flight()),
        spill: Arc::new(SpillFactory::new(folder.scratch().to_owned(), settings.memory / 8)),
        answers: Arc::new(Answers::new(known, given.is_some())),
        pool: Pool::new(move || asked.setting().concurrent),
        caller,
        wants,
        limits,
        folder,
        committer,
        stats: Arc::clone(&controls.stats),
        stop: Arc::clone(&controls.stop),
        text: TextColumns::default(),
        names: Mutex::new(names),
        lanes: Lanes::default(),
        recorded: OnceLock::new(),
        failed: Mutex::default(),
        fatal: Mutex::default(),
        settings,
    };
    Ok((Arc::new(shared), entries))
}

fn tuner(settings: &Settings, limits: &crate::model::Limits) -> Tuner {
    let least = |user: Option<usize>, model: Option<usize>, otherwise: usize| match (user, model) {
        (Some(user), Some(model)) => user.min(model),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => otherwise,
    };
    let bounds = Bounds {
        max_rows: least(settings.batch_rows, limits.max_rows, 1 << 16),
        max_concurrent: least(settings.max_concurrent, limits.max_concurrent, MAX_CONCURRENT),
    };
    let start = Setting {
        rows: settings.batch_rows.or(limits.start_rows).unwrap_or(START_ROWS),
        concurrent: limits.start_concurrent.unwrap_or(2),
    };
    Tuner::new(start, bounds)
}

/// What a lane can take next.
enum Item {
    File(usize),
    Part(Arc<FileWork>, Option<Range<usize>>),
}

struct Work<'a> {
    shared: &'a Arc<Shared>,
    objects: &'a Objects,
    inputs: &'a [Input],
    picked: Option<&'a BTreeMap<String, Vec<u64>>>,
    todo: VecDeque<Item>,
    /// What `run.json` says of the run.
    record: &'a Value,
}

impl Work<'_> {
    /// Takes every item through, on as many threads as the settings say. The first file is opened
    /// before that: what does not fit the model stops the run before any work, and leaves an output
    /// that holds no run.
    fn all(mut self) {
        let mut items = std::mem::take(&mut self.todo);
        while let Some(Item::File(index)) = items.front() {
            match self.open(*index) {
                Ok(file) => {
                    items.pop_front();
                    put_parts(&file, &mut items);
                    break;
                }
                Err(error @ FileError::Run(_)) => return self.failed("", None, error),
                Err(error) => self.failed(&self.inputs[*index].relative, None, error),
            }
            items.pop_front();
        }
        if let Err(error) = self.write_record() {
            return self.shared.fail(error);
        }
        let todo = Mutex::new(items);
        let threads = self.shared.settings.threads.max(1);
        for _ in 0..threads {
            self.shared.lanes.enter();
        }
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let run = std::panic::AssertUnwindSafe(|| self.lanes(&todo));
                    if std::panic::catch_unwind(run).is_err() {
                        self.shared.fail(TransformError::Internal("a lane panicked".to_owned()));
                    }
                    self.shared.lanes.leave();
                });
            }
        });
    }

    fn write_record(&self) -> Result<(), TransformError> {
        let folder = &self.shared.folder;
        if folder.run()?.is_none() { folder.write_run(self.record) } else { Ok(()) }
    }

    fn lanes(&self, todo: &Mutex<VecDeque<Item>>) {
        let lock = || todo.lock().unwrap_or_else(PoisonError::into_inner);
        let next = || lock().pop_front();
        while let Some(item) = next() {
            if self.shared.stop.load(Ordering::Relaxed) {
                self.shared.fail(TransformError::Stopped);
                return;
            }
            let (file, part) = match item {
                Item::Part(file, part) => (file, part),
                Item::File(index) => {
                    match self.open(index) {
                        Ok(file) => put_parts(&file, &mut lock()),
                        Err(error) => self.failed(&self.inputs[index].relative, None, unfit(error)),
                    }
                    continue;
                }
            };
            let result = Lane::new(self.shared, &file, part.as_ref())
                .map_err(FileError::from)
                .and_then(|lane| lane.run(part))
                .and_then(|()| file.end_lane(self.shared, self.shared.folder.root()));
            if let Err(error) = result {
                self.failed(file.name(), Some(&file), error);
            }
        }
    }

    fn open(&self, index: usize) -> Result<Arc<FileWork>, FileError> {
        let input = &self.inputs[index];
        let picked = self.picked.and_then(|picked| picked.get(&input.relative).cloned());
        let request = FileRequest { input, index, picked };
        FileWork::open(request, self.objects, self.shared).map(Arc::new)
    }

    fn failed(&self, name: &str, file: Option<&FileWork>, error: FileError) {
        match error {
            FileError::Abandoned => {}
            FileError::Run(error) => self.shared.fail(error),
            FileError::Unreadable(message) => {
                if file.is_none_or(FileWork::abandon) {
                    self.shared.file_failed(name, message);
                }
            }
        }
    }
}

fn put_parts(file: &Arc<FileWork>, items: &mut VecDeque<Item>) {
    for part in file.parts(LANE_ROWS).into_iter().rev() {
        items.push_front(Item::Part(Arc::clone(file), part));
    }
}

/// A later file that does not fit the model fails alone.
fn unfit(error: FileError) -> FileError {
    match error {
        FileError::Run(error @ TransformError::Configuration { .. }) => {
            FileError::Unreadable(error.to_string())
        }
        error => error,
    }
}

/// Files that failed, as the summary lists them.
pub(crate) fn list_failed(failed: &[FailedFile]) -> Value {
    failed.iter().map(|file| json!({ "file": file.file, "error": file.error })).collect()
}
