//! What people and scripts are told: progress on a terminal, events as JSON, the summary.

mod progress;
mod text;

use std::{
    io::Write,
    sync::{Arc, atomic::AtomicBool},
};

use bessemer_domain::ExitCode;
use bessemer_objects::Input;
use bessemer_transform::{Controls, Stats, Status, Summary, model::Model};
use clap::Args;
use serde_json::{Value, json};

use crate::failure::Failure;
use progress::Progress;

/// How to report.
#[derive(Debug, Clone, Default, Args)]
#[group(id = "report_options")]
pub(crate) struct ReportOptions {
    /// Events and the summary as JSON, one object a line, on stdout
    #[arg(long, help_heading = "Report")]
    pub(crate) json: bool,
    /// No progress and no summary
    #[arg(long, short, help_heading = "Report")]
    pub(crate) quiet: bool,
}

/// The report of a run.
pub(crate) struct Report {
    options: ReportOptions,
    output: String,
    stats: Arc<Stats>,
    stop: Arc<AtomicBool>,
    progress: Progress,
}

impl Report {
    /// Starts reporting a run over `inputs`.
    pub(crate) fn start(options: &ReportOptions, inputs: &[Input], output: &str) -> Self {
        let bytes: u64 = inputs.iter().map(|input| input.size).sum();
        if options.json {
            event(&json!({
                "event": "started", "files": inputs.len(), "bytes": bytes, "output": output,
            }));
        }
        let stats: Arc<Stats> = Arc::default();
        let progress = Progress::start(options, &stats, inputs.len(), bytes);
        Self {
            options: options.clone(),
            output: output.to_owned(),
            stats,
            stop: Arc::default(),
            progress,
        }
    }

    /// What the run is watched and stopped by.
    pub(crate) fn controls(&self) -> Controls {
        let json = self.options.json;
        Controls {
            stats: Arc::clone(&self.stats),
            stop: Arc::clone(&self.stop),
            on_file: Arc::new(move |file, rows, rejected| {
                if json {
                    event(&json!({
                        "event": "file", "file": file, "rows": rows, "rejected": rejected,
                    }));
                }
            }),
        }
    }

    /// Takes the progress away, for an error message.
    pub(crate) fn clear(&self) {
        self.progress.end();
    }

    /// Ends the report.
    pub(crate) fn finish(&self, summary: &Summary, model: &dyn Model) -> Result<(), Failure> {
        self.progress.end();
        let mut figures = summary.to_json();
        figures["event"] = json!("summary");
        figures["peak_memory"] = json!(peak_memory());
        figures["settings"]["copies"] = json!(model.copies().map(|copies| copies.there));
        figures["output"] = json!(self.output);
        figures["rejects"] = json!(format!("{}/_rejects", self.output.trim_end_matches('/')));
        let text = match (self.options.json, self.options.quiet) {
            (true, _) => {
                event(&figures);
                text::notes(summary)
            }
            (false, true) => text::notes(summary),
            (false, false) => text::summary(summary, &figures, &self.output),
        };
        std::io::stderr()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::new(ExitCode::Internal, error))
    }
}

/// The exit code of a run that ended with `status`.
pub(crate) fn exit_code(status: Status) -> ExitCode {
    match status {
        Status::Succeeded => ExitCode::Ok,
        Status::Rejected => ExitCode::Rejected,
        Status::Stopped => ExitCode::Stopped,
    }
}

/// Prints data. A closed pipe is the reader's choice, no failure.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints one event.
pub(crate) fn event(event: &Value) {
    print(&format!("{event}\n"));
}

/// Says why a command failed, on stderr.
pub(crate) fn failure(failure: &Failure) {
    let mut text = format!("error: {}\n", failure.message());
    if let Some(hint) = &failure.hint {
        text += &format!("hint: {hint}\n");
    }
    // Where stderr is closed nobody is there to be told.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The most memory that the process has held, in bytes; none where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
