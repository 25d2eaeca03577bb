//! `bessemer __attempt FOLDER`: the child process of a transform job. It does what the folder's
//! `order.json` says and tells how it ended in `end.json`.

use std::{
    io::Read,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use bessemer_domain::ExitCode;
use bessemer_objects::{Location, Objects};
use bessemer_transform::{Controls, Stats, Summary, rejects_of};
use clap::Args;

use super::transform::{Prepared, Transform};
use crate::{
    failure::Failure,
    report::{self, ReportOptions},
    runners::transform::{End, FileEnd, Order, write_end},
    wiring::signals,
};

/// Run an attempt at a job (the server does this)
#[derive(Debug, Args)]
pub(crate) struct Attempt {
    folder: PathBuf,
}

impl Attempt {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        // The server's word to begin. If it has gone, so does this.
        let mut word = [0];
        let told = std::io::stdin().read(&mut word).unwrap_or_default();
        if told == 0 {
            return Ok(ExitCode::Stopped);
        }
        let internal = |error: std::io::Error| Failure::new(ExitCode::Internal, error);
        let order = Order::read(&self.folder).map_err(internal)?;
        let end = attempt(&self.folder, &order);
        let code = end.code;
        write_end(&self.folder, &end).map_err(internal)?;
        Ok(if code == 0 { ExitCode::Ok } else { ExitCode::JobFailed })
    }
}

fn attempt(folder: &Path, order: &Order) -> End {
    let streams = &order.streams;
    streams.say_of_data(&order.settings);
    let output = folder.join("output");
    match transform(&output, order) {
        Ok((summary, code)) => {
            streams.say(&in_words(&summary));
            End {
                code: code as i32,
                message: None,
                files: files(&output, &summary),
                summary: Some(summary.to_json()),
            }
        }
        Err(failure) => {
            let hint = failure.hint.as_ref().map(|hint| format!("; hint: {hint}"));
            let message = format!("{}{}", failure.message(), hint.unwrap_or_default());
            End { code: failure.code as i32, message: Some(message), ..End::default() }
        }
    }
}

fn transform(output: &Path, order: &Order) -> Result<(Summary, ExitCode), Failure> {
    let mut transform = Transform {
        inputs: vec![order.manifest.to_string_lossy().into_owned()],
        output: output.to_string_lossy().into_owned(),
        model: order.model.clone(),
        engine: order.engine.clone(),
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
            streams.say(&format!("{file}: {rows} records, {rejected} rejected"));
        }),
    };
    signals::stop_on_signal(&controls.stop)?;
    let (summary, _) = prepared.run(&transform, &controls)?;
    let code = report::exit_code(summary.status);
    Ok((summary, code))
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

/// What became of every input, by the ledger and the rejects.
fn files(output: &Path, summary: &Summary) -> Vec<FileEnd> {
    let ledger = std::fs::read_to_string(output.join("_bessemer/ledger.jsonl")).unwrap_or_default();
    let mut files = std::collections::BTreeMap::new();
    for entry in ledger.lines().filter_map(|line| serde_json::from_str::<FileEnd>(line).ok()) {
        files.insert(entry.file.clone(), entry);
    }
    let place = Location::Local(output.to_owned());
    for reject in rejects_of(&place, &Objects::new()).unwrap_or_default() {
        if let Some(file) = files.get_mut(&reject.file)
            && file.reason.is_none()
        {
            file.reason = Some(format!("record {}: {}", reject.row + 1, reject.message));
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
