//! What compute environments, queues, policies and service environments have in common.

use std::collections::BTreeMap;

use bessemer_store::{BatchResource, BatchResourceKind, Tag};
use serde_json::{Map, Value, json};

use super::error::Error;
use crate::{caller::Caller, platform::Platform};

/// A resource with its document read.
#[derive(Debug, Clone)]
pub(super) struct Resource {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) document: Map<String, Value>,
}

impl Resource {
    fn of(row: BatchResource) -> Result<Self, Error> {
        let document = serde_json::from_str(&row.document)?;
        Ok(Self { name: row.name, arn: row.arn, document })
    }

    /// A member of its document.
    pub(super) fn text(&self, member: &str) -> &str {
        self.document.get(member).and_then(Value::as_str).unwrap_or_default()
    }

    /// That it is out of use, so that it can be deleted.
    pub(super) fn check_disabled(&self) -> Result<(), Error> {
        if self.text("state") == "DISABLED" {
            return Ok(());
        }
        Err(Error::client("Cannot delete, resource must be in the DISABLED state"))
    }

    /// The names or ARNs in a list of its document, such as its `computeEnvironmentOrder`.
    pub(super) fn order(&self, member: &str, name: &str) -> Vec<String> {
        let all = self.document.get(member).and_then(Value::as_array).into_iter().flatten();
        let mut all: Vec<(i64, String)> = all
            .filter_map(|one| Some((one["order"].as_i64()?, one[name].as_str()?.to_owned())))
            .collect();
        all.sort();
        all.into_iter().map(|(_, name)| name).collect()
    }
}

/// Deletes the environment that `input` has as its `member`, unless a queue has it in its order. One that is
/// not there is deleted already, as AWS has it.
pub(super) async fn delete_environment(
    platform: &Platform,
    kind: BatchResourceKind,
    input: &Value,
    member: &str,
) -> Result<Value, Error> {
    let Some(environment) = find(platform, kind, text(input, member)).await? else {
        return Ok(json!({}));
    };
    environment.check_disabled()?;
    for queue in list(platform, BatchResourceKind::JobQueue, &Value::Null).await? {
        let order = queue.order(&format!("{member}Order"), member);
        if order.iter().any(|other| *other == environment.name || *other == environment.arn) {
            return Err(Error::client("Cannot delete, found existing JobQueue relationship"));
        }
    }
    platform.store.batch().delete(&environment.arn).await?;
    Ok(json!({}))
}

/// Keeps a new resource of that name: `document` without its tags.
pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    kind: BatchResourceKind,
    name: &str,
    mut document: Map<String, Value>,
) -> Result<String, Error> {
    check_name(name)?;
    let arn = caller.arn("batch", &format!("{}/{name}", kind.as_str()));
    let tags = tags(document.shift_remove("tags").as_ref());
    let row = BatchResource {
        kind,
        name: name.to_owned(),
        arn: arn.clone(),
        document: serde_json::to_string(&document)?,
        created_at: platform.clock.now_millis(),
    };
    platform.store.batch().create(row, tags).await?;
    Ok(arn)
}

/// The resource of that name or ARN.
pub(super) async fn find(
    platform: &Platform,
    kind: BatchResourceKind,
    name: &str,
) -> Result<Option<Resource>, Error> {
    platform.store.batch().resource(kind, name).await?.map(Resource::of).transpose()
}

/// All of a kind, or those that are named, each with its tags.
pub(super) async fn list(
    platform: &Platform,
    kind: BatchResourceKind,
    names: &Value,
) -> Result<Vec<Resource>, Error> {
    let names: Vec<&str> =
        names.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    for row in platform.store.batch().resources(kind).await? {
        let is_asked_for =
            names.is_empty() || names.iter().any(|name| *name == row.name || *name == row.arn);
        if is_asked_for {
            let mut resource = Resource::of(row)?;
            let tags = platform.store.tags().list(&resource.arn).await?;
            resource.document.insert("tags".to_owned(), tag_map(tags));
            found.push(resource);
        }
    }
    Ok(found)
}

/// Takes the members that `input` gives in the place of the resource's.
pub(super) async fn update(
    platform: &Platform,
    mut resource: Resource,
    input: &Value,
    members: &[&str],
) -> Result<Resource, Error> {
    for member in members {
        if let Some(value) = input.get(*member) {
            resource.document.insert((*member).to_owned(), value.clone());
        }
    }
    let document = serde_json::to_string(&resource.document)?;
    platform.store.batch().update(&resource.arn, document).await?;
    Ok(resource)
}

/// An input's members but those that are told apart.
pub(super) fn members(input: &Value) -> Map<String, Value> {
    input.as_object().cloned().unwrap_or_default()
}

/// A required text of an input, which its model has checked.
pub(super) fn text<'v>(input: &'v Value, member: &str) -> &'v str {
    input[member].as_str().unwrap_or_default()
}

/// That a name has the form that all of Batch's have.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let begins_well = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if name.len() <= 128 && begins_well && name.bytes().all(is_plain) {
        return Ok(());
    }
    Err(Error::Client(format!(
        "Name `{name}` should match valid pattern of up to 128 letters (uppercase and lowercase), \
         numbers, hyphens, and underscores, the first a letter or number"
    )))
}

/// Tags of an input.
pub(super) fn tags(tags: Option<&Value>) -> Vec<Tag> {
    let tags = tags.and_then(Value::as_object).into_iter().flatten();
    tags.map(|(key, value)| Tag::new(key, value.as_str().unwrap_or_default())).collect()
}

/// Tags of an answer.
pub(super) fn tag_map(tags: Vec<Tag>) -> Value {
    json!(tags.into_iter().map(|tag| (tag.key, tag.value)).collect::<BTreeMap<_, _>>())
}
