//! Compute environments: descriptions of this machine, which runs all jobs.

use bessemer_store::BatchResourceKind::ComputeEnvironment;
use serde_json::{Value, json};

use super::{
    error::Error,
    page::page,
    resource::{self, Resource, create as keep, find, members, text},
};
use crate::{caller::Caller, platform::Platform};

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let name = text(input, "computeEnvironmentName");
    if input.get("eksConfiguration").is_some() {
        return Err(Error::unsupported("A compute environment of EKS (`eksConfiguration`)"));
    }
    let is_managed = text(input, "type") == "MANAGED";
    match input.get("computeResources") {
        None if is_managed => {
            return Err(Error::client(
                "computeResources must be provided for a MANAGED compute environment",
            ));
        }
        Some(_) if !is_managed => {
            return Err(Error::client(
                "computeResources must not be provided for an UNMANAGED compute environment",
            ));
        }
        _ => {}
    }
    let mut document = members(input);
    document.entry("state").or_insert(json!("ENABLED"));
    let arn = keep(platform, caller, ComputeEnvironment, name, document).await?;
    Ok(json!({ "computeEnvironmentName": name, "computeEnvironmentArn": arn }))
}

pub(super) async fn update(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let mut environment = get(platform, text(input, "computeEnvironment")).await?;
    if let Some(changes) = input["computeResources"].as_object() {
        let resources = environment.document.entry("computeResources").or_insert(json!({}));
        if let Some(resources) = resources.as_object_mut() {
            resources.extend(changes.clone());
        }
    }
    let members =
        ["state", "unmanagedvCpus", "serviceRole", "updatePolicy", "context", "ecsSettings"];
    let environment = resource::update(platform, environment, input, &members).await?;
    Ok(json!({
        "computeEnvironmentName": environment.name,
        "computeEnvironmentArn": environment.arn,
    }))
}

pub(super) async fn describe(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let all = resource::list(platform, ComputeEnvironment, &input["computeEnvironments"]).await?;
    let (page, next) = page(all, input)?;
    let detail = |environment: Resource| {
        let Resource { name, arn, mut document } = environment;
        document.insert("computeEnvironmentName".to_owned(), json!(name));
        let cluster = arn.replacen(":batch:", ":ecs:", 1);
        let cluster = cluster.replacen("compute-environment/", "cluster/", 1);
        document.insert("computeEnvironmentArn".to_owned(), json!(arn));
        document.insert("ecsClusterArn".to_owned(), json!(cluster));
        document.insert("containerOrchestrationType".to_owned(), json!("ECS"));
        document.insert("status".to_owned(), json!("VALID"));
        document.insert("statusReason".to_owned(), json!("ComputeEnvironment Healthy"));
        Value::Object(document)
    };
    let details: Vec<Value> = page.into_iter().map(detail).collect();
    Ok(json!({ "computeEnvironments": details, "nextToken": next }))
}

pub(super) async fn delete(platform: &Platform, input: &Value) -> Result<Value, Error> {
    resource::delete_environment(platform, ComputeEnvironment, input, "computeEnvironment").await
}

pub(super) async fn get(platform: &Platform, name: &str) -> Result<Resource, Error> {
    let found = find(platform, ComputeEnvironment, name).await?;
    found.ok_or_else(|| Error::Client(format!("Compute environment {name} does not exist")))
}
