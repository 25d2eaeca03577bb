//! Versions of functions.

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_domain::hex;
use bessemer_functions::{Functions, Publish};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    configuration::configuration,
    error::Error,
    names::FunctionName,
    pages::{Paging, key_of},
};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PublishVersion {
    function_name: String,
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
    publish_to: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersions {
    function_name: String,
    #[serde(flatten)]
    paging: Paging,
}

pub(super) async fn publish(
    functions: &Functions,
    caller: &Caller,
    input: PublishVersion,
) -> Result<Value, Error> {
    let name = FunctionName::whole(caller, &input.function_name)?;
    if input.publish_to.is_some() {
        return Err(Error::invalid("PublishTo is not supported by Bessemer"));
    }
    let in_hexadecimal = |hash: String| hex(&STANDARD.decode(hash).unwrap_or_default());
    let publish = Publish {
        description: input.description,
        sha256: input.code_sha256.map(in_hexadecimal),
        revision: input.revision_id,
    };
    let (function, version) = functions.publish(&name.name, &name.arn, publish).await?;
    let qualifier = version.name();
    Ok(Value::Object(configuration(functions, &function, &version, Some(&qualifier))))
}

pub(super) fn list(
    functions: &Functions,
    caller: &Caller,
    input: ListVersions,
) -> Result<Value, Error> {
    let name = FunctionName::whole(caller, &input.function_name)?;
    let function = functions.get(&name.name, &name.arn)?;
    let versions = function.all_versions().map(|version| {
        let rendered = configuration(functions, &function, version, Some(&version.name()));
        (key_of(version.number.unwrap_or_default()), rendered)
    });
    let (page, next) = input.paging.page(versions.collect());
    Ok(json!({ "Versions": page, "NextMarker": next }))
}
