//! `bessemer __attempt FOLDER`: the child process of a transform job. It does what the folder's
//! `order.json` says and tells how it ended in `end.json`.

mod replay;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use bessemer_domain::{ExitCode, RejectClass};
use bessemer_objects::{Location, Objects};
use bessemer_transform::{
    Controls, RejectRecord, Stats, Summary, TransformError,
    model::{CallError, CallErrorKind},
    payload::{
        DEFAULT_PAYLOAD, PayloadFailure, PayloadFile, PayloadJob, PayloadSettings, run_payloads,
    },
    rejects_of,
};
use clap::Args;

use super::transform::{Prepared, Transform};
use crate::{
    failure::Failure,
    options::{BatchStrategy, EngineOptions},
    report::{self, ReportOptions},
    runners::transform::{End, FileEnd, LEFT, Order, Streams, write_end},
    wiring::{self, signals},
};

/// Run an attempt at a job (the server does this)
#[derive(Debug, Args)]
pub(crate) struct Attempt {
    folder: PathBuf,
}

impl Attempt {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let internal = |error: std::io::Error| Failure::new(ExitCode::Internal, error);
        let order = Order::read(&self.folder).map_err(internal)?;
        // The server's word to begin. If it has gone, so does this. A sandbox's launcher has it.
        let mut word = [0];
        let is_sandboxed = order.streams.is_none();
        if !is_sandboxed && std::io::stdin().read(&mut word).unwrap_or_default() == 0 {
            return Ok(ExitCode::Stopped);
        }
        let left = self.folder.join(LEFT);
        // How it ended is told there: a process that told it did what it had to.
        write_end(&left, &attempt(&left, &order)).map_err(internal)?;
        Ok(ExitCode::Ok)
    }
}

fn attempt(folder: &Path, order: &Order) -> End {
    let output = folder.join("output");
    let done = match (&order.payloads, &order.replay) {
        (_, Some(kept)) => replay::replay(folder, &output, order, kept),
        (Some(settings), None) => payloads(&output, order, settings),
        (None, None) => records(folder, &output, order, &order.engine),
    };
    done.unwrap_or_else(|failure| {
        let hint = failure.hint.as_ref().map(|hint| format!("; hint: {hint}"));
        let message = format!("{}{}", failure.message(), hint.unwrap_or_default());
        End { code: failure.code as i32, message: Some(message), ..End::default() }
    })
}

/// Says something in the log of the model's host, which is what a sandboxed process prints.
fn say(streams: Option<&Streams>, text: &str) {
    match streams {
        Some(streams) => streams.say(text),
        None => {
            let _ = std::io::stderr().write_all(format!("{text}\n").as_bytes());
        }
    }
}

/// Has the model score records.
fn records(
    folder: &Path,
    output: &Path,
    order: &Order,
    engine: &EngineOptions,
) -> Result<End, Failure> {
    let internal = |error: std::io::Error| Failure::new(ExitCode::Internal, error);
    let manifest = order.write_manifest(folder).map_err(internal)?;
    let mut transform = Transform {
        inputs: vec![manifest.to_string_lossy().into_owned()],
        output: output.to_string_lossy().into_owned(),
        model: order.model.clone(),
        engine: engine.clone(),
        resume: output.join("_bessemer/run.json").exists(),
        overwrite: false,
        report: ReportOptions::default(),
    };
    let prepared: Prepared = transform.prepare()?;
    let streams = order.streams.clone();
    let controls = Controls {
        stats: Arc::<Stats>::default(),
        stop: Arc::<AtomicBool>::default(),
        on_file: Arc::new(move |file, rows, rejected| {
            say(streams.as_ref(), &format!("{file}: {rows} records, {rejected} rejected"));
        }),
    };
    signals::stop_on_signal(&controls.stop)?;
    let (summary, _) = prepared.run(&transform, &controls)?;
    say(order.streams.as_ref(), &in_words(&summary));
    Ok(End {
        code: report::exit_code(summary.status) as i32,
        message: None,
        files: files(output, &summary),
        summary: Some(summary.to_json()),
        settings: Some(in_sagemakers_words(
            engine.max_concurrent.unwrap_or(1),
            engine.max_payload()?.unwrap_or(DEFAULT_PAYLOAD),
            order.model.batch_strategy == Some(BatchStrategy::Single),
        )),
    })
}

/// Has the model answer whole payloads.
fn payloads(output: &Path, order: &Order, settings: &PayloadSettings) -> Result<End, Failure> {
    let Some(model) = wiring::load_payload_model(&order.model, &order.engine)? else {
        return Err(Failure::configuration(anyhow::anyhow!(
            "the script has none of `model_fn`, `input_fn`, `predict_fn`, `output_fn` and \
             `transform_fn`"
        ))
        .with_hint(
            "a script with `predict(batch)` reads records: set one of the BESSEMER_ settings",
        ));
    };
    let file = |name: &String| PayloadFile { name: name.clone(), path: order.inputs.join(name) };
    let job = PayloadJob {
        files: order.names.iter().map(file).collect(),
        output: output.to_owned(),
        settings: settings.clone(),
        model,
    };
    let stop = Arc::<AtomicBool>::default();
    signals::stop_on_signal(&stop)?;
    let said = |file: &str, records: u64| {
        say(order.streams.as_ref(), &format!("{file}: {records} records"));
    };
    let summary = match run_payloads(&job, &stop, &said) {
        Err(TransformError::Stopped) => {
            let code = ExitCode::Stopped as i32;
            return Ok(End { code, message: Some("it was stopped".to_owned()), ..End::default() });
        }
        done => done?,
    };
    let failed = summary.failed.len();
    Ok(End {
        code: (if failed == 0 { ExitCode::Ok } else { ExitCode::Rejected }) as i32,
        message: None,
        summary: Some(serde_json::json!({
            "status": if failed == 0 { "succeeded" } else { "rejected" },
            "rows": summary.records,
            "files": { "total": job.files.len(), "failed": failed },
            "calls": { "answered": summary.payloads, "retries": summary.retries },
            "settings": {
                "max_concurrent": summary.max_concurrent,
                "max_payload": summary.max_payload,
            },
        })),
        settings: Some(in_sagemakers_words(
            summary.max_concurrent,
            summary.max_payload,
            summary.single,
        )),
        files: payload_files(&job.files, summary.failed),
    })
}

/// The settings as SageMaker's data log has them.
fn in_sagemakers_words(concurrent: usize, payload: u64, single: bool) -> String {
    let strategy = if single { "SINGLE_RECORD" } else { "MULTI_RECORD" };
    let megabytes = payload >> 20;
    format!(
        "MaxConcurrentTransforms={concurrent}, MaxPayloadInMB={megabytes}, BatchStrategy={strategy}"
    )
}

/// What became of every input that was sent in payloads.
fn payload_files(inputs: &[PayloadFile], failed: Vec<PayloadFailure>) -> Vec<FileEnd> {
    let mut failed: BTreeMap<String, CallError> =
        failed.into_iter().map(|failure| (failure.file, failure.error)).collect();
    let end = |input: &PayloadFile| match failed.remove(&input.name) {
        None => FileEnd {
            file: input.name.clone(),
            output: Some(format!("{}.out", input.name)),
            ..FileEnd::default()
        },
        Some(error) => FileEnd {
            file: input.name.clone(),
            status: Some(status(&error)),
            reason: Some(error.message),
            ..FileEnd::default()
        },
    };
    inputs.iter().map(end).collect()
}

/// A failed call as SageMaker's data log has it.
fn status(error: &CallError) -> String {
    match (error.class, error.kind) {
        (RejectClass::TooLarge, _) | (_, CallErrorKind::TooLarge) => "ClientError: 413",
        (RejectClass::Parse, _) => "ClientError: Unable to read the data",
        (RejectClass::Timeout | RejectClass::WorkerDied, _) => {
            "Unable to get response from algorithm"
        }
        // What a server says of a request, and not of itself.
        (_, CallErrorKind::Records) if error.message.starts_with('4') => "ClientError: 400",
        _ => "Bad HTTP status received from algorithm: 500",
    }
    .to_owned()
}

fn in_words(summary: &Summary) -> String {
    format!(
        "{}: {} records, {} rejected, {} files, {} of them failed",
        summary.status.as_str(),
        summary.rows,
        summary.rejected,
        summary.files,
        summary.failed.len()
    )
}

/// Why a record was rejected, whose number is that of `_rejects`.
fn reason(reject: &RejectRecord) -> String {
    format!("row {} (from 0): {}", reject.row, reject.message)
}

/// What became of every input, by the ledger and the rejects.
fn files(output: &Path, summary: &Summary) -> Vec<FileEnd> {
    let ledger = std::fs::read_to_string(output.join("_bessemer/ledger.jsonl")).unwrap_or_default();
    let mut files = BTreeMap::new();
    for entry in ledger.lines().filter_map(|line| serde_json::from_str::<FileEnd>(line).ok()) {
        files.insert(entry.file.clone(), entry);
    }
    let place = Location::Local(output.to_owned());
    for reject in rejects_of(&place, &Objects::new()).unwrap_or_default() {
        if let Some(file) = files.get_mut(&reject.file)
            && file.reason.is_none()
        {
            file.reason = Some(reason(&reject));
        }
    }
    let failed = summary.to_json();
    for unreadable in failed["files"]["failed"].as_array().into_iter().flatten() {
        let name = unreadable["file"].as_str().unwrap_or_default().to_owned();
        let reason = unreadable["error"].as_str().map(str::to_owned);
        files.insert(name.clone(), FileEnd { file: name, reason, ..FileEnd::default() });
    }
    files.into_values().collect()
}
