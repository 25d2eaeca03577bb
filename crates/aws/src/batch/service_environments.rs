//! Service environments: what queues of training jobs run in.

use bessemer_store::BatchResourceKind::ServiceEnvironment;
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
    let name = text(input, "serviceEnvironmentName");
    let mut document = members(input);
    document.entry("state").or_insert(json!("ENABLED"));
    let arn = keep(platform, caller, ServiceEnvironment, name, document).await?;
    Ok(json!({ "serviceEnvironmentName": name, "serviceEnvironmentArn": arn }))
}

pub(super) async fn update(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let environment = get(platform, text(input, "serviceEnvironment")).await?;
    let members = ["state", "capacityLimits"];
    let Resource { name, arn, .. } =
        resource::update(platform, environment, input, &members).await?;
    Ok(json!({ "serviceEnvironmentName": name, "serviceEnvironmentArn": arn }))
}

pub(super) async fn describe(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let all = resource::list(platform, ServiceEnvironment, &input["serviceEnvironments"]).await?;
    let (page, next) = page(all, input)?;
    let detail = |Resource { name, arn, mut document }: Resource| {
        document.insert("serviceEnvironmentName".to_owned(), json!(name));
        document.insert("serviceEnvironmentArn".to_owned(), json!(arn));
        document.insert("status".to_owned(), json!("VALID"));
        Value::Object(document)
    };
    let details: Vec<Value> = page.into_iter().map(detail).collect();
    Ok(json!({ "serviceEnvironments": details, "nextToken": next }))
}

pub(super) async fn delete(platform: &Platform, input: &Value) -> Result<Value, Error> {
    resource::delete_environment(platform, ServiceEnvironment, input, "serviceEnvironment").await
}

pub(super) async fn get(platform: &Platform, name: &str) -> Result<Resource, Error> {
    let found = find(platform, ServiceEnvironment, name).await?;
    found.ok_or_else(|| Error::Client(format!("Service environment {name} does not exist")))
}
