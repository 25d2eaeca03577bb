//! `bessemer doctor`: whether this machine has what the server needs, and how to mend it.

mod machine;
mod programs;
mod sandbox;

use std::net::SocketAddr;

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::json;

use crate::{
    report::{event, print},
    wiring::data::DataOptions,
};

/// Check this machine: sandbox, Python, uv, Docker, disk, limits, port, data directory
#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    data: DataOptions,
    /// The address that the server is to listen at
    #[arg(long, value_name = "ADDRESS", env = "BESSEMER_LISTEN", default_value = "127.0.0.1:1856")]
    listen: SocketAddr,
    /// One JSON object a check
    #[arg(long)]
    json: bool,
}

/// What a check found.
#[derive(Debug)]
struct Finding {
    name: String,
    state: State,
    detail: String,
    /// What to do about it.
    mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// As it should be.
    Good,
    /// The server runs without it; something is missing or slow.
    Poor,
    /// The server, or jobs, can't run.
    Bad,
}

impl Finding {
    fn good(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), state: State::Good, detail: detail.into(), mend: None }
    }

    fn poor(name: impl Into<String>, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let mend = Some(mend.into());
        Self { name: name.into(), state: State::Poor, detail: detail.into(), mend }
    }

    fn bad(name: impl Into<String>, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { state: State::Bad, ..Self::poor(name, detail, mend) }
    }
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Poor => "warning",
            Self::Bad => "error",
        }
    }
}

impl Doctor {
    pub(super) fn run(&self) -> ExitCode {
        let directory = self.data.directory();
        let mut findings = machine::data_directory(&directory);
        findings.extend(machine::disk(&directory));
        findings.extend(machine::limits());
        findings.push(machine::port(self.listen));
        findings.extend(sandbox::layers(&directory));
        let settings = self.data.settings().map(|(config, _)| config.docker);
        findings.extend(programs::all(&settings.unwrap_or_default().host));
        for finding in &findings {
            if self.json {
                event(&json!({
                    "check": finding.name, "state": finding.state.word(), "detail": finding.detail,
                    "mend": finding.mend,
                }));
            } else {
                print(&text(finding));
            }
        }
        let is_bad = findings.iter().any(|finding| finding.state == State::Bad);
        if is_bad { ExitCode::Configuration } else { ExitCode::Ok }
    }
}

fn text(finding: &Finding) -> String {
    let mend = finding.mend.as_ref().map_or_else(String::new, |mend| format!("\n          {mend}"));
    format!("{:<9} {}: {}{mend}\n", finding.state.word(), finding.name, finding.detail)
}
