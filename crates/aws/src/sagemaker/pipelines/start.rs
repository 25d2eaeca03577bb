//! `StartPipelineExecution`.

use std::collections::BTreeMap;

use bessemer_pipelines::{
    Definition, Facts, Hit, NewRun, PipelinesError, Selection, StepState, needs_of,
};
use bessemer_store::PipelineRecord;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::error::Error,
    changes::Parallelism,
    describe::{find, version},
};
use crate::{caller::Caller, platform::Platform};

/// The parameter that limits how long an execution takes, in seconds.
const TIMEOUT: &str = "BESSEMER_TIMEOUT";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StartPipelineExecution {
    pipeline_name: String,
    #[serde(default)]
    pipeline_parameters: Vec<PipelineParameter>,
    parallelism_configuration: Option<Parallelism>,
    selective_execution_config: Option<SelectiveExecutionConfig>,
    pipeline_version_id: Option<u64>,
    pipeline_version_alias: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PipelineParameter {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelectiveExecutionConfig {
    source_pipeline_execution_arn: Option<String>,
    selected_steps: Vec<SelectedStep>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SelectedStep {
    step_name: String,
}

pub(super) async fn start(
    platform: &Platform,
    caller: &Caller,
    input: StartPipelineExecution,
    request: &Value,
) -> Result<Value, Error> {
    let pipeline = find(platform, caller, &input.pipeline_name).await?;
    let alias = input.pipeline_version_alias.as_deref();
    let version = version(platform, &pipeline, input.pipeline_version_id, alias).await?;
    let definition = Definition::parse(&version.definition).map_err(PipelinesError::from)?;
    let parameters = values(&definition, &input.pipeline_parameters)?;
    let (selection, taken) = match input.selective_execution_config {
        None => (None, BTreeMap::new()),
        Some(config) => select(platform, &pipeline, &definition, config).await?,
    };
    let timeout = parameters.get(TIMEOUT).and_then(Value::as_f64).filter(|seconds| *seconds > 0.0);
    let id = execution_id();
    let facts = Facts {
        arn: format!("{}/execution/{id}", pipeline.arn),
        id,
        pipeline: pipeline.name.clone(),
        pipeline_arn: pipeline.arn.clone(),
        started_at: platform.clock.now_millis(),
        parameters,
        selection,
        timeout_millis: timeout.map(|seconds| (seconds * 1_000.0) as u64),
    };
    let limit = input.parallelism_configuration.map(|one| one.max_parallel_execution_steps);
    let run = NewRun {
        parallelism: limit.or(pipeline.parallelism),
        pipeline,
        version,
        definition,
        facts,
        request: request.clone(),
        taken,
    };
    let arn = platform.pipelines.start(run).await?;
    Ok(json!({ "PipelineExecutionArn": arn }))
}

/// An id in the form of AWS's.
pub(super) fn execution_id() -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let bytes: [u8; 12] = rand::random();
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

/// The values of all parameters, or all that is wrong with those given.
pub(super) fn values(
    definition: &Definition,
    given: &[PipelineParameter],
) -> Result<Map<String, Value>, Error> {
    let mut problems = Vec::new();
    let mut values = Map::new();
    for parameter in given {
        match definition.parameter(&parameter.name).map(|known| known.value_of(&parameter.value)) {
            Some(Ok(value)) => {
                values.insert(parameter.name.clone(), value);
            }
            Some(Err(problem)) => problems.push(problem),
            None => problems.push(format!("the pipeline has no parameter `{}`", parameter.name)),
        }
    }
    for parameter in &definition.parameters {
        match &parameter.default {
            Some(default) => {
                values.entry(parameter.name.clone()).or_insert_with(|| default.clone());
            }
            None if given.iter().any(|one| one.name == parameter.name) => {}
            None => problems.push(format!("parameter `{}` has no value", parameter.name)),
        }
    }
    if problems.is_empty() {
        return Ok(values);
    }
    Err(Error::Validation(format!("Invalid parameters: {}", problems.join("; "))))
}

/// The results that a selective execution builds on.
async fn select(
    platform: &Platform,
    pipeline: &PipelineRecord,
    definition: &Definition,
    config: SelectiveExecutionConfig,
) -> Result<(Option<Selection>, BTreeMap<String, Hit>), Error> {
    let steps: Vec<String> = config.selected_steps.into_iter().map(|one| one.step_name).collect();
    let needs = needs_of(definition, &steps).map_err(Error::Validation)?;
    let pipelines = platform.store.pipelines();
    let record = match &config.source_pipeline_execution_arn {
        Some(arn) => {
            let found = pipelines.execution(arn).await?;
            Some(found.ok_or_else(|| PipelinesError::NoExecution(arn.clone()))?)
        }
        None => pipelines.latest(pipeline).await?,
    };
    let selection = Selection { source: record.as_ref().map(|one| one.arn.clone()), steps };
    let mut taken = BTreeMap::new();
    if needs.is_empty() {
        return Ok((Some(selection), taken));
    }
    let record = record.ok_or_else(|| {
        let message = "There is no earlier execution that a selective execution could build on";
        Error::Validation(message.to_owned())
    })?;
    let source = platform.pipelines.read(&record).await?;
    let mut missing = Vec::new();
    for name in needs {
        match source.steps.get(&name).map(|run| (&run.state, &run.metadata)) {
            Some((StepState::Succeeded { properties, .. }, metadata)) => {
                let execution = record.arn.clone();
                let (properties, metadata) = (properties.clone(), metadata.clone());
                taken.insert(name, Hit { execution, properties, metadata });
            }
            _ => missing.push(format!("`{name}`")),
        }
    }
    if missing.is_empty() {
        return Ok((Some(selection), taken));
    }
    Err(Error::Validation(format!(
        "The selected steps build on {}, which did not succeed in execution '{}'",
        missing.join(", "),
        record.arn
    )))
}
