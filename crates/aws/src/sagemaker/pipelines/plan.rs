//! What an execution would do; a call of Bessemer's own.

use bessemer_aws_wire::{ServiceError, service};
use bessemer_pipelines::{Definition, Facts, Planned, Prospect};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::error::Error,
    describe::{self, Members, version},
    start::{PipelineParameter, execution_id, values},
};
use crate::{caller::Caller, platform::Platform};

/// A pipeline that is there, or a definition, with earlier results of the pipeline of that name.
#[derive(Deserialize)]
pub(crate) struct PlanPipeline {
    #[serde(rename = "PipelineName")]
    name: String,
    #[serde(rename = "PipelineDefinition")]
    definition: Option<String>,
    #[serde(rename = "PipelineParameters", default)]
    parameters: Vec<PipelineParameter>,
}

/// Answers with the steps in an order in which they can be run.
pub(crate) async fn plan(
    platform: &Platform,
    caller: &Caller,
    input: PlanPipeline,
) -> Result<Value, ServiceError> {
    let service = service("sagemaker").ok_or_else(ServiceError::internal)?;
    planned(platform, caller, input).await.map_err(|error| error.answer(service))
}

async fn planned(
    platform: &Platform,
    caller: &Caller,
    input: PlanPipeline,
) -> Result<Value, Error> {
    let name = input.name;
    let known = platform.store.pipelines().get(&name).await?;
    let text = match (input.definition, &known) {
        (Some(text), _) => text,
        (None, Some(pipeline)) => version(platform, pipeline, None, None).await?.definition,
        (None, None) => return Err(describe::missing(caller, &name)),
    };
    let definition = Definition::parse(&text).map_err(|error| {
        Error::Validation(format!("Unable to parse pipeline definition: {error}"))
    })?;
    let arn = known.as_ref().map(|known| known.arn.clone());
    let pipeline_arn = arn.unwrap_or_else(|| describe::arn(caller, &name));
    let id = execution_id();
    let facts = Facts {
        arn: format!("{pipeline_arn}/execution/{id}"),
        id,
        pipeline: name.clone(),
        pipeline_arn,
        started_at: platform.clock.now_millis(),
        parameters: values(&definition, &input.parameters)?,
        selection: None,
        timeout_millis: None,
    };
    let known = known.map(|known| known.id);
    let steps = platform.pipelines.plan(&definition, facts, known).await?;
    let steps: Value = steps.iter().map(|planned| shown(&definition, planned)).collect();
    Ok(json!({ "PipelineName": name, "Steps": steps }))
}

fn shown(definition: &Definition, planned: &Planned) -> Value {
    let name = &planned.step;
    let (prospect, reason) = match &planned.prospect {
        Prospect::Runs => ("Runs", None),
        Prospect::Cached(_) => ("Cached", None),
        Prospect::RunsUnlessCached(after) => (
            "RunsUnlessCached",
            Some(format!("whether an earlier result is as good is known after `{after}`")),
        ),
        Prospect::Decides(_) => ("Decides", None),
        Prospect::DecidesAfter(after) => {
            ("Unknown", Some(format!("it is decided after `{after}`")))
        }
        Prospect::Fails(reason) => ("Fails", Some(reason.clone())),
        Prospect::Skipped(by) => ("Skipped", Some(because(definition, name, by, "is skipped"))),
        Prospect::Perhaps(by) => ("Unknown", Some(because(definition, name, by, "may be skipped"))),
        Prospect::Never(by) => {
            ("Never", Some(format!("it waits for `{by}`, which does not succeed")))
        }
    };
    let source = match &planned.prospect {
        Prospect::Cached(execution) => Some(execution.clone()),
        _ => None,
    };
    let outcome = match &planned.prospect {
        Prospect::Decides(holds) => Some(if *holds { "True" } else { "False" }),
        _ => None,
    };
    Members::default()
        .with("StepName", name.as_str())
        .with("StepType", definition.step(name).map(|step| step.kind.as_str()))
        .with("Prospect", prospect)
        .with("Outcome", outcome)
        .with("SourcePipelineExecutionArn", source)
        .with("Reason", reason)
        .done()
}

/// Why a step does not belong to an execution, or may not.
fn because(definition: &Definition, step: &str, by: &str, else_where: &str) -> String {
    let branch = definition.step(step).and_then(|step| step.branch.as_ref());
    match branch.filter(|branch| branch.condition == by) {
        Some(branch) => format!("it is for `{by}` being {}", branch.if_true),
        None => format!("it waits for `{by}`, which {else_where}"),
    }
}
