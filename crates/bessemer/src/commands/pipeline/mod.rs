//! `bessemer pipeline`: the pipelines of a running server.

mod diff;
mod graph;
mod plan;
mod run;
mod source;
mod text;
mod which;

use std::{thread, time::Duration};

use bessemer_domain::ExitCode;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
    wiring::data::DataOptions,
};
use which::Which;

/// Show, run, watch, stop and retry the pipelines of the server
#[derive(Debug, Args)]
pub(super) struct Pipeline {
    #[command(subcommand)]
    command: PipelineCommand,
    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Subcommand)]
enum PipelineCommand {
    /// List pipelines, or the executions of one, the latest first
    Ls {
        /// The pipeline
        name: Option<String>,
        /// How many
        #[arg(long, default_value_t = 20)]
        limit: u32,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show an execution and its steps
    Show(Which),
    /// Start an execution of a pipeline, or of one that a file defines
    Run(run::Run),
    /// Say what an execution would do: which steps would run, which are cached, what is not known yet
    Plan(plan::Plan),
    /// Follow an execution to its end; the exit code is 10 if it failed, 12 if it was stopped
    Watch(Which),
    /// Draw a pipeline as SVG, Mermaid or DOT
    Graph(graph::Graph),
    /// Say why an execution is where it is
    Why(Which),
    /// Run the steps again that failed or were stopped
    Retry(Which),
    /// Stop an execution
    Stop(Which),
    /// Show what differs between two versions of a pipeline
    Diff(diff::Diff),
}

/// How often an execution is looked at that is followed.
const LOOK: Duration = Duration::from_millis(200);

impl Pipeline {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let remote = Remote::open(&self.data)?;
        match self.command {
            PipelineCommand::Ls { name, limit, json } => list(&remote, name, limit, json),
            PipelineCommand::Show(which) => show(&remote, &which),
            PipelineCommand::Run(run) => run.run(&remote, &self.data),
            PipelineCommand::Plan(plan) => plan.run(&remote, &self.data),
            PipelineCommand::Watch(which) => {
                let arn = which.arn(&remote)?;
                watch(&remote, &arn, which.json)
            }
            PipelineCommand::Graph(graph) => graph.run(&remote, &self.data),
            PipelineCommand::Why(which) => {
                let arn = which.arn(&remote)?;
                let (execution, steps) = (described(&remote, &arn)?, steps(&remote, &arn)?);
                print(&text::why(&execution, &steps));
                Ok(ExitCode::Ok)
            }
            PipelineCommand::Retry(which) => change(&remote, &which, "RetryPipelineExecution"),
            PipelineCommand::Stop(which) => change(&remote, &which, "StopPipelineExecution"),
            PipelineCommand::Diff(diff) => diff.run(&remote),
        }
    }
}

fn list(
    remote: &Remote,
    name: Option<String>,
    limit: u32,
    json: bool,
) -> Result<ExitCode, Failure> {
    let (operation, member, input) = match name {
        Some(name) => (
            "ListPipelineExecutions",
            "PipelineExecutionSummaries",
            json!({ "PipelineName": name, "MaxResults": limit }),
        ),
        None => ("ListPipelines", "PipelineSummaries", json!({ "MaxResults": limit })),
    };
    let answer = remote.sagemaker(operation, &input)?;
    for entry in answer[member].as_array().into_iter().flatten() {
        if json {
            event(entry);
        } else {
            print(&text::line(entry));
        }
    }
    Ok(ExitCode::Ok)
}

fn described(remote: &Remote, arn: &str) -> Result<Value, Failure> {
    remote.sagemaker("DescribePipelineExecution", &json!({ "PipelineExecutionArn": arn }))
}

/// The steps of an execution, in the order in which they began.
fn steps(remote: &Remote, arn: &str) -> Result<Vec<Value>, Failure> {
    let input = json!({ "PipelineExecutionArn": arn, "SortOrder": "Ascending" });
    let answer = remote.sagemaker("ListPipelineExecutionSteps", &input)?;
    Ok(answer["PipelineExecutionSteps"].as_array().cloned().unwrap_or_default())
}

fn show(remote: &Remote, which: &Which) -> Result<ExitCode, Failure> {
    let arn = which.arn(remote)?;
    let (mut execution, steps) = (described(remote, &arn)?, steps(remote, &arn)?);
    if which.json {
        execution["Steps"] = steps.into();
        event(&execution);
    } else {
        print(&text::whole(&execution, &steps));
    }
    Ok(ExitCode::Ok)
}

fn change(remote: &Remote, which: &Which, operation: &str) -> Result<ExitCode, Failure> {
    let arn = which.arn(remote)?;
    let token = format!("bessemer-pipeline-{:032x}", rand::random::<u128>());
    let input = json!({ "PipelineExecutionArn": arn, "ClientRequestToken": token });
    remote.sagemaker(operation, &input)?;
    let execution = described(remote, &arn)?;
    if which.json {
        event(&execution);
    } else {
        print(&text::line(&execution));
    }
    Ok(ExitCode::Ok)
}

/// Shows each change of an execution's steps, until it has ended.
fn watch(remote: &Remote, arn: &str, json: bool) -> Result<ExitCode, Failure> {
    let mut seen: Vec<(Value, Value)> = Vec::new();
    loop {
        let execution = described(remote, arn)?;
        for step in steps(remote, arn)? {
            let state = (step["StepName"].clone(), step["StepStatus"].clone());
            if seen.contains(&state) {
                continue;
            }
            seen.retain(|(name, _)| *name != state.0);
            seen.push(state);
            if json {
                event(&step);
            } else {
                print(&text::step(&step));
            }
        }
        let status = execution["PipelineExecutionStatus"].as_str().unwrap_or_default();
        let code = match status {
            "Succeeded" => ExitCode::Ok,
            "Failed" => ExitCode::JobFailed,
            "Stopped" => ExitCode::Stopped,
            _ => {
                thread::sleep(LOOK);
                continue;
            }
        };
        if json {
            event(&execution);
        } else {
            print(&text::line(&execution));
        }
        return Ok(code);
    }
}
