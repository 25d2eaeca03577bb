//! `bessemer pipeline run`: an execution of a pipeline, or of a definition in a file.

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::json;

use super::{
    described,
    source::{Defined, Found, Source, parameters},
    text, watch,
};
use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
    wiring::data::DataOptions,
};

/// The role of pipelines that are made from files: any name is one here.
const ROLE: &str = "arn:aws:iam::000000000000:role/bessemer";

#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    source: Source,
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
    pub(super) fn run(self, remote: &Remote, data: &DataOptions) -> Result<ExitCode, Failure> {
        let parameters = parameters(&self.parameter)?;
        let name = match self.source.find(data)? {
            Found::Known(name) => name,
            Found::File(defined) => {
                upsert(remote, &defined)?;
                defined.name
            }
        };
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
}

/// Makes a file's pipeline, or updates it.
fn upsert(remote: &Remote, defined: &Defined) -> Result<(), Failure> {
    let Defined { name, definition } = defined;
    let mut input = json!({
        "PipelineName": name, "PipelineDefinition": definition, "RoleArn": ROLE,
    });
    let known = remote.sagemaker("DescribePipeline", &json!({ "PipelineName": name }));
    match known {
        Ok(known) if known["PipelineDefinition"] == *definition => {}
        Ok(_) => {
            remote.sagemaker("UpdatePipeline", &input)?;
        }
        Err(_) => {
            input["ClientRequestToken"] = json!(token());
            remote.sagemaker("CreatePipeline", &input)?;
        }
    }
    Ok(())
}

fn token() -> String {
    format!("bessemer-pipeline-{:032x}", rand::random::<u128>())
}
