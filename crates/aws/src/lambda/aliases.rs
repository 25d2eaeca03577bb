//! Aliases of functions.

use std::collections::BTreeMap;

use bessemer_functions::{Alias, AliasChange, Function, Functions};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, names::FunctionName, pages::Paging};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireAlias {
    function_name: String,
    name: String,
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<RoutingConfig>,
    revision_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoutingConfig {
    additional_version_weights: Option<BTreeMap<String, f64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AliasName {
    function_name: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListAliases {
    function_name: String,
    function_version: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

impl From<WireAlias> for AliasChange {
    fn from(alias: WireAlias) -> Self {
        Self {
            version: alias.function_version,
            description: alias.description,
            weights: alias
                .routing_config
                .map(|routing| routing.additional_version_weights.unwrap_or_default()),
            revision: alias.revision_id,
        }
    }
}

pub(super) async fn create(
    functions: &Functions,
    caller: &Caller,
    input: WireAlias,
) -> Result<Value, Error> {
    let of = FunctionName::whole(caller, &input.function_name)?;
    let name = input.name.clone();
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::invalid(format!(
            "1 validation error detected: Value '{name}' at 'name' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
        )));
    }
    let function = functions.create_alias(&of.name, &of.arn, &name, input.into()).await?;
    Ok(render(&function, &name, function.alias(&name)?))
}

pub(super) async fn update(
    functions: &Functions,
    caller: &Caller,
    input: WireAlias,
) -> Result<Value, Error> {
    let of = FunctionName::whole(caller, &input.function_name)?;
    let name = input.name.clone();
    let function = functions.update_alias(&of.name, &of.arn, &name, input.into()).await?;
    Ok(render(&function, &name, function.alias(&name)?))
}

pub(super) fn get(
    functions: &Functions,
    caller: &Caller,
    input: &AliasName,
) -> Result<Value, Error> {
    let of = FunctionName::whole(caller, &input.function_name)?;
    let function = functions.get(&of.name, &of.arn)?;
    Ok(render(&function, &input.name, function.alias(&input.name)?))
}

pub(super) fn list(
    functions: &Functions,
    caller: &Caller,
    input: ListAliases,
) -> Result<Value, Error> {
    let of = FunctionName::whole(caller, &input.function_name)?;
    let function = functions.get(&of.name, &of.arn)?;
    let is_of = |alias: &Alias| {
        let version = input.function_version.as_ref();
        version.is_none_or(|v| *v == alias.version || alias.weights.contains_key(v))
    };
    let aliases = function.aliases.iter().filter(|(_, alias)| is_of(alias));
    let aliases = aliases.map(|(name, alias)| (name.clone(), render(&function, name, alias)));
    let (page, next) = input.paging.page(aliases.collect());
    Ok(json!({ "Aliases": page, "NextMarker": next }))
}

pub(super) async fn delete(
    functions: &Functions,
    caller: &Caller,
    input: AliasName,
) -> Result<Value, Error> {
    let of = FunctionName::whole(caller, &input.function_name)?;
    functions.delete_alias(&of.name, &of.arn, &input.name).await?;
    Ok(json!({}))
}

fn render(function: &Function, name: &str, alias: &Alias) -> Value {
    let mut answer = json!({
        "AliasArn": function.qualified(Some(name)),
        "Name": name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision,
    });
    if !alias.weights.is_empty() {
        answer["RoutingConfig"] = json!({ "AdditionalVersionWeights": alias.weights });
    }
    answer
}
