//! Event source mappings: functions that are called with the messages of queues.

use std::collections::BTreeMap;

use bessemer_functions::{CreateMapping, Functions, FunctionsError, Mapping, MappingChange};
use bessemer_store::Tag;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, names::FunctionName, pages::Paging};
use crate::caller::Caller;

/// What is for sources that there are none of, or can't be had.
const UNSUPPORTED: [&str; 19] = [
    "AmazonManagedKafkaEventSourceConfig",
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "DocumentDBEventSourceConfig",
    "KMSKeyArn",
    "LoggingConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "MetricsConfig",
    "ParallelizationFactor",
    "ProvisionedPollerConfig",
    "Queues",
    "SelfManagedEventSource",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "StartingPosition",
    "StartingPositionTimestamp",
    "Topics",
    "TumblingWindowInSeconds",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wanted {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    enabled: Option<bool>,
    batch_size: Option<u32>,
    maximum_batching_window_in_seconds: Option<u32>,
    function_response_types: Option<Vec<String>>,
    filter_criteria: Option<FilterCriteria>,
    scaling_config: Option<ScalingConfig>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    #[serde(default)]
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    #[serde(default)]
    pattern: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ScalingConfig {
    maximum_concurrency: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct Uuid {
    #[serde(rename = "UUID")]
    uuid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    event_source_arn: Option<String>,
    function_name: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

impl Wanted {
    fn read(input: &Value) -> Result<Self, Error> {
        if let Some(name) = UNSUPPORTED.into_iter().find(|name| !input[*name].is_null()) {
            let message = format!("{name} is not supported for SQS event sources");
            return Err(Error::invalid(message));
        }
        let read = Self::deserialize(input);
        read.map_err(|error| FunctionsError::Internal(error.into()).into())
    }

    fn change(self, caller: &Caller) -> Result<MappingChange, Error> {
        let name = self.function_name.map(|name| FunctionName::parse(caller, &name, None));
        Ok(MappingChange {
            function: name.transpose()?.map(|name| (name.name, name.qualifier)),
            enabled: self.enabled,
            batch_size: self.batch_size,
            window: self.maximum_batching_window_in_seconds,
            tells_failures: self
                .function_response_types
                .map(|types| types.iter().any(|kind| kind == "ReportBatchItemFailures")),
            filters: self
                .filter_criteria
                .map(|criteria| criteria.filters.into_iter().map(|f| f.pattern).collect()),
            concurrency: self.scaling_config.map(|scaling| scaling.maximum_concurrency),
        })
    }
}

pub(super) async fn create(
    functions: &Functions,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let mut wanted = Wanted::read(input)?;
    let missing = || Error::invalid("EventSourceArn must be given");
    let queue = wanted.event_source_arn.take().ok_or_else(missing)?;
    let tags = wanted.tags.take().unwrap_or_default();
    let mut change = wanted.change(caller)?;
    let function = change.function.take().unwrap_or_default();
    let create = CreateMapping {
        arn_prefix: caller.arn("lambda", "event-source-mapping:"),
        queue,
        function,
        change,
        tags: tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect(),
    };
    let mapping = functions.create_mapping(create).await?;
    Ok(render(functions, caller, &mapping, Some("Creating")))
}

pub(super) async fn update(
    functions: &Functions,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let uuid = input["UUID"].as_str().unwrap_or_default();
    let change = Wanted::read(input)?.change(caller)?;
    let was_enabled = functions.mapping(uuid)?.settings.enabled;
    let mapping = functions.update_mapping(uuid, change).await?;
    let state = match (was_enabled, mapping.settings.enabled) {
        (false, true) => "Enabling",
        (true, false) => "Disabling",
        _ => "Updating",
    };
    Ok(render(functions, caller, &mapping, Some(state)))
}

pub(super) fn get(functions: &Functions, caller: &Caller, input: &Uuid) -> Result<Value, Error> {
    Ok(render(functions, caller, &*functions.mapping(&input.uuid)?, None))
}

pub(super) fn list(functions: &Functions, caller: &Caller, input: List) -> Result<Value, Error> {
    let name = input.function_name.map(|name| FunctionName::parse(caller, &name, None));
    let name = name.transpose()?;
    let is_asked_for = |mapping: &Mapping| {
        let settings = &mapping.settings;
        input.event_source_arn.as_ref().is_none_or(|queue| *queue == mapping.queue)
            && name.as_ref().is_none_or(|name| {
                settings.function == name.name && settings.qualifier == name.qualifier
            })
    };
    let mappings = functions.mappings().into_iter().filter(|mapping| is_asked_for(mapping));
    let items = mappings.map(|m| (m.uuid.clone(), render(functions, caller, &m, None)));
    let (page, next) = input.paging.page(items.collect());
    Ok(json!({ "EventSourceMappings": page, "NextMarker": next }))
}

pub(super) async fn delete(
    functions: &Functions,
    caller: &Caller,
    input: Uuid,
) -> Result<Value, Error> {
    let mapping = functions.delete_mapping(&input.uuid).await?;
    Ok(render(functions, caller, &mapping, Some("Deleting")))
}

/// A mapping as clients see it, in the state on the way to which it is, or in which it is.
fn render(
    functions: &Functions,
    caller: &Caller,
    mapping: &Mapping,
    transition: Option<&str>,
) -> Value {
    let settings = &mapping.settings;
    let state = if settings.enabled { "Enabled" } else { "Disabled" };
    let qualifier = settings.qualifier.iter().map(|qualifier| format!(":{qualifier}"));
    let function = format!("function:{}{}", settings.function, qualifier.collect::<String>());
    let types: &[&str] = if settings.tells_failures { &["ReportBatchItemFailures"] } else { &[] };
    let last = functions.last_result(&mapping.uuid);
    let mut answer = json!({
        "UUID": mapping.uuid,
        "EventSourceMappingArn": mapping.arn,
        "EventSourceArn": mapping.queue,
        "FunctionArn": caller.arn("lambda", &function),
        "BatchSize": settings.batch_size,
        "MaximumBatchingWindowInSeconds": settings.window,
        "FunctionResponseTypes": types,
        "LastModified": mapping.modified_at as f64 / 1000.0,
        "State": transition.unwrap_or(state),
        "StateTransitionReason": "USER_INITIATED",
    });
    if !last.is_empty() {
        answer["LastProcessingResult"] = last.into();
    }
    if !settings.filters.is_empty() {
        let pattern = |filter: &String| json!({ "Pattern": filter });
        let filters: Vec<Value> = settings.filters.iter().map(pattern).collect();
        answer["FilterCriteria"] = json!({ "Filters": filters });
    }
    if let Some(concurrency) = settings.concurrency {
        answer["ScalingConfig"] = json!({ "MaximumConcurrency": concurrency });
    }
    answer
}
