//! `ListPipelineVersions`, `UpdatePipelineVersion`.

use bessemer_store::VersionChange;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{
        error::Error,
        times::{millis, seconds},
    },
    describe::{Members, find},
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListPipelineVersions {
    pipeline_name: String,
    created_after: Option<f64>,
    created_before: Option<f64>,
    sort_order: Option<String>,
    next_token: Option<String>,
    max_results: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct UpdatePipelineVersion {
    #[serde(rename = "PipelineArn")]
    arn: String,
    #[serde(rename = "PipelineVersionId")]
    version: u64,
    #[serde(rename = "PipelineVersionDisplayName")]
    display_name: Option<String>,
    #[serde(rename = "PipelineVersionDescription")]
    description: Option<String>,
    #[serde(rename = "PipelineVersionAliasOperations")]
    aliases: Option<AliasOperations>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct AliasOperations {
    add: Vec<String>,
    remove: Vec<String>,
}

pub(super) async fn list(
    platform: &Platform,
    caller: &Caller,
    input: ListPipelineVersions,
) -> Result<Value, Error> {
    let pipeline = find(platform, caller, &input.pipeline_name).await?;
    let within = (input.created_after.map(millis), input.created_before.map(millis));
    let descending = input.sort_order.as_deref() != Some("Ascending");
    let (limit, page) = (input.max_results.unwrap_or(100), input.next_token.as_deref());
    let pipelines = platform.store.pipelines();
    let page = pipelines.versions(&pipeline, within, descending, limit, page).await?;
    let summaries: Vec<Value> = page
        .entries
        .into_iter()
        .map(|version| {
            let aliases = (!version.aliases.is_empty()).then_some(version.aliases);
            Members::default()
                .with("PipelineArn", pipeline.arn.as_str())
                .with("PipelineVersionId", version.version)
                .with("CreationTime", seconds(version.created_at))
                .with("PipelineVersionDescription", version.description)
                .with("PipelineVersionDisplayName", version.display_name)
                .with("LastExecutionPipelineExecutionArn", version.last_execution)
                .with("PipelineVersionAliases", aliases)
                .done()
        })
        .collect();
    Ok(json!({ "PipelineVersionSummaries": summaries, "NextToken": page.next }))
}

pub(super) async fn update(
    platform: &Platform,
    caller: &Caller,
    input: UpdatePipelineVersion,
) -> Result<Value, Error> {
    let pipeline = find(platform, caller, &input.arn).await?;
    let aliases = input.aliases.unwrap_or_default();
    let change = VersionChange {
        display_name: input.display_name,
        description: input.description,
        add_aliases: aliases.add,
        remove_aliases: aliases.remove,
    };
    let version = input.version;
    if !platform.store.pipelines().update_version(&pipeline, version, change).await? {
        let message = format!("Pipeline '{}' has no version {version}.", pipeline.arn);
        return Err(Error::NotFound(message));
    }
    Ok(json!({ "PipelineArn": pipeline.arn, "PipelineVersionId": version }))
}
