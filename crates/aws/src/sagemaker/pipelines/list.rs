//! `ListPipelines`, `ListPipelineExecutions`.

use bessemer_store::{ExecutionQuery, PipelineQuery};
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

/// Entries on a page that asks for no number.
const PAGE: u32 = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListPipelines {
    pipeline_name_prefix: Option<String>,
    created_after: Option<f64>,
    created_before: Option<f64>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
    max_results: Option<u32>,
    managed_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListPipelineExecutions {
    pipeline_name: String,
    created_after: Option<f64>,
    created_before: Option<f64>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    next_token: Option<String>,
    max_results: Option<u32>,
}

pub(super) async fn pipelines(platform: &Platform, input: ListPipelines) -> Result<Value, Error> {
    if input.managed_by.as_deref() == Some("AWS") {
        return Ok(json!({ "PipelineSummaries": [] }));
    }
    let query = PipelineQuery {
        prefix: input.pipeline_name_prefix,
        created_after: input.created_after.map(millis),
        created_before: input.created_before.map(millis),
        by_name: input.sort_by.as_deref() == Some("Name"),
        descending: input.sort_order.as_deref() != Some("Ascending"),
        limit: input.max_results.unwrap_or(PAGE),
        page: input.next_token,
    };
    let page = platform.store.pipelines().list(&query).await?;
    let summaries: Vec<Value> = page
        .entries
        .into_iter()
        .map(|pipeline| {
            let shown = pipeline.display_name.unwrap_or_else(|| pipeline.name.clone());
            Members::default()
                .with("PipelineArn", pipeline.arn)
                .with("PipelineName", pipeline.name)
                .with("PipelineDisplayName", shown)
                .with("PipelineDescription", pipeline.description)
                .with("RoleArn", pipeline.role_arn)
                .with("CreationTime", seconds(pipeline.created_at))
                .with("LastModifiedTime", seconds(pipeline.modified_at))
                .with("LastExecutionTime", pipeline.last_run_at.map_or(Value::Null, seconds))
                .done()
        })
        .collect();
    Ok(json!({ "PipelineSummaries": summaries, "NextToken": page.next }))
}

pub(super) async fn executions(
    platform: &Platform,
    caller: &Caller,
    input: ListPipelineExecutions,
) -> Result<Value, Error> {
    let pipeline = find(platform, caller, &input.pipeline_name).await?;
    let query = ExecutionQuery {
        created_after: input.created_after.map(millis),
        created_before: input.created_before.map(millis),
        by_arn: input.sort_by.as_deref() == Some("PipelineExecutionArn"),
        descending: input.sort_order.as_deref() != Some("Ascending"),
        limit: input.max_results.unwrap_or(PAGE),
        page: input.next_token,
    };
    let page = platform.store.pipelines().executions(&pipeline, &query).await?;
    let mut summaries = Vec::new();
    for record in page.entries {
        let request: Value = serde_json::from_str(&record.request).unwrap_or_default();
        let state: Value = serde_json::from_str(&record.state).unwrap_or_default();
        let summary = Members::default()
            .with("PipelineExecutionArn", record.arn)
            .with("StartTime", seconds(record.created_at))
            .with("PipelineExecutionStatus", record.status)
            .with("PipelineExecutionDescription", request["PipelineExecutionDescription"].clone())
            .with("PipelineExecutionDisplayName", request["PipelineExecutionDisplayName"].clone())
            .with("PipelineExecutionFailureReason", state["failure"].clone());
        summaries.push(summary.done());
    }
    Ok(json!({ "PipelineExecutionSummaries": summaries, "NextToken": page.next }))
}
