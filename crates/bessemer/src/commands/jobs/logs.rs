//! `bessemer jobs logs`: what a job wrote, all its workers merged.

use std::{thread, time::Duration};

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
};

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// The job's name
    name: String,
    /// Its kind, where jobs of several kinds have the name
    #[arg(long)]
    kind: Option<String>,
    /// Go on until the job ends
    #[arg(long, short)]
    follow: bool,
    /// Only lines with this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How often a job that is followed is asked for more.
const PAUSE: Duration = Duration::from_millis(500);

impl Logs {
    pub(super) fn run(self, remote: &Remote) -> Result<ExitCode, Failure> {
        let mut positions = json!({});
        loop {
            let input = json!({ "name": self.name, "kind": self.kind, "positions": positions });
            let answer = remote.call("JobLogs", &input)?;
            let lines = answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
            for line in lines {
                self.show(line);
            }
            positions = answer["positions"].clone();
            if !lines.is_empty() {
                continue;
            }
            if !self.follow || answer["ended"] == true {
                return Ok(ExitCode::Ok);
            }
            thread::sleep(PAUSE);
        }
    }

    fn show(&self, line: &Value) {
        let text = line["text"].as_str().unwrap_or_default();
        if self.grep.as_deref().is_some_and(|wanted| !text.contains(wanted)) {
            return;
        }
        if self.json {
            event(line);
        } else {
            print(&format!("{text}\n"));
        }
    }
}
