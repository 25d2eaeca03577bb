//! `bessemer logs`: what a job wrote, all its workers merged by time.

mod level;
mod select;
mod show;
mod since;

use std::{collections::HashMap, path::PathBuf, thread, time::Duration};

use bessemer_domain::{Clock, ExitCode, SystemClock};
use clap::Args;
use regex::Regex;
use serde_json::json;

use crate::{failure::Failure, remote::Remote, wiring::data::DataOptions};
use level::Level;
use select::{Line, Selection};
use show::Show;

/// Show what a job wrote, all its workers merged by time
#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    options: LogsOptions,
    #[command(flatten)]
    data: DataOptions,
}

/// What to show of a job's log.
#[derive(Debug, Args)]
pub(super) struct LogsOptions {
    /// The job's name
    name: String,
    /// Its kind, where jobs of several kinds have the name
    #[arg(long)]
    kind: Option<String>,
    /// Go on until the job ends
    #[arg(long, short)]
    follow: bool,
    /// Only lines that this regular expression is found in
    #[arg(long, value_name = "RE")]
    grep: Option<Regex>,
    /// With so many lines before and after each
    #[arg(long, short = 'C', value_name = "N", default_value_t = 0, requires = "grep")]
    context: usize,
    /// Only lines since then: `10m`, `2h`, `3d`, or a time such as `2026-11-21T17:00` (UTC)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only lines of this level and above, with the lines that belong to them
    #[arg(long)]
    level: Option<Level>,
    /// Each line with its time
    #[arg(long)]
    times: bool,
    /// Write to this file, not to stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How often a job that is followed is asked for more.
const PAUSE: Duration = Duration::from_millis(500);

impl Logs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        self.options.run(&Remote::open(&self.data)?)
    }
}

impl LogsOptions {
    pub(super) fn run(&self, remote: &Remote) -> Result<ExitCode, Failure> {
        let since = self.since.as_deref().map(|text| since::parse(text, SystemClock.now_millis()));
        let since = since.transpose().map_err(Failure::usage)?;
        let mut show = Show::open(self)?;
        let mut selection = Selection::new(self.grep.clone(), self.context);
        let mut levels: HashMap<String, Level> = HashMap::new();
        let mut positions = json!({});
        loop {
            let input = json!({
                "name": self.name, "kind": self.kind, "positions": positions, "since": since,
            });
            let mut answer = remote.call("JobLogs", &input)?;
            positions = answer["positions"].take();
            show.expect(positions.as_object().map_or(0, serde_json::Map::len));
            let lines = answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
            for line in lines {
                let Some(line) = Line::of(line, &self.name) else { continue };
                if self.is_of_level(&line, &mut levels) {
                    for shown in selection.take(line) {
                        show.line(&shown)?;
                    }
                }
            }
            show.flush()?;
            if answer["more"] == true {
                continue;
            }
            if !self.follow || answer["ended"] == true || show.is_closed() {
                return Ok(ExitCode::Ok);
            }
            thread::sleep(PAUSE);
        }
    }

    /// Whether a line is of the level asked for. One that says none is of its worker's last.
    fn is_of_level(&self, line: &Line, levels: &mut HashMap<String, Level>) -> bool {
        let Some(wanted) = self.level else { return true };
        let last = levels.entry(line.worker.clone()).or_insert(Level::Info);
        *last = level::of(&line.text).unwrap_or(*last);
        *last >= wanted
    }
}
