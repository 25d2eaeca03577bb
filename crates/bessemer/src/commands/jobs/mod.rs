//! `bessemer jobs`: the jobs of a running server.

mod document;
mod stats;
mod submit;
mod text;

use bessemer_domain::ExitCode;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
    wiring::data::DataOptions,
};

/// Submit, show, stop and retry the jobs of the server
#[derive(Debug, Args)]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: JobsCommand,
    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// Submit a job from a YAML or JSON file, or from options
    Submit(submit::Submit),
    /// List jobs, the latest first
    Ls {
        /// Of this kind: transform, training or processing
        #[arg(long)]
        kind: Option<String>,
        /// In this phase: `in_progress`, completed, failed, stopping or stopped
        #[arg(long)]
        phase: Option<String>,
        /// With this in the name
        #[arg(long)]
        name: Option<String>,
        /// How many
        #[arg(long, default_value_t = 50)]
        limit: u32,
        /// One JSON object a job
        #[arg(long)]
        json: bool,
    },
    /// Show a job, its attempts and its history
    Show(Which),
    /// Say why a job is where it is
    Why(Which),
    /// Show what a job wrote: `bessemer logs`
    Logs(super::logs::LogsOptions),
    /// Wait for a job's end; the exit code is 10 if it failed, 12 if it was stopped
    Wait(Which),
    /// Stop a job
    Stop(Which),
    /// Try a failed or stopped job again, or one that waits at once
    Retry(Which),
    /// Show figures of the jobs that ended
    Stats(stats::Stats),
}

/// Names a job.
#[derive(Debug, Args)]
struct Which {
    /// The job's name
    name: String,
    /// Its kind, where jobs of several kinds have the name
    #[arg(long)]
    kind: Option<String>,
    /// The answer as a JSON object
    #[arg(long)]
    json: bool,
}

impl Which {
    fn input(&self) -> Value {
        json!({ "name": self.name, "kind": self.kind })
    }

    /// Calls `operation` and shows its answer.
    fn show(
        &self,
        remote: &Remote,
        operation: &str,
        text: impl FnOnce(&Value) -> String,
    ) -> Result<ExitCode, Failure> {
        let answer = remote.call(operation, &self.input())?;
        if self.json {
            event(&answer);
        } else {
            print(&text(&answer));
        }
        Ok(ExitCode::Ok)
    }
}

impl Jobs {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let remote = Remote::open(&self.data)?;
        match self.command {
            JobsCommand::Submit(submit) => submit.run(&remote),
            JobsCommand::Ls { kind, phase, name, limit, json } => {
                let input = json!({
                    "kind": kind, "phase": phase, "name_contains": name, "limit": limit,
                });
                let answer = remote.call("ListJobs", &input)?;
                for job in answer["jobs"].as_array().into_iter().flatten() {
                    if json {
                        event(job);
                    } else {
                        print(&text::line(job));
                    }
                }
                Ok(ExitCode::Ok)
            }
            JobsCommand::Show(which) => which.show(&remote, "DescribeJob", text::whole),
            JobsCommand::Why(which) => which.show(&remote, "ExplainJob", |answer| {
                format!("{}\n", answer["why"].as_str().unwrap_or_default())
            }),
            JobsCommand::Wait(which) => wait(&remote, &which),
            JobsCommand::Stop(which) => which.show(&remote, "StopJob", text::line),
            JobsCommand::Retry(which) => which.show(&remote, "RetryJob", text::line),
            JobsCommand::Logs(logs) => logs.run(&remote),
            JobsCommand::Stats(stats) => stats.run(&remote),
        }
    }
}

fn wait(remote: &Remote, which: &Which) -> Result<ExitCode, Failure> {
    let job = ended(remote, &which.input())?;
    if which.json {
        event(&job);
    } else {
        print(&text::line(&job));
    }
    Ok(exit_code(&job))
}

/// A job, once it has ended.
pub(super) fn ended(remote: &Remote, which: &Value) -> Result<Value, Failure> {
    loop {
        let job = remote.call("WaitForJob", which)?;
        if job["is_final"] == true {
            return Ok(job);
        }
    }
}

/// What the end of a job is to whoever waits for it.
pub(super) fn exit_code(job: &Value) -> ExitCode {
    match job["phase"].as_str() {
        Some("completed") => ExitCode::Ok,
        Some("stopped") => ExitCode::Stopped,
        _ => ExitCode::JobFailed,
    }
}
