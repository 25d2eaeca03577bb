//! How many invocations there may be at once, and what the account has.

use bessemer_functions::Functions;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, names::FunctionName};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutConcurrency {
    function_name: String,
    reserved_concurrent_executions: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfFunction {
    function_name: String,
}

pub(super) async fn put(
    functions: &Functions,
    caller: &Caller,
    input: PutConcurrency,
) -> Result<Value, Error> {
    let name = FunctionName::whole(caller, &input.function_name)?;
    let reserved = input.reserved_concurrent_executions;
    functions.reserve(&name.name, &name.arn, Some(reserved)).await?;
    Ok(json!({ "ReservedConcurrentExecutions": reserved }))
}

pub(super) fn get(
    functions: &Functions,
    caller: &Caller,
    input: &OfFunction,
) -> Result<Value, Error> {
    let name = FunctionName::whole(caller, &input.function_name)?;
    let function = functions.get(&name.name, &name.arn)?;
    Ok(json!({ "ReservedConcurrentExecutions": function.reserved }))
}

pub(super) async fn delete(
    functions: &Functions,
    caller: &Caller,
    input: OfFunction,
) -> Result<Value, Error> {
    let name = FunctionName::whole(caller, &input.function_name)?;
    functions.reserve(&name.name, &name.arn, None).await?;
    Ok(json!({}))
}

pub(super) fn settings(functions: &Functions) -> Value {
    let all = functions.list();
    let versions = all.iter().flat_map(|function| function.all_versions());
    let of_layers = functions.layers();
    let layers = of_layers.iter().flat_map(|layer| layer.versions.values());
    let size: u64 = versions.map(|version| version.code.size).sum::<u64>()
        + layers.map(|version| version.code.size).sum::<u64>();
    let reserved: u32 = all.iter().filter_map(|function| function.reserved).sum();
    let concurrency = functions.limits().concurrency;
    json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": concurrency,
            "UnreservedConcurrentExecutions": concurrency.saturating_sub(reserved),
        },
        "AccountUsage": { "TotalCodeSize": size, "FunctionCount": all.len() },
    })
}
