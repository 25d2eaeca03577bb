//! Handlers in real interpreters: a bare one, and the one that `BESSEMER_TEST_PYTHON` names, which
//! has pyarrow, pandas and numpy.

mod failures;
mod predict;
mod sagemaker;
mod throughput;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, StringArray},
    json::LineDelimitedWriter,
    record_batch::RecordBatch,
};
use bessemer_transform::{
    model::{Answer, CallError, Model, Wants},
    records::Records,
};
use tempfile::TempDir;

use super::{HandlerLog, HandlerOptions, PythonError, PythonModel};

/// A handler's script in a folder of its own.
struct Script {
    folder: TempDir,
    options: HandlerOptions,
}

impl Script {
    /// For the interpreter with packages.
    fn new(text: &str) -> Self {
        let python = std::env::var_os("BESSEMER_TEST_PYTHON")
            .expect("BESSEMER_TEST_PYTHON names a Python with pyarrow and pandas");
        Self::with_python(text, python.into())
    }

    /// For an interpreter without any package.
    fn bare(text: &str) -> Self {
        static BARE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
        let (_, python) = BARE.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let mut venv = Command::new("python3");
            venv.args(["-m", "venv", "--without-pip"]).arg(folder.path());
            assert!(venv.status().unwrap().success());
            let python = folder.path().join("bin/python");
            (folder, python)
        });
        Self::with_python(text, python.clone())
    }

    fn with_python(text: &str, python: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("handler.py");
        fs::write(&script, text).unwrap();
        let mut options = HandlerOptions::new(script, folder.path().join("cache"));
        options.python = Some(python);
        options.copies = Some(1);
        options.timeout = Duration::from_secs(30);
        options.log = HandlerLog::Nowhere;
        Self { folder, options }
    }

    fn with(mut self, change: impl FnOnce(&mut HandlerOptions)) -> Self {
        change(&mut self.options);
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) -> PythonModel {
        PythonModel::open(&self.options)
            .unwrap_or_else(|error| panic!("{error}\n{}", error.detail().unwrap_or_default()))
    }

    fn refusal(&self) -> PythonError {
        PythonModel::open(&self.options).expect_err("the handler is refused")
    }
}

/// Three records: id 0 to 2, x 0.5, 1.5, 2.5, name a, b, c.
fn sample() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![0, 1, 2]));
    let x: ArrayRef = Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5]));
    let name: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
    RecordBatch::try_from_iter([("id", id), ("x", x), ("name", name)]).unwrap()
}

/// The sample in the form that `model` wants.
fn sample_for(model: &PythonModel) -> Records {
    match model.wants() {
        Wants::Columns => Records::Columns(sample()),
        Wants::Text(bessemer_transform::model::TextFormat::Csv) => {
            Records::Lines(["0,0.5", "1,1.5", "2,2.5"].into_iter().collect())
        }
        Wants::Text(_) => Records::Lines(json_texts(&sample()).into_iter().collect()),
        Wants::Features(_) => panic!("no handler asks for features"),
    }
}

fn score(model: &PythonModel) -> Result<Answer, CallError> {
    model.call(&sample_for(model))
}

/// The answer as one JSON text a record.
fn texts(answer: &Answer) -> Vec<String> {
    match answer {
        Answer::Columns(batch) => json_texts(batch),
        Answer::Json(lines) => {
            lines.iter().map(|line| String::from_utf8(line.to_vec()).unwrap()).collect()
        }
    }
}

fn json_texts(batch: &RecordBatch) -> Vec<String> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let text = String::from_utf8(writer.into_inner()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Whether a process of this number is there and not just a dead entry.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
