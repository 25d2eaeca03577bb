//! Model packages: versions of a group, or packages with a name of their own.

use bessemer_store::{Package, PackageGroup, StoreError};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{error::Error, tags::WireTag, times::seconds},
    groups::{self, List},
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateModelPackage {
    model_package_name: Option<String>,
    model_package_group_name: Option<String>,
    inference_specification: Option<Value>,
    source_algorithm_specification: Option<Value>,
    source_uri: Option<String>,
    validation_specification: Option<Value>,
    model_approval_status: Option<String>,
    client_token: Option<String>,
    #[serde(default)]
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PackageName {
    model_package_name: String,
}

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let package = kept(platform, caller, input).await?;
    Ok(json!({ "ModelPackageArn": package.arn }))
}

/// Makes a package for a step of a pipeline, and its group if it is missing. Returns the package as
/// Describe tells of it.
pub(in super::super) async fn register(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    if let Some(name) = input["ModelPackageGroupName"].as_str() {
        let name = groups::name_of(name).to_owned();
        let group = PackageGroup {
            id: 0,
            arn: caller.arn("sagemaker", &format!("model-package-group/{name}")),
            name,
            description: None,
            created_at: platform.clock.now_millis(),
        };
        match platform.store.packages().create_group(group, Vec::new()).await {
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    described(&kept(platform, caller, input).await?)
}

async fn kept(platform: &Platform, caller: &Caller, input: &Value) -> Result<Package, Error> {
    let internal = |error: serde_json::Error| Error::Internal(error.into());
    let request = CreateModelPackage::deserialize(input).map_err(internal)?;
    check(&request).map_err(Error::Validation)?;
    let group = request.model_package_group_name.as_deref().map(groups::name_of);
    if let Some(group) = group
        && platform.store.packages().group(group).await?.is_none()
    {
        return Err(groups::missing(caller, group));
    }
    let name = group.or(request.model_package_name.as_deref()).unwrap_or_default().to_owned();
    let mut document = input.as_object().cloned().unwrap_or_default();
    for member in ["Tags", "ClientToken", "ModelApprovalStatus", "ModelPackageGroupName"] {
        document.remove(member);
    }
    let pending = || "PendingManualApproval".to_owned();
    let package = Package {
        id: 0,
        arn: caller.arn("sagemaker", &format!("model-package/{name}")),
        group: group.map(str::to_owned),
        version: None,
        approval: request.model_approval_status.or_else(|| group.map(|_| pending())),
        token: request.client_token,
        request: Value::Object(document).to_string(),
        created_at: platform.clock.now_millis(),
        modified_at: None,
        name,
    };
    let arn = package.arn.clone();
    let tags = request.tags.into_iter().map(Into::into).collect();
    match platform.store.packages().create(package, tags).await {
        Ok(package) => Ok(package),
        Err(StoreError::AlreadyExists { .. }) => {
            Err(Error::Validation(format!("Model package already exists: {arn}")))
        }
        Err(error) => Err(error.into()),
    }
}

fn check(request: &CreateModelPackage) -> Result<(), String> {
    match (&request.model_package_name, &request.model_package_group_name) {
        (Some(_), Some(_)) => {
            return Err("Both ModelPackageName and ModelPackageGroupName are given, give one of \
                        them"
                .to_owned());
        }
        (None, None) => {
            return Err("Either ModelPackageName or ModelPackageGroupName must be given".to_owned());
        }
        _ => {}
    }
    if request.validation_specification.is_some() {
        return Err("ValidationSpecification is not supported by Bessemer".to_owned());
    }
    let is_made_of = request.inference_specification.is_some()
        || request.source_algorithm_specification.is_some()
        || request.source_uri.is_some();
    if is_made_of || request.model_package_group_name.is_some() {
        return Ok(());
    }
    Err("Either InferenceSpecification or SourceAlgorithmSpecification must be given".to_owned())
}

fn missing(caller: &Caller, name: &str) -> Error {
    let arn = match name.strip_prefix("arn:") {
        Some(_) => name.to_owned(),
        None => caller.arn("sagemaker", &format!("model-package/{name}")),
    };
    Error::Validation(format!("ModelPackage {arn} does not exist."))
}

async fn find(platform: &Platform, caller: &Caller, name: &str) -> Result<Package, Error> {
    let found = platform.store.packages().get(name).await?;
    found.ok_or_else(|| missing(caller, name))
}

fn summary(package: &Package, description: Option<&Value>) -> Map<String, Value> {
    let mut members = Map::new();
    let mut add = |name: &str, value: Value| {
        if !value.is_null() {
            members.insert(name.to_owned(), value);
        }
    };
    add("ModelPackageName", json!(package.name));
    add("ModelPackageGroupName", json!(package.group));
    add("ModelPackageVersion", json!(package.version));
    add("ModelPackageArn", json!(package.arn));
    add("ModelPackageDescription", description.cloned().unwrap_or_default());
    add("CreationTime", seconds(package.created_at));
    add("ModelPackageStatus", json!("Completed"));
    add("ModelApprovalStatus", json!(package.approval));
    members
}

/// A package with all that is known of it.
fn described(package: &Package) -> Result<Value, Error> {
    let internal = |error: serde_json::Error| Error::Internal(error.into());
    let mut answer: Map<String, Value> =
        serde_json::from_str(&package.request).map_err(internal)?;
    let description = answer.get("ModelPackageDescription").cloned();
    answer.extend(summary(package, description.as_ref()));
    answer.insert("CreatedBy".to_owned(), json!({}));
    answer.insert(
        "ModelPackageStatusDetails".to_owned(),
        json!({ "ValidationStatuses": [], "ImageScanStatuses": [] }),
    );
    if let Some(at) = package.modified_at {
        answer.insert("LastModifiedTime".to_owned(), seconds(at));
    }
    Ok(Value::Object(answer))
}

pub(super) async fn describe(
    platform: &Platform,
    caller: &Caller,
    input: PackageName,
) -> Result<Value, Error> {
    described(&find(platform, caller, &input.model_package_name).await?)
}

pub(super) async fn list(platform: &Platform, input: List) -> Result<Value, Error> {
    let group =
        input.model_package_group_name.as_deref().map(|name| groups::name_of(name).to_owned());
    let versioned = match (input.model_package_type.as_deref(), &group) {
        (_, Some(_)) | (Some("Both"), None) => None,
        (Some("Versioned"), None) => Some(true),
        _ => Some(false),
    };
    let query = bessemer_store::PackageQuery { group, versioned, ..input.query() };
    let page = platform.store.packages().list(&query).await?;
    let summaries: Vec<Value> = page
        .entries
        .iter()
        .map(|package| {
            let request: Value = serde_json::from_str(&package.request).unwrap_or_default();
            summary(package, request.get("ModelPackageDescription")).into()
        })
        .collect();
    Ok(json!({ "ModelPackageSummaryList": summaries, "NextToken": page.next }))
}

pub(super) async fn update(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let arn = input["ModelPackageArn"].as_str().unwrap_or_default();
    let mut package = find(platform, caller, arn).await?;
    let mut request: Value = serde_json::from_str(&package.request).unwrap_or_default();
    if let Some(approval) = input["ModelApprovalStatus"].as_str() {
        package.approval = Some(approval.to_owned());
    }
    for member in [
        "ApprovalDescription",
        "InferenceSpecification",
        "SourceUri",
        "ModelCard",
        "ModelLifeCycle",
        "ModelPackageRegistrationType",
    ] {
        if let Some(value) = input.get(member) {
            request[member] = value.clone();
        }
    }
    let properties = "CustomerMetadataProperties";
    for (name, value) in input[properties].as_object().into_iter().flatten() {
        request[properties][name.as_str()] = value.clone();
    }
    for name in input["CustomerMetadataPropertiesToRemove"].as_array().into_iter().flatten() {
        let held = request[properties].as_object_mut();
        held.zip(name.as_str()).and_then(|(held, name)| held.shift_remove(name));
    }
    if let Some(added) = input["AdditionalInferenceSpecificationsToAdd"].as_array() {
        let member = "AdditionalInferenceSpecifications";
        let known = request[member].as_array().cloned().unwrap_or_default();
        request[member] = known.into_iter().chain(added.iter().cloned()).collect();
    }
    package.request = request.to_string();
    package.modified_at = Some(platform.clock.now_millis());
    let arn = package.arn.clone();
    platform.store.packages().update(package).await?;
    Ok(json!({ "ModelPackageArn": arn }))
}

pub(super) async fn delete(
    platform: &Platform,
    caller: &Caller,
    input: PackageName,
) -> Result<Value, Error> {
    let package = find(platform, caller, &input.model_package_name).await?;
    platform.store.packages().delete(&package).await?;
    Ok(json!({}))
}
