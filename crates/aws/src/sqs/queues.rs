//! Queues themselves: made, found, changed, deleted.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bessemer_queues::{Attributes, CreateQueue as NewQueue, QueueError, QueueList};
use bessemer_store::Tag;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Site, error::Error, name, nothing};

/// Queues of a list, at most.
const MOST: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateQueue {
    queue_name: String,
    #[serde(default)]
    attributes: Attributes,
    #[serde(default, rename = "tags")]
    tags: BTreeMap<String, String>,
}

pub(super) async fn create(site: &Site<'_>, input: CreateQueue) -> Result<Value, Error> {
    let wanted = NewQueue {
        arn: site.caller.arn("sqs", &input.queue_name),
        name: input.queue_name,
        attributes: input.attributes,
        tags: input.tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect(),
    };
    let queue = site.queues.create(wanted).await?;
    Ok(json!({ "QueueUrl": site.url(&queue.name) }))
}

/// A call that names a queue, and nothing more.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct OfQueue {
    queue_url: String,
}

pub(super) async fn delete(site: &Site<'_>, input: &OfQueue) -> Result<Value, Error> {
    site.queues.delete(name(&input.queue_url)?).await?;
    Ok(nothing())
}

pub(super) async fn purge(site: &Site<'_>, input: &OfQueue) -> Result<Value, Error> {
    site.queues.purge(name(&input.queue_url)?).await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueUrl {
    queue_name: String,
}

pub(super) fn url(site: &Site<'_>, input: &GetQueueUrl) -> Result<Value, Error> {
    let queue = site.queues.find(&input.queue_name)?;
    Ok(json!({ "QueueUrl": site.url(&queue.name) }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListQueues {
    #[serde(default)]
    queue_name_prefix: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

pub(super) fn list(site: &Site<'_>, input: &ListQueues) -> Result<Value, Error> {
    let (limit, after) = page(input.max_results, input.next_token.as_deref())?;
    let list = site.queues.list(&input.queue_name_prefix, after.as_deref(), limit);
    Ok(answer_list(site, &list, input.max_results, "QueueUrls"))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListDeadLetterSourceQueues {
    queue_url: String,
    max_results: Option<i64>,
    next_token: Option<String>,
}

pub(super) fn dead_letter_sources(
    site: &Site<'_>,
    input: &ListDeadLetterSourceQueues,
) -> Result<Value, Error> {
    let (limit, after) = page(input.max_results, input.next_token.as_deref())?;
    let target = name(&input.queue_url)?;
    let list = site.queues.dead_letter_sources(target, after.as_deref(), limit)?;
    let mut answer = answer_list(site, &list, input.max_results, "queueUrls");
    if list.queues.is_empty() {
        answer["queueUrls"] = json!([]);
    }
    Ok(answer)
}

/// How many queues to list, and after which.
fn page(most: Option<i64>, token: Option<&str>) -> Result<(usize, Option<String>), Error> {
    let limit = most.map_or(Some(MOST), |most| usize::try_from(most).ok());
    let Some(limit) = limit.filter(|limit| (1..=MOST).contains(limit)) else {
        let message = "Value for parameter MaxResults is invalid. Reason: MaxResults must be an \
                       integer between 1 and 1000.";
        return Err(QueueError::Parameter(message.to_owned()).into());
    };
    let Some(token) = token.filter(|token| !token.is_empty()) else { return Ok((limit, None)) };
    let after = URL_SAFE_NO_PAD.decode(token).ok().and_then(|text| String::from_utf8(text).ok());
    after.map(|after| (limit, Some(after))).ok_or(Error::Token)
}

/// The page in the form of clients: they get a token only if they said how much they want.
fn answer_list(site: &Site<'_>, list: &QueueList, most: Option<i64>, member: &str) -> Value {
    let mut answer = json!({});
    let urls: Vec<String> = list.queues.iter().map(|queue| site.url(&queue.name)).collect();
    if !urls.is_empty() {
        answer[member] = json!(urls);
    }
    if let Some(last) = list.queues.last().filter(|_| list.has_more && most.is_some()) {
        answer["NextToken"] = json!(URL_SAFE_NO_PAD.encode(&last.name));
    }
    answer
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetQueueAttributes {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
}

pub(super) async fn attributes(site: &Site<'_>, input: GetQueueAttributes) -> Result<Value, Error> {
    let mut all = site.queues.attributes(name(&input.queue_url)?).await?;
    let wanted = input.attribute_names;
    for name in &wanted {
        if name != "All" && !ATTRIBUTES.contains(&name.as_str()) {
            return Err(QueueError::UnknownAttribute(name.clone()).into());
        }
    }
    if !wanted.iter().any(|name| name == "All") {
        all.retain(|name, _| wanted.contains(name));
    }
    Ok(if all.is_empty() { nothing() } else { json!({ "Attributes": all }) })
}

/// The attributes that may be asked for.
const ATTRIBUTES: [&str; 21] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
    "ContentBasedDeduplication",
    "CreatedTimestamp",
    "DeduplicationScope",
    "DelaySeconds",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsDataKeyReusePeriodSeconds",
    "KmsMasterKeyId",
    "LastModifiedTimestamp",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "Policy",
    "QueueArn",
    "ReceiveMessageWaitTimeSeconds",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
    "VisibilityTimeout",
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SetQueueAttributes {
    queue_url: String,
    attributes: Attributes,
}

pub(super) async fn set_attributes(
    site: &Site<'_>,
    input: &SetQueueAttributes,
) -> Result<Value, Error> {
    site.queues.set_attributes(name(&input.queue_url)?, &input.attributes).await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AddPermission {
    queue_url: String,
    label: String,
    #[serde(rename = "AWSAccountIds")]
    accounts: Vec<String>,
    actions: Vec<String>,
}

pub(super) async fn add_permission(site: &Site<'_>, input: &AddPermission) -> Result<Value, Error> {
    let name = name(&input.queue_url)?;
    site.queues.add_permission(name, &input.label, &input.accounts, &input.actions).await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RemovePermission {
    queue_url: String,
    label: String,
}

pub(super) async fn remove_permission(
    site: &Site<'_>,
    input: &RemovePermission,
) -> Result<Value, Error> {
    site.queues.remove_permission(name(&input.queue_url)?, &input.label).await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TagQueue {
    queue_url: String,
    tags: BTreeMap<String, String>,
}

pub(super) async fn tag(site: &Site<'_>, input: TagQueue) -> Result<Value, Error> {
    let tags = input.tags.into_iter().map(|(key, value)| Tag::new(key, value)).collect();
    site.queues.tag(name(&input.queue_url)?, tags).await?;
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UntagQueue {
    queue_url: String,
    tag_keys: Vec<String>,
}

pub(super) async fn untag(site: &Site<'_>, input: UntagQueue) -> Result<Value, Error> {
    site.queues.untag(name(&input.queue_url)?, input.tag_keys).await?;
    Ok(nothing())
}

pub(super) async fn tags(site: &Site<'_>, input: &OfQueue) -> Result<Value, Error> {
    let tags = site.queues.tags(name(&input.queue_url)?).await?;
    let tags: BTreeMap<String, String> = tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    Ok(if tags.is_empty() { nothing() } else { json!({ "Tags": tags }) })
}
