//! Layers.

use bessemer_functions::{Functions, Layer, LayerVersion, PublishLayer};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    configuration::{sha256, time},
    error::Error,
    functions::WireCode,
    names::layer_name,
    pages::{Paging, key_of},
};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PublishLayerVersion {
    layer_name: String,
    #[serde(default)]
    description: String,
    content: WireCode,
    #[serde(default)]
    compatible_architectures: Vec<String>,
    #[serde(default)]
    compatible_runtimes: Vec<String>,
    license_info: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OneVersion {
    layer_name: String,
    version_number: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ByArn {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    #[serde(default)]
    layer_name: String,
    compatible_runtime: Option<String>,
    compatible_architecture: Option<String>,
    #[serde(flatten)]
    paging: Paging,
}

impl List {
    fn takes(&self, version: &LayerVersion) -> bool {
        let has = |known: &[String], wanted: Option<&String>| {
            wanted.is_none_or(|wanted| known.contains(wanted))
        };
        has(&version.runtimes, self.compatible_runtime.as_ref())
            && has(&version.architectures, self.compatible_architecture.as_ref())
    }
}

pub(super) async fn publish(
    functions: &Functions,
    caller: &Caller,
    input: PublishLayerVersion,
) -> Result<Value, Error> {
    let name = layer_name(&input.layer_name).to_owned();
    let publish = PublishLayer {
        arn: caller.arn("lambda", &format!("layer:{name}")),
        name,
        source: input.content.source()?,
        description: input.description,
        runtimes: input.compatible_runtimes,
        architectures: input.compatible_architectures,
        license: input.license_info,
    };
    let (layer, version) = functions.publish_layer(publish).await?;
    Ok(whole(&layer, &version))
}

pub(super) fn get(functions: &Functions, input: &OneVersion) -> Result<Value, Error> {
    find(functions, layer_name(&input.layer_name), input.version_number)
}

pub(super) fn get_by_arn(functions: &Functions, input: &ByArn) -> Result<Value, Error> {
    let number = input.arn.split(':').nth(7).and_then(|number| number.parse().ok());
    find(functions, layer_name(&input.arn), number.unwrap_or_default())
}

pub(super) fn list(functions: &Functions, input: List) -> Value {
    let mut items = Vec::new();
    for layer in functions.layers() {
        let latest = layer.versions.values().rfind(|version| input.takes(version));
        if let Some(latest) = latest {
            let item = json!({
                "LayerName": layer.name,
                "LayerArn": layer.arn,
                "LatestMatchingVersion": item(&layer, latest),
            });
            items.push((layer.name.clone(), item));
        }
    }
    let (page, next) = input.paging.page(items);
    json!({ "Layers": page, "NextMarker": next })
}

/// The latest version comes first.
pub(super) fn list_versions(functions: &Functions, input: List) -> Value {
    let layer = functions.layer(layer_name(&input.layer_name));
    let mut items = Vec::new();
    if let Some(layer) = &layer {
        let versions = layer.versions.values().rev().filter(|version| input.takes(version));
        items.extend(versions.map(|version| {
            (key_of(u64::MAX - version.number), Value::Object(item(layer, version)))
        }));
    }
    let (page, next) = input.paging.page(items);
    json!({ "LayerVersions": page, "NextMarker": next })
}

pub(super) async fn delete(functions: &Functions, input: OneVersion) -> Result<Value, Error> {
    let name = layer_name(&input.layer_name);
    functions.delete_layer_version(name, input.version_number).await?;
    Ok(json!({}))
}

fn find(functions: &Functions, name: &str, number: u64) -> Result<Value, Error> {
    let missing = || Error::missing("The resource you requested does not exist.");
    let layer = functions.layer(name).ok_or_else(missing)?;
    let version = layer.versions.get(&number).ok_or_else(missing)?;
    Ok(whole(&layer, version))
}

fn item(layer: &Layer, version: &LayerVersion) -> Map<String, Value> {
    let mut item = Map::new();
    let mut put = |name: &str, value: Value| drop(item.insert(name.to_owned(), value));
    put("LayerVersionArn", layer.version_arn(version.number).into());
    put("Version", version.number.into());
    put("Description", version.description.clone().into());
    put("CreatedDate", time(version.created_at).into());
    if !version.runtimes.is_empty() {
        put("CompatibleRuntimes", version.runtimes.clone().into());
    }
    if !version.architectures.is_empty() {
        put("CompatibleArchitectures", version.architectures.clone().into());
    }
    if let Some(license) = &version.license {
        put("LicenseInfo", license.clone().into());
    }
    item
}

fn whole(layer: &Layer, version: &LayerVersion) -> Value {
    let mut answer = item(layer, version);
    answer.insert("LayerArn".to_owned(), layer.arn.clone().into());
    let content = json!({ "CodeSha256": sha256(&version.code), "CodeSize": version.code.size });
    answer.insert("Content".to_owned(), content);
    Value::Object(answer)
}
