//! `bessemer pipeline run`: an execution of a pipeline, or of a definition in a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::json;

use super::{described, text, watch};
use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
};

/// The role of pipelines that are made from files: any name is one here.
const ROLE: &str = "arn:aws:iam::000000000000:role/bessemer";

#[derive(Debug, Args)]
pub(super) struct Run {
    /// A pipeline's name, or a file with a definition (`*.json`), which makes or updates one
    pipeline: String,
    /// The name of a file's pipeline [default: the file's name]
    #[arg(long)]
    name: Option<String>,
    /// Give a parameter a value
    #[arg(long, short, value_name = "NAME=VALUE")]
    parameter: Vec<String>,
    /// Follow it to its end; the exit code is 10 if it failed, 12 if it was stopped
    #[arg(long)]
    wait: bool,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) fn run(self, remote: &Remote) -> Result<ExitCode, Failure> {
        let is_file = Path::new(&self.pipeline).extension().is_some_and(|end| end == "json");
        let name = if is_file { self.upsert(remote)? } else { self.pipeline.clone() };
        let mut parameters = Vec::new();
        for pair in &self.parameter {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                Failure::usage(format!("`{pair}` is no parameter"))
                    .with_hint("give one as `--parameter NAME=VALUE`")
            })?;
            parameters.push(json!({ "Name": name, "Value": value }));
        }
        let mut input = json!({ "PipelineName": name, "ClientRequestToken": token() });
        if !parameters.is_empty() {
            input["PipelineParameters"] = parameters.into();
        }
        let started = remote.sagemaker("StartPipelineExecution", &input)?;
        let arn = started["PipelineExecutionArn"].as_str().unwrap_or_default();
        if self.wait {
            return watch(remote, arn, self.json);
        }
        let execution = described(remote, arn)?;
        if self.json {
            event(&execution);
        } else {
            print(&text::line(&execution));
        }
        Ok(ExitCode::Ok)
    }

    /// Makes the file's pipeline, or updates it; says its name.
    fn upsert(&self, remote: &Remote) -> Result<String, Failure> {
        let file = PathBuf::from(&self.pipeline);
        let definition = fs::read_to_string(&file).map_err(|error| {
            let text = anyhow::anyhow!("read `{}`: {error}", file.display());
            Failure::new(ExitCode::NotFound, text)
        })?;
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().replace('_', "-"));
        let name = self.name.clone().or(stem).unwrap_or_default();
        let mut input = json!({
            "PipelineName": name, "PipelineDefinition": definition, "RoleArn": ROLE,
        });
        let known = remote.sagemaker("DescribePipeline", &json!({ "PipelineName": name }));
        match known {
            Ok(known) if known["PipelineDefinition"] == definition => {}
            Ok(_) => {
                remote.sagemaker("UpdatePipeline", &input)?;
            }
            Err(_) => {
                input["ClientRequestToken"] = json!(token());
                remote.sagemaker("CreatePipeline", &input)?;
            }
        }
        Ok(name)
    }
}

fn token() -> String {
    format!("bessemer-pipeline-{:032x}", rand::random::<u128>())
}
