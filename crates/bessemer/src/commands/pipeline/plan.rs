//! `bessemer pipeline plan`: what an execution would do, as far as it can be known.

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::json;

use super::{
    source::{Found, Source, parameters},
    text,
};
use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
    wiring::data::DataOptions,
};

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    source: Source,
    /// Give a parameter a value
    #[arg(long, short, value_name = "NAME=VALUE")]
    parameter: Vec<String>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(super) fn run(self, remote: &Remote, data: &DataOptions) -> Result<ExitCode, Failure> {
        let parameters = parameters(&self.parameter)?;
        let mut input = match self.source.find(data)? {
            Found::Known(name) => json!({ "PipelineName": name }),
            Found::File(defined) => json!({
                "PipelineName": defined.name, "PipelineDefinition": defined.definition,
            }),
        };
        input["PipelineParameters"] = parameters.into();
        let plan = remote.call("PlanPipeline", &input)?;
        if self.json {
            event(&plan);
        } else {
            print(&text::plan(&plan));
        }
        Ok(ExitCode::Ok)
    }
}
