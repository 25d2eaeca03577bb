//! `CreatePipeline`, `UpdatePipeline`, `DeletePipeline`.

use bessemer_store::{NewPipeline, PipelineChange, PipelineRecord, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{error::Error, tags::WireTag},
    definition::{DefinitionLocation, given},
    describe::{self, name_of},
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreatePipeline {
    pipeline_name: String,
    pipeline_display_name: Option<String>,
    pipeline_definition: Option<String>,
    #[serde(rename = "PipelineDefinitionS3Location")]
    location: Option<DefinitionLocation>,
    pipeline_description: Option<String>,
    client_request_token: String,
    role_arn: String,
    #[serde(default)]
    tags: Vec<WireTag>,
    parallelism_configuration: Option<Parallelism>,
    #[serde(default)]
    pipeline_version_aliases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdatePipeline {
    pipeline_name: String,
    pipeline_display_name: Option<String>,
    pipeline_definition: Option<String>,
    #[serde(rename = "PipelineDefinitionS3Location")]
    location: Option<DefinitionLocation>,
    pipeline_description: Option<String>,
    role_arn: Option<String>,
    parallelism_configuration: Option<Parallelism>,
    #[serde(default)]
    pipeline_version_aliases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeletePipeline {
    pipeline_name: String,
}

/// How many steps of an execution may run at once.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parallelism {
    pub(super) max_parallel_execution_steps: u32,
}

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: CreatePipeline,
) -> Result<Value, Error> {
    let name = input.pipeline_name;
    let known = platform.store.pipelines().get(&name).await?;
    // Told first, since SDKs then send the definition by an update.
    if known.is_some_and(|known| known.token != input.client_request_token) {
        return Err(exists(&name));
    }
    let given = given(platform, input.pipeline_definition, input.location).await?;
    let (definition, _) = given.ok_or_else(|| {
        let message = "Either PipelineDefinition or PipelineDefinitionS3Location must be given";
        Error::Validation(message.to_owned())
    })?;
    let now = platform.clock.now_millis();
    let pipeline = PipelineRecord {
        id: 0,
        arn: describe::arn(caller, &name),
        display_name: input.pipeline_display_name,
        description: input.pipeline_description,
        role_arn: input.role_arn,
        parallelism: input.parallelism_configuration.map(|one| one.max_parallel_execution_steps),
        version: 1,
        token: input.client_request_token,
        created_at: now,
        modified_at: now,
        last_run_at: None,
        name: name.clone(),
    };
    let new = NewPipeline {
        pipeline,
        definition,
        aliases: input.pipeline_version_aliases,
        tags: input.tags.into_iter().map(Into::into).collect(),
    };
    match platform.store.pipelines().create(new).await {
        Ok(pipeline) => Ok(json!({ "PipelineArn": pipeline.arn })),
        Err(StoreError::AlreadyExists { .. }) => Err(exists(&name)),
        Err(error) => Err(error.into()),
    }
}

/// SDKs look for the words, and update the pipeline that is there.
fn exists(name: &str) -> Error {
    Error::Validation(format!(
        "Pipeline names must be unique within an AWS account and region. Pipeline with name \
         ({name}) already exists."
    ))
}

pub(super) async fn update(
    platform: &Platform,
    caller: &Caller,
    input: UpdatePipeline,
) -> Result<Value, Error> {
    let given = given(platform, input.pipeline_definition, input.location).await?;
    let change = PipelineChange {
        display_name: input.pipeline_display_name,
        description: input.pipeline_description,
        role_arn: input.role_arn,
        parallelism: input.parallelism_configuration.map(|one| one.max_parallel_execution_steps),
        definition: given.map(|(text, _)| text),
        aliases: input.pipeline_version_aliases,
    };
    let name = name_of(&input.pipeline_name);
    let now = platform.clock.now_millis();
    let updated = platform.store.pipelines().update(name, change, now).await?;
    let pipeline = updated.ok_or_else(|| describe::missing(caller, name))?;
    Ok(json!({ "PipelineArn": pipeline.arn, "PipelineVersionId": pipeline.version }))
}

pub(super) async fn delete(
    platform: &Platform,
    caller: &Caller,
    input: DeletePipeline,
) -> Result<Value, Error> {
    let name = name_of(&input.pipeline_name);
    match platform.store.pipelines().delete(name).await {
        Ok(Some(pipeline)) => Ok(json!({ "PipelineArn": pipeline.arn })),
        Ok(None) => Err(describe::missing(caller, name)),
        Err(StoreError::InProgress { .. }) => Err(Error::Conflict(format!(
            "Pipeline '{}' has running executions. Stop them by StopPipelineExecution first.",
            describe::arn(caller, name)
        ))),
        Err(error) => Err(error.into()),
    }
}
