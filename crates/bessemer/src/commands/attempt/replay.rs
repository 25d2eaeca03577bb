//! The rejected records of an earlier job again, into copies of that job's outputs.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, atomic::AtomicBool},
};

use bessemer_domain::ExitCode;
use bessemer_objects::{Input, InputOptions, Location, Objects};
use bessemer_transform::{
    Controls, Folder, Job, Mode, RejectRecord, Stats, Status, rejects_of, replay as mend,
};
use serde_json::{Value, json};

use super::{reason, say};
use crate::{
    failure::Failure,
    runners::transform::{End, FileEnd, Kept, Order},
    wiring::{self, signals},
};

/// Records that were rejected when the first attempt began.
const BEFORE: &str = "before.json";

/// Has the model score the rejected records of the files in `order`. What an attempt before this one
/// has mended stays so.
pub(super) fn replay(
    left: &Path,
    output: &Path,
    order: &Order,
    kept: &Kept,
) -> Result<End, Failure> {
    let internal = |error: std::io::Error| Failure::new(ExitCode::Internal, error);
    let objects = Objects::new();
    let place = Location::Local(output.to_owned());
    let manifest = order.write_manifest(left).map_err(internal)?;
    let inputs =
        objects.inputs(&[manifest.to_string_lossy().into_owned()], &InputOptions::default())?;
    lay_out(output, kept, &inputs).map_err(internal)?;
    let before = before(left, &place, &objects)?;
    let settings = order.engine.settings()?;
    let loaded = wiring::load_model(&order.model, &order.engine)?;
    let controls = Controls {
        stats: Arc::<Stats>::default(),
        stop: Arc::<AtomicBool>::default(),
        on_file: Arc::new(|_, _, _| {}),
    };
    signals::stop_on_signal(&controls.stop)?;
    let job = Job {
        inputs: inputs.clone(),
        folder: Folder::open(&place, Mode::Resume, &objects)?,
        model: Arc::clone(&loaded.model),
        identity: json!({}),
        request: Value::Null,
        settings,
        picked: None,
    };
    let summary = mend(job, &objects, &controls)?.summary;
    if summary.status == Status::Stopped {
        let (code, message) = (ExitCode::Stopped as i32, Some("it was stopped".to_owned()));
        return Ok(End { code, message, ..End::default() });
    }
    let mut rejects: BTreeMap<String, Vec<RejectRecord>> = BTreeMap::new();
    for reject in rejects_of(&place, &objects)? {
        rejects.entry(reject.file.clone()).or_default().push(reject);
    }
    let left: u64 = rejects.values().map(|rejects| rejects.len() as u64).sum();
    let mended = before.saturating_sub(left);
    say(
        order.streams.as_ref(),
        &format!("{mended} of {before} rejected records are delivered now"),
    );
    let failed: BTreeMap<&str, &str> =
        summary.failed.iter().map(|failed| (failed.file.as_str(), failed.error.as_str())).collect();
    let end_of = |input: &Input| {
        let file = input.relative.clone();
        if let Some(error) = failed.get(file.as_str()) {
            return FileEnd { reason: Some((*error).to_owned()), file, ..FileEnd::default() };
        }
        let still = rejects.get(&file).map(Vec::as_slice).unwrap_or_default();
        FileEnd {
            output: kept.output_of(&file),
            rejected: still.len() as u64,
            reason: still.first().map(reason),
            status: None,
            file,
        }
    };
    Ok(End {
        code: ExitCode::Ok as i32,
        summary: Some(json!({
            "status": summary.status.as_str(),
            "replayed": before,
            "mended": mended,
            "rejected": left,
            "files": { "total": inputs.len(), "failed": summary.to_json()["files"]["failed"] },
        })),
        files: inputs.iter().map(end_of).collect(),
        ..End::default()
    })
}

/// Makes `output` the folder that a run would have left: with the notes of its files.
fn lay_out(output: &Path, kept: &Kept, inputs: &[Input]) -> std::io::Result<()> {
    let notes = output.join("_bessemer");
    fs::create_dir_all(&notes)?;
    fs::write(notes.join("run.json"), json!({ "identity": {}, "request": null }).to_string())?;
    if let Some(columns) = &kept.columns {
        fs::write(notes.join("columns.json"), columns.to_string())?;
    }
    let mut ledger = String::new();
    for input in inputs {
        let Some(mut entry) = kept.entry_of(&input.relative).cloned() else { continue };
        // Whether it is what it was has been looked at when it was put here.
        entry["version"] = input.version.clone().into();
        ledger += &format!("{entry}\n");
    }
    fs::write(notes.join("ledger.jsonl"), ledger)
}

/// How many records were rejected before the first attempt.
fn before(left: &Path, place: &Location, objects: &Objects) -> Result<u64, Failure> {
    let note = left.join(BEFORE);
    let noted = fs::read(&note).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(noted) = noted {
        return Ok(noted);
    }
    let count = rejects_of(place, objects)?.len() as u64;
    fs::write(&note, count.to_string()).map_err(|error| Failure::new(ExitCode::Internal, error))?;
    Ok(count)
}
