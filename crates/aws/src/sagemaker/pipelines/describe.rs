//! `DescribePipeline`, and finding pipelines by name or ARN.

use bessemer_store::{PipelineRecord, VersionRecord};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{error::Error, times::seconds};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
pub(super) struct DescribePipeline {
    #[serde(rename = "PipelineName")]
    name: String,
    #[serde(rename = "PipelineVersionId")]
    version: Option<u64>,
    #[serde(rename = "PipelineVersionAlias")]
    alias: Option<String>,
}

/// An object whose members are set if there is something to set them to.
#[derive(Default)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    pub(super) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
        self
    }

    pub(super) fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// The name in a name or an ARN.
pub(super) fn name_of(name_or_arn: &str) -> &str {
    name_or_arn.rsplit_once("pipeline/").map_or(name_or_arn, |(_, name)| name)
}

pub(super) fn arn(caller: &Caller, name: &str) -> String {
    caller.arn("sagemaker", &format!("pipeline/{name}"))
}

pub(super) fn missing(caller: &Caller, name: &str) -> Error {
    Error::NotFound(format!("Pipeline '{}' does not exist.", arn(caller, name)))
}

/// The pipeline of that name or ARN.
pub(super) async fn find(
    platform: &Platform,
    caller: &Caller,
    name: &str,
) -> Result<PipelineRecord, Error> {
    let name = name_of(name);
    let found = platform.store.pipelines().get(name).await?;
    found.ok_or_else(|| missing(caller, name))
}

/// The version of a pipeline that is asked for: the latest, if none is.
pub(super) async fn version(
    platform: &Platform,
    pipeline: &PipelineRecord,
    number: Option<u64>,
    alias: Option<&str>,
) -> Result<VersionRecord, Error> {
    let pipelines = platform.store.pipelines();
    let (found, what) = match (number, alias) {
        (None, Some(alias)) => {
            (pipelines.aliased(pipeline, alias).await?, format!("alias '{alias}'"))
        }
        (number, _) => {
            let number = number.unwrap_or(pipeline.version);
            (pipelines.version(pipeline, number).await?, format!("version {number}"))
        }
    };
    found.ok_or_else(|| Error::NotFound(format!("Pipeline '{}' has no {what}.", pipeline.arn)))
}

pub(super) fn parallelism(limit: Option<u32>) -> Value {
    limit.map_or(Value::Null, |limit| json!({ "MaxParallelExecutionSteps": limit }))
}

pub(super) async fn describe(
    platform: &Platform,
    caller: &Caller,
    input: DescribePipeline,
) -> Result<Value, Error> {
    let pipeline = find(platform, caller, &input.name).await?;
    let alias = input.alias.as_deref();
    let version = version(platform, &pipeline, input.version, alias).await?;
    let aliases = (!version.aliases.is_empty()).then_some(version.aliases);
    let answer = Members::default()
        .with("PipelineArn", pipeline.arn)
        .with("PipelineDisplayName", pipeline.display_name.unwrap_or_else(|| pipeline.name.clone()))
        .with("PipelineName", pipeline.name)
        .with("PipelineDefinition", version.definition)
        .with("PipelineDescription", pipeline.description)
        .with("RoleArn", pipeline.role_arn)
        .with("PipelineStatus", "Active")
        .with("CreationTime", seconds(pipeline.created_at))
        .with("LastModifiedTime", seconds(pipeline.modified_at))
        .with("LastRunTime", pipeline.last_run_at.map_or(Value::Null, seconds))
        .with("ParallelismConfiguration", parallelism(pipeline.parallelism))
        .with("PipelineVersionDisplayName", version.display_name)
        .with("PipelineVersionDescription", version.description)
        .with("PipelineVersionAliases", aliases)
        .with("CreatedBy", json!({}))
        .with("LastModifiedBy", json!({}));
    Ok(answer.done())
}
