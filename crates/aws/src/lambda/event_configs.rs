//! How asynchronous invocations go.

use bessemer_functions::{EventConfig, EventConfigChange, Function, Functions};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, functions::Qualified, names::FunctionName, pages::Paging};
use crate::caller::Caller;

const LATEST: &str = "$LATEST";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireConfig {
    function_name: String,
    qualifier: Option<String>,
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u32>,
    destination_config: Option<DestinationConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationConfig {
    on_success: Option<Destination>,
    on_failure: Option<Destination>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    destination: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    function_name: String,
    #[serde(flatten)]
    paging: Paging,
}

/// Sets it anew, or only what is given.
pub(super) async fn set(
    functions: &Functions,
    caller: &Caller,
    input: WireConfig,
    is_new: bool,
) -> Result<Value, Error> {
    let name = FunctionName::parse(caller, &input.function_name, input.qualifier)?;
    let (success, failure) = input
        .destination_config
        .map_or((None, None), |config| (config.on_success, config.on_failure));
    let arn = |destination: Destination| destination.destination.unwrap_or_default();
    let change = EventConfigChange {
        max_age: input.maximum_event_age_in_seconds,
        max_retries: input.maximum_retry_attempts,
        on_success: success.map(arn),
        on_failure: failure.map(arn),
    };
    if is_new && change == EventConfigChange::default() {
        return Err(Error::invalid(
            "You must specify at least one error handling or destination setting.",
        ));
    }
    let qualifier = name.qualifier.as_deref().unwrap_or(LATEST);
    let set = functions.set_event_config(&name.name, &name.arn, qualifier, (change, is_new));
    found(&*set.await?, qualifier)
}

pub(super) fn get(
    functions: &Functions,
    caller: &Caller,
    asked: Qualified,
) -> Result<Value, Error> {
    let name = asked.name(caller)?;
    let function = functions.get(&name.name, &name.arn)?;
    found(&function, name.qualifier.as_deref().unwrap_or(LATEST))
}

pub(super) fn list(functions: &Functions, caller: &Caller, input: List) -> Result<Value, Error> {
    let name = FunctionName::whole(caller, &input.function_name)?;
    let function = functions.get(&name.name, &name.arn)?;
    let configs = function.event_configs.iter();
    let configs = configs.map(|(key, config)| (key.clone(), render(&function, key, config)));
    let (page, next) = input.paging.page(configs.collect());
    Ok(json!({ "FunctionEventInvokeConfigs": page, "NextMarker": next }))
}

pub(super) async fn delete(
    functions: &Functions,
    caller: &Caller,
    asked: Qualified,
) -> Result<Value, Error> {
    let name = asked.name(caller)?;
    let qualifier = name.qualifier.as_deref().unwrap_or(LATEST);
    functions.delete_event_config(&name.name, &name.arn, qualifier).await?;
    Ok(json!({}))
}

fn found(function: &Function, qualifier: &str) -> Result<Value, Error> {
    let config = function.event_configs.get(qualifier).ok_or_else(|| {
        let arn = function.qualified(Some(qualifier));
        Error::missing(format!("The function {arn} doesn't have an EventInvokeConfig"))
    })?;
    Ok(render(function, qualifier, config))
}

fn render(function: &Function, qualifier: &str, config: &EventConfig) -> Value {
    let destination = |arn: &Option<String>| arn.as_ref().map(|arn| json!({ "Destination": arn }));
    json!({
        "LastModified": config.modified_at as f64 / 1000.0,
        "FunctionArn": function.qualified(Some(qualifier)),
        "MaximumRetryAttempts": config.max_retries,
        "MaximumEventAgeInSeconds": config.max_age,
        "DestinationConfig": {
            "OnSuccess": destination(&config.on_success).unwrap_or_else(|| json!({})),
            "OnFailure": destination(&config.on_failure).unwrap_or_else(|| json!({})),
        },
    })
}
