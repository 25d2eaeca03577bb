//! Runs over files on disk, with a model that answers in the calling thread.

use std::collections::BTreeMap;

use bessemer_domain::RejectClass;

use super::*;
use crate::{
    model::CallErrorKind,
    payload::{PayloadLimits, Split},
};

/// Answers each line of a payload in upper case, and fails for what holds `bad`.
struct Upper {
    limits: PayloadLimits,
    calls: AtomicU64,
    /// Calls that fail before the first one that doesn't.
    passing: u64,
}

impl Upper {
    fn new(limits: PayloadLimits, passing: u64) -> Arc<Self> {
        Arc::new(Self { limits, calls: AtomicU64::new(0), passing })
    }
}

impl PayloadModel for Upper {
    fn limits(&self) -> PayloadLimits {
        self.limits
    }

    fn invoke(&self, payload: &Bytes) -> Result<Bytes, CallError> {
        let failed = |kind| {
            Err(CallError { kind, class: RejectClass::Model, message: "it is bad".to_owned() })
        };
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.passing {
            return failed(CallErrorKind::Transient);
        }
        let text = std::str::from_utf8(payload).unwrap();
        if text.contains("bad") {
            return failed(CallErrorKind::Records);
        }
        Ok(text.to_uppercase().into())
    }
}

struct Case {
    folder: tempfile::TempDir,
    job: PayloadJob,
}

fn case(files: &[(&str, &[u8])], settings: PayloadSettings) -> Case {
    let folder = tempfile::tempdir().unwrap();
    let files = files.iter().map(|(name, bytes)| {
        let path = folder.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        PayloadFile { name: (*name).to_owned(), path }
    });
    let (files, output) = (files.collect(), folder.path().join("out"));
    let model = Upper::new(PayloadLimits::default(), 0);
    Case { job: PayloadJob { files, output, settings, model }, folder }
}

impl Case {
    fn run(&self) -> PayloadSummary {
        run_payloads(&self.job, &AtomicBool::new(false), &|_, _| {}).unwrap()
    }

    fn outputs(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.job.output.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&self.job.output).unwrap().display().to_string();
                    found.insert(name, fs::read_to_string(&path).unwrap());
                }
            }
        }
        found
    }
}

fn lines() -> PayloadSettings {
    PayloadSettings { split: Split::Line, max_payload: Some(8), ..PayloadSettings::default() }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn answers_stand_in_the_order_of_their_records() {
    let text = (0..500).map(|n| format!("row{n}\n")).collect::<Vec<_>>().concat();
    let settings = PayloadSettings { max_concurrent: Some(7), ..lines() };
    let case = case(&[("a/b.csv", text.as_bytes()), ("c", b"x"), ("empty", b"")], settings);
    let summary = case.run();
    assert_eq!((summary.records, summary.failed.len()), (501, 0));
    let expected = map(&[("a/b.csv.out", &text.to_uppercase()), ("c.out", "X"), ("empty.out", "")]);
    assert_eq!(case.outputs(), expected);
}

#[test]
fn single_records_are_joined_by_line_ends_only_if_asked() {
    let settings = PayloadSettings { single: Some(true), ..lines() };
    let plain = case(&[("a", b"x\ny\n")], settings.clone());
    assert_eq!(plain.run().payloads, 2);
    assert_eq!(plain.outputs(), map(&[("a.out", "XY")]));
    let lined = case(&[("a", b"x\ny\n")], PayloadSettings { line_ends: true, ..settings });
    lined.run();
    assert_eq!(lined.outputs(), map(&[("a.out", "X\nY\n")]));
}

#[test]
fn a_bad_record_costs_its_file_and_no_other() {
    let files: [(&str, &[u8]); 3] =
        [("1", b"good\nfine\n"), ("2", b"good\nbad\nfine\n"), ("3", b"ok\n")];
    let case = case(&files, PayloadSettings { max_concurrent: Some(3), ..lines() });
    let summary = case.run();
    let failed: Vec<&str> = summary.failed.iter().map(|failed| failed.file.as_str()).collect();
    assert_eq!(failed, ["2"]);
    assert_eq!(case.outputs(), map(&[("1.out", "GOOD\nFINE\n"), ("3.out", "OK\n")]));
}

#[test]
fn a_record_that_no_payload_holds_is_too_large() {
    let case = case(&[("1", b"far too long\n"), ("2", b"ok")], lines());
    let summary = case.run();
    assert_eq!(summary.failed[0].error.kind, CallErrorKind::TooLarge);
    assert_eq!(case.outputs(), map(&[("2.out", "OK")]));
}

#[test]
fn what_may_pass_is_tried_again_as_often_as_is_said() {
    for (retries, works) in [(2, true), (1, false)] {
        let mut case = case(&[("a", b"x")], PayloadSettings { retries, ..lines() });
        case.job.model = Upper::new(PayloadLimits::default(), 2);
        let summary = case.run();
        assert_eq!(summary.failed.is_empty(), works);
        assert_eq!(summary.retries, u64::from(retries));
    }
}

#[test]
fn finished_files_are_not_called_again() {
    let case = case(&[("a", b"x"), ("b", b"y")], lines());
    fs::create_dir_all(&case.job.output).unwrap();
    fs::write(case.job.output.join("a.out"), "earlier").unwrap();
    assert_eq!(case.run().payloads, 1);
    assert_eq!(case.outputs(), map(&[("a.out", "earlier"), ("b.out", "Y")]));
}

#[test]
fn a_stopped_run_ends_and_leaves_no_half_output() {
    let case = case(&[("a", b"x\n")], lines());
    let stopped = run_payloads(&case.job, &AtomicBool::new(true), &|_, _| {});
    assert!(matches!(stopped, Err(TransformError::Stopped)));
    assert!(!case.folder.path().join("out/a.out").exists());
}

#[test]
fn the_user_goes_before_the_model_and_the_model_before_the_defaults() {
    let asks =
        PayloadLimits { max_concurrent: Some(3), max_payload: Some(100), single: Some(true) };
    let mut case = case(&[], PayloadSettings::default());
    let defaults = case.run();
    assert_eq!(
        (defaults.max_concurrent, defaults.max_payload, defaults.single),
        (1, 6 << 20, false)
    );
    case.job.model = Upper::new(asks, 0);
    let asked = case.run();
    assert_eq!((asked.max_concurrent, asked.max_payload, asked.single), (3, 100, true));
    case.job.settings = PayloadSettings { single: Some(false), max_payload: Some(0), ..lines() };
    let said = case.run();
    assert_eq!((said.max_concurrent, said.max_payload, said.single), (3, 0, false));
}

#[test]
fn gzip_is_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"a\nb\n").unwrap();
    let packed = packed.finish().unwrap();
    let settings = PayloadSettings { compression: Some(Compression::Gzip), ..lines() };
    let gzip = case(&[("a.gz", &packed), ("cut.gz", &packed[..12])], settings);
    let summary = gzip.run();
    assert_eq!(summary.failed[0].file, "cut.gz");
    assert_eq!(gzip.outputs(), map(&[("a.gz.out", "A\nB\n")]));
}
