//! Tags of whatever has an ARN.

use bessemer_domain::JobKind;
use bessemer_jobs::JobsError;
use bessemer_store::Tag;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::Error;
use crate::platform::Platform;

/// Tags that something may have.
const MOST: usize = 50;

/// A tag on the wire.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireTag {
    key: String,
    value: String,
}

impl From<WireTag> for Tag {
    fn from(tag: WireTag) -> Self {
        Self::new(tag.key, tag.value)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddTags {
    resource_arn: String,
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListTags {
    resource_arn: String,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteTags {
    resource_arn: String,
    tag_keys: Vec<String>,
}

pub(super) async fn add(platform: &Platform, input: AddTags) -> Result<Value, Error> {
    check_exists(platform, &input.resource_arn).await?;
    let tags = platform.store.tags();
    let mut keys: Vec<String> =
        tags.list(&input.resource_arn).await?.into_iter().map(|tag| tag.key).collect();
    keys.extend(input.tags.iter().map(|tag| tag.key.clone()));
    keys.sort();
    keys.dedup();
    if keys.len() > MOST {
        let message = format!("A resource has {MOST} tags at most, it would have {}", keys.len());
        return Err(Error::Validation(message));
    }
    tags.add(&input.resource_arn, input.tags.into_iter().map(Tag::from).collect()).await?;
    Ok(json!({ "Tags": wire(tags.list(&input.resource_arn).await?) }))
}

/// The pages go on after the last key.
pub(super) async fn list(platform: &Platform, input: ListTags) -> Result<Value, Error> {
    check_exists(platform, &input.resource_arn).await?;
    let mut tags = wire(platform.store.tags().list(&input.resource_arn).await?);
    if let Some(last) = input.next_token {
        tags.retain(|tag| tag.key > last);
    }
    let most = input.max_results.unwrap_or(MOST);
    let next = (tags.len() > most).then(|| tags[most - 1].key.clone());
    tags.truncate(most);
    Ok(json!({ "Tags": tags, "NextToken": next }))
}

pub(super) async fn delete(platform: &Platform, input: DeleteTags) -> Result<Value, Error> {
    check_exists(platform, &input.resource_arn).await?;
    platform.store.tags().remove(&input.resource_arn, input.tag_keys).await?;
    Ok(json!({}))
}

fn wire(tags: Vec<Tag>) -> Vec<WireTag> {
    tags.into_iter().map(|Tag { key, value }| WireTag { key, value }).collect()
}

/// That there is something of this ARN.
async fn check_exists(platform: &Platform, arn: &str) -> Result<(), Error> {
    let missing = || Error::Validation(format!("Could not find resource \"{arn}\"."));
    let resource = arn.splitn(6, ':').nth(5).and_then(|resource| resource.split_once('/'));
    let (kind, name) = resource.ok_or_else(missing)?;
    let kind = match kind {
        "model" => {
            let model = platform.store.models().get(name).await?;
            return model.filter(|model| model.arn == arn).map(drop).ok_or_else(missing);
        }
        "pipeline" => {
            let pipeline = platform.store.pipelines().get(name).await?;
            return pipeline.filter(|one| one.arn == arn).map(drop).ok_or_else(missing);
        }
        "model-package-group" => {
            let group = platform.store.packages().group(name).await?;
            return group.filter(|group| group.arn == arn).map(drop).ok_or_else(missing);
        }
        "hyper-parameter-tuning-job" => {
            let record = platform.store.tuning().get(name).await?;
            return record.filter(|record| record.arn == arn).map(drop).ok_or_else(missing);
        }
        "model-package" => {
            let package = platform.store.packages().get(arn).await?;
            return package.map(drop).ok_or_else(missing);
        }
        "transform-job" => JobKind::Transform,
        "training-job" => JobKind::Training,
        "processing-job" => JobKind::Processing,
        _ => return Err(missing()),
    };
    match platform.jobs.get(kind, name).await {
        Ok(job) if job.arn == arn => Ok(()),
        Ok(_) | Err(JobsError::NotFound { .. }) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}
