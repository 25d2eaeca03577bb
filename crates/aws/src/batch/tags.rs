//! Tags of whatever of Batch's has an ARN.

use std::collections::BTreeMap;

use bessemer_store::{BatchResourceKind, Tag};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{definitions, error::Error, resource::tag_map};
use crate::platform::Platform;

/// Tags that something may have.
const MOST: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TagResource {
    resource_arn: String,
    tags: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UntagResource {
    resource_arn: String,
    tag_keys: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListTags {
    resource_arn: String,
}

pub(super) async fn add(platform: &Platform, input: TagResource) -> Result<Value, Error> {
    check_exists(platform, &input.resource_arn).await?;
    let tags = platform.store.tags();
    let known = tags.list(&input.resource_arn).await?;
    let new = input.tags.keys().filter(|key| known.iter().all(|tag| tag.key != **key)).count();
    if known.len() + new > MOST {
        return Err(Error::Client(format!("A resource has {MOST} tags at most")));
    }
    let added = input.tags.into_iter().map(|(key, value)| Tag { key, value }).collect();
    tags.add(&input.resource_arn, added).await?;
    Ok(json!({}))
}

pub(super) async fn remove(platform: &Platform, input: UntagResource) -> Result<Value, Error> {
    check_exists(platform, &input.resource_arn).await?;
    platform.store.tags().remove(&input.resource_arn, input.tag_keys).await?;
    Ok(json!({}))
}

pub(super) async fn list(platform: &Platform, input: ListTags) -> Result<Value, Error> {
    check_exists(platform, &input.resource_arn).await?;
    Ok(json!({ "tags": tag_map(platform.store.tags().list(&input.resource_arn).await?) }))
}

/// That there is something of this ARN.
async fn check_exists(platform: &Platform, arn: &str) -> Result<(), Error> {
    let missing = || Error::Client(format!("Resource {arn} does not exist"));
    let resource = arn.splitn(6, ':').nth(5).and_then(|resource| resource.split_once('/'));
    let (kind, name) = resource.ok_or_else(missing)?;
    let batch = platform.store.batch();
    let found = match kind {
        "job" => batch.get(name).await?.map(|job| job.arn),
        "service-job" => batch.service_job(name).await?.map(|job| job.arn),
        "job-definition" => definitions::find(platform, name).await?.map(|found| found.arn),
        _ => {
            let kinds = [
                BatchResourceKind::ComputeEnvironment,
                BatchResourceKind::JobQueue,
                BatchResourceKind::SchedulingPolicy,
                BatchResourceKind::ServiceEnvironment,
            ];
            let known = kinds.into_iter().find(|known| known.as_str() == kind);
            let known = known.ok_or_else(missing)?;
            batch.resource(known, arn).await?.map(|found| found.arn)
        }
    };
    found.filter(|found| found == arn).map(drop).ok_or_else(missing)
}
