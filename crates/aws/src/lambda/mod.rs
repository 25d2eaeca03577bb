//! Lambda: functions, their versions, aliases and layers, and their invocations.

mod account;
mod aliases;
mod configuration;
mod error;
mod event_configs;
mod functions;
mod invoke;
mod layers;
mod mappings;
mod names;
mod pages;
mod permissions;
mod queues;
mod tags;
mod versions;

pub use queues::FunctionQueues;

use bessemer_aws_wire::{Call, ServiceError};
use serde_json::Value;

use crate::{caller::Caller, decode::decode, platform::Platform, server::unsupported};

/// Answers a call, whose request's id is `id`.
pub(crate) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
    id: &str,
) -> Result<Value, ServiceError> {
    let functions = &platform.functions;
    let answered = match call.operation.name() {
        "CreateFunction" => functions::create(platform, caller, &call.input).await,
        "GetFunction" => functions::get(platform, caller, decode(call)?).await,
        "GetFunctionConfiguration" => functions::configuration(functions, caller, decode(call)?),
        "ListFunctions" => Ok(functions::list(functions, decode(call)?)),
        "UpdateFunctionCode" => functions::update_code(functions, caller, &call.input).await,
        "UpdateFunctionConfiguration" => functions::update(functions, caller, &call.input).await,
        "DeleteFunction" => functions::delete(functions, caller, decode(call)?).await,
        "PublishVersion" => versions::publish(functions, caller, decode(call)?).await,
        "ListVersionsByFunction" => versions::list(functions, caller, decode(call)?),
        "CreateAlias" => aliases::create(functions, caller, decode(call)?).await,
        "UpdateAlias" => aliases::update(functions, caller, decode(call)?).await,
        "GetAlias" => aliases::get(functions, caller, &decode(call)?),
        "ListAliases" => aliases::list(functions, caller, decode(call)?),
        "DeleteAlias" => aliases::delete(functions, caller, decode(call)?).await,
        "PublishLayerVersion" => layers::publish(functions, caller, decode(call)?).await,
        "GetLayerVersion" => layers::get(functions, &decode(call)?),
        "GetLayerVersionByArn" => layers::get_by_arn(functions, &decode(call)?),
        "ListLayers" => Ok(layers::list(functions, decode(call)?)),
        "ListLayerVersions" => Ok(layers::list_versions(functions, decode(call)?)),
        "DeleteLayerVersion" => layers::delete(functions, decode(call)?).await,
        "AddPermission" => permissions::add(functions, caller, decode(call)?).await,
        "RemovePermission" => permissions::remove(functions, caller, decode(call)?).await,
        "GetPolicy" => permissions::get(functions, caller, decode(call)?),
        "PutFunctionConcurrency" => account::put(functions, caller, decode(call)?).await,
        "GetFunctionConcurrency" => account::get(functions, caller, &decode(call)?),
        "DeleteFunctionConcurrency" => account::delete(functions, caller, decode(call)?).await,
        "GetAccountSettings" => Ok(account::settings(functions)),
        "PutFunctionEventInvokeConfig" => {
            event_configs::set(functions, caller, decode(call)?, true).await
        }
        "UpdateFunctionEventInvokeConfig" => {
            event_configs::set(functions, caller, decode(call)?, false).await
        }
        "GetFunctionEventInvokeConfig" => event_configs::get(functions, caller, decode(call)?),
        "ListFunctionEventInvokeConfigs" => event_configs::list(functions, caller, decode(call)?),
        "DeleteFunctionEventInvokeConfig" => {
            event_configs::delete(functions, caller, decode(call)?).await
        }
        "CreateEventSourceMapping" => mappings::create(functions, caller, &call.input).await,
        "UpdateEventSourceMapping" => mappings::update(functions, caller, &call.input).await,
        "GetEventSourceMapping" => mappings::get(functions, caller, &decode(call)?),
        "ListEventSourceMappings" => mappings::list(functions, caller, decode(call)?),
        "DeleteEventSourceMapping" => mappings::delete(functions, caller, decode(call)?).await,
        "TagResource" => tags::add(platform, decode(call)?).await,
        "UntagResource" => tags::remove(platform, decode(call)?).await,
        "ListTags" => tags::list(platform, decode(call)?).await,
        "Invoke" => invoke::invoke(functions, caller, decode(call)?, id).await,
        "InvokeAsync" => invoke::invoke_async(functions, caller, decode(call)?, id).await,
        other => return Err(unsupported("lambda", other)),
    };
    answered.map_err(|error| error.answer(call.service))
}
