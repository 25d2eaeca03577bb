//! Job definitions.

use bessemer_store::{BatchDefinition, BatchDefinitionQuery};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    container,
    error::Error,
    page::limit,
    resource::{check_name, tag_map, tags, text},
    retry::RetryStrategy,
};
use crate::{caller::Caller, platform::Platform};

/// Forms of jobs that don't run here.
const REFUSED: [&str; 4] =
    ["nodeProperties", "eksProperties", "ecsProperties", "consumableResourceProperties"];

pub(super) async fn register(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let name = text(input, "jobDefinitionName");
    check_name(name)?;
    check(input)?;
    let mut document = input.as_object().cloned().unwrap_or_default();
    let tags = tags(document.shift_remove("tags").as_ref());
    let prefix = caller.arn("batch", "job-definition/");
    let document = serde_json::to_string(&document)?;
    let kept = platform.store.batch().register(name, &prefix, document, tags).await?;
    Ok(json!({
        "jobDefinitionName": name,
        "jobDefinitionArn": kept.arn,
        "revision": kept.revision,
    }))
}

fn check(input: &Value) -> Result<(), Error> {
    for member in REFUSED {
        if input.get(member).is_some_and(|given| !is_empty(given)) {
            return Err(Error::unsupported(&format!("A job definition with `{member}`")));
        }
    }
    if text(input, "type") != "container" {
        return Err(Error::unsupported("A job definition of the type `multinode`"));
    }
    let container = input["containerProperties"].as_object();
    let missing =
        || Error::client("containerProperties is required for a container job definition");
    container::check(container.ok_or_else(missing)?)?;
    if let Some(retry) = input.get("retryStrategy") {
        RetryStrategy::deserialize(retry)?.check()?;
    }
    check_timeout(&input["timeout"])?;
    check_priority(&input["schedulingPriority"])
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(|members| members.values().all(is_empty))
        || value.as_array().is_some_and(Vec::is_empty)
}

pub(super) fn check_timeout(timeout: &Value) -> Result<(), Error> {
    match timeout["attemptDurationSeconds"].as_i64() {
        Some(seconds) if seconds < 1 => {
            Err(Error::client("Timeout attemptDurationSeconds must be at least 1"))
        }
        _ => Ok(()),
    }
}

pub(super) fn check_priority(priority: &Value) -> Result<(), Error> {
    match priority.as_i64() {
        Some(priority) if !(0..=9999).contains(&priority) => {
            Err(Error::client("Scheduling priority must be from 0 to 9999"))
        }
        _ => Ok(()),
    }
}

pub(super) async fn deregister(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let name = text(input, "jobDefinition");
    let (_, revision) = parse(name);
    if revision.is_none() {
        return Err(Error::Client(format!("Job definition {name} must name a revision")));
    }
    if let Some(found) = find(platform, name).await? {
        platform.store.batch().deregister(&found.arn).await?;
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeJobDefinitions {
    #[serde(default)]
    job_definitions: Vec<String>,
    job_definition_name: Option<String>,
    status: Option<String>,
    max_results: Option<u64>,
    next_token: Option<String>,
}

pub(super) async fn describe(
    platform: &Platform,
    input: DescribeJobDefinitions,
) -> Result<Value, Error> {
    let is_active = input.status.as_deref().map(|status| status == "ACTIVE");
    if !input.job_definitions.is_empty() {
        let mut details = Vec::new();
        for name in &input.job_definitions {
            for found in named(platform, name).await? {
                if is_active.is_none_or(|is_active| is_active == found.is_active) {
                    details.push(detail(platform, &found).await?);
                }
            }
        }
        return Ok(json!({ "jobDefinitions": details }));
    }
    let wrong = |_| Error::client("The nextToken is not one of this list");
    let limit = limit(input.max_results);
    let query = BatchDefinitionQuery {
        name: input.job_definition_name,
        is_active,
        below: input.next_token.map(|token| token.parse().map_err(wrong)).transpose()?,
        limit: limit + 1,
    };
    let found = platform.store.batch().definitions(&query).await?;
    let next = found.get(limit as usize).and_then(|_| found.get(limit as usize - 1));
    let next = next.map(|last| last.id.to_string());
    let mut details = Vec::new();
    for one in found.iter().take(limit as usize) {
        details.push(detail(platform, one).await?);
    }
    Ok(json!({ "jobDefinitions": details, "nextToken": next }))
}

/// The revision that a call names, or all of a name.
async fn named(platform: &Platform, name: &str) -> Result<Vec<BatchDefinition>, Error> {
    let (base, revision) = parse(name);
    if revision.is_some() {
        return Ok(find(platform, name).await?.into_iter().collect());
    }
    let name = Some(base.to_owned());
    let query = BatchDefinitionQuery { name, limit: u32::MAX, ..BatchDefinitionQuery::default() };
    Ok(platform.store.batch().definitions(&query).await?)
}

async fn detail(platform: &Platform, definition: &BatchDefinition) -> Result<Value, Error> {
    let mut document: Map<String, Value> = serde_json::from_str(&definition.document)?;
    let status = if definition.is_active { "ACTIVE" } else { "INACTIVE" };
    let tags = platform.store.tags().list(&definition.arn).await?;
    for (member, value) in [
        ("jobDefinitionArn", json!(definition.arn)),
        ("revision", json!(definition.revision)),
        ("status", json!(status)),
        ("containerOrchestrationType", json!("ECS")),
        ("tags", tag_map(tags)),
    ] {
        document.insert(member.to_owned(), value);
    }
    Ok(Value::Object(document))
}

/// `name`, `name:revision` or an ARN of it, taken apart.
fn parse(name: &str) -> (&str, Option<u32>) {
    let name = name.rsplit_once("job-definition/").map_or(name, |(_, name)| name);
    match name.split_once(':') {
        Some((base, revision)) => (base, revision.parse().ok()),
        None => (name, None),
    }
}

/// The revision that a call names, or the latest that is active.
pub(super) async fn find(
    platform: &Platform,
    name: &str,
) -> Result<Option<BatchDefinition>, Error> {
    let (base, revision) = parse(name);
    Ok(platform.store.batch().definition(base, revision).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_named_by_revision_or_without() {
        assert_eq!(parse("copy"), ("copy", None));
        assert_eq!(parse("copy:3"), ("copy", Some(3)));
        let arn = "arn:aws:batch:us-west-2:000000000000:job-definition/copy:12";
        assert_eq!(parse(arn), ("copy", Some(12)));
    }

    #[test]
    fn other_forms_of_jobs_are_refused() {
        let with = |member: &str, value: Value| {
            let container = json!({ "image": "python:3", "vcpus": 1, "memory": 10 });
            let mut input = json!({ "type": "container", "containerProperties": container });
            input[member] = value;
            check(&input).map_err(|error| error.to_string())
        };
        assert_eq!(with("timeout", json!({ "attemptDurationSeconds": 60 })), Ok(()));
        for (member, value) in [
            ("type", json!("multinode")),
            ("nodeProperties", json!({ "numNodes": 2 })),
            ("eksProperties", json!({ "podProperties": { "containers": [{}] } })),
            ("retryStrategy", json!({ "attempts": 11 })),
            ("timeout", json!({ "attemptDurationSeconds": 0 })),
            ("schedulingPriority", json!(10_000)),
        ] {
            assert!(with(member, value).is_err(), "{member}");
        }
    }
}
