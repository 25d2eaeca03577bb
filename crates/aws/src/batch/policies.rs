//! Scheduling policies: how a queue is shared.

use bessemer_store::BatchResourceKind::{JobQueue, SchedulingPolicy};
use serde_json::{Value, json};

use super::{
    error::Error,
    page::page,
    resource::{self, Resource, create as keep, find, members, text},
    shares,
};
use crate::{caller::Caller, platform::Platform};

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let name = text(input, "name");
    if input.get("quotaSharePolicy").is_some() {
        return Err(Error::unsupported("A policy of quota shares (`quotaSharePolicy`)"));
    }
    shares::check(&input["fairsharePolicy"])?;
    let arn = keep(platform, caller, SchedulingPolicy, name, members(input)).await?;
    Ok(json!({ "name": name, "arn": arn }))
}

pub(super) async fn update(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let policy = get(platform, text(input, "arn")).await?;
    shares::check(&input["fairsharePolicy"])?;
    resource::update(platform, policy, input, &["fairsharePolicy"]).await?;
    shares::weigh(platform).await?;
    Ok(json!({}))
}

pub(super) async fn describe(platform: &Platform, input: &Value) -> Result<Value, Error> {
    if input["arns"].as_array().is_none_or(Vec::is_empty) {
        return Ok(json!({ "schedulingPolicies": [] }));
    }
    let all = resource::list(platform, SchedulingPolicy, &input["arns"]).await?;
    let detail = |Resource { name, arn, mut document }: Resource| {
        document.insert("name".to_owned(), json!(name));
        document.insert("arn".to_owned(), json!(arn));
        Value::Object(document)
    };
    Ok(json!({ "schedulingPolicies": all.into_iter().map(detail).collect::<Vec<Value>>() }))
}

pub(super) async fn list(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let all = resource::list(platform, SchedulingPolicy, &Value::Null).await?;
    let (page, next) = page(all, input)?;
    let arns: Vec<Value> = page.into_iter().map(|policy| json!({ "arn": policy.arn })).collect();
    Ok(json!({ "schedulingPolicies": arns, "nextToken": next }))
}

pub(super) async fn delete(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let Some(policy) = find(platform, SchedulingPolicy, text(input, "arn")).await? else {
        return Ok(json!({}));
    };
    let queues = resource::list(platform, JobQueue, &Value::Null).await?;
    if queues.iter().any(|queue| queue.text("schedulingPolicyArn") == policy.arn) {
        return Err(Error::client("Cannot delete, found existing JobQueue relationship"));
    }
    platform.store.batch().delete(&policy.arn).await?;
    Ok(json!({}))
}

pub(super) async fn get(platform: &Platform, arn: &str) -> Result<Resource, Error> {
    let found = find(platform, SchedulingPolicy, arn).await?;
    found.ok_or_else(|| Error::Client(format!("Scheduling policy {arn} does not exist")))
}
