//! Which execution is meant: by its ARN, as `pipeline/id`, or the latest of a pipeline.

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::{Value, json};

use crate::{failure::Failure, remote::Remote};

/// Names an execution.
#[derive(Debug, Args)]
pub(super) struct Which {
    /// Its ARN, `pipeline/id`, or a pipeline's name for its latest execution
    execution: String,
    /// The answer as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Which {
    /// The execution's ARN.
    pub(super) fn arn(&self, remote: &Remote) -> Result<String, Failure> {
        if self.execution.starts_with("arn:") {
            return Ok(self.execution.clone());
        }
        if let Some((pipeline, id)) = self.execution.split_once('/') {
            let known =
                remote.sagemaker("DescribePipeline", &json!({ "PipelineName": pipeline }))?;
            let arn = known["PipelineArn"].as_str().unwrap_or_default();
            return Ok(format!("{arn}/execution/{id}"));
        }
        latest(remote, &self.execution)
    }
}

/// The ARN of a pipeline's latest execution.
fn latest(remote: &Remote, pipeline: &str) -> Result<String, Failure> {
    let input = json!({ "PipelineName": pipeline, "MaxResults": 1 });
    let answer = remote.sagemaker("ListPipelineExecutions", &input)?;
    let arn = &answer["PipelineExecutionSummaries"][0]["PipelineExecutionArn"];
    arn.as_str().map(str::to_owned).ok_or_else(|| {
        let error = anyhow::anyhow!("pipeline `{pipeline}` was never run");
        Failure::new(ExitCode::NotFound, error)
            .with_hint(format!("run it by `bessemer pipeline run {pipeline}`"))
    })
}

/// A pipeline as the server describes it.
pub(super) fn pipeline(
    remote: &Remote,
    name: &str,
    version: Option<u64>,
) -> Result<Value, Failure> {
    let mut input = json!({ "PipelineName": name });
    if let Some(version) = version {
        input["PipelineVersionId"] = json!(version);
    }
    remote.sagemaker("DescribePipeline", &input)
}
