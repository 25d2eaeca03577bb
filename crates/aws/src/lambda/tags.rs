//! Tags of functions.

use std::collections::BTreeMap;

use bessemer_store::Tag;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::error::Error;
use crate::platform::Platform;

/// Tags that something may have.
const MOST: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagResource {
    resource: String,
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagResource {
    resource: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTags {
    resource: String,
}

pub(super) async fn add(platform: &Platform, input: TagResource) -> Result<Value, Error> {
    check_exists(platform, &input.resource)?;
    let tags = platform.store.tags();
    let known = tags.list(&input.resource).await?;
    let kept = known.iter().filter(|tag| !input.tags.contains_key(&tag.key)).count();
    if kept + input.tags.len() > MOST {
        return Err(Error::invalid(format!("A resource has {MOST} tags at most")));
    }
    let new = input.tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect();
    tags.add(&input.resource, new).await?;
    Ok(json!({}))
}

pub(super) async fn remove(platform: &Platform, input: UntagResource) -> Result<Value, Error> {
    check_exists(platform, &input.resource)?;
    platform.store.tags().remove(&input.resource, input.tag_keys).await?;
    Ok(json!({}))
}

pub(super) async fn list(platform: &Platform, input: ListTags) -> Result<Value, Error> {
    check_exists(platform, &input.resource)?;
    let tags = platform.store.tags().list(&input.resource).await?;
    let tags: Map<String, Value> =
        tags.into_iter().map(|tag| (tag.key, Value::from(tag.value))).collect();
    Ok(json!({ "Tags": tags }))
}

fn check_exists(platform: &Platform, arn: &str) -> Result<(), Error> {
    let name = arn.split(':').nth(6).unwrap_or_default();
    match platform.functions.get(name, arn) {
        Ok(function) if function.arn == arn => Ok(()),
        Ok(_) => Err(Error::missing(format!("Function not found: {arn}"))),
        Err(error) => Err(error.into()),
    }
}
