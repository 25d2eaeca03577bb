//! Job queues: priorities among jobs that wait.

use bessemer_domain::Asked;
use bessemer_store::{BatchJobQuery, BatchResourceKind::JobQueue};
use serde_json::{Value, json};

use super::{
    environments,
    error::Error,
    page::{PAGE, page},
    policies,
    resource::{self, Resource, create as keep, find, members, text},
    service_environments, shares,
};
use crate::{caller::Caller, platform::Platform};

/// Environments of a queue at most.
const MOST: usize = 3;

pub(super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let name = text(input, "jobQueueName");
    let mut document = members(input);
    let is_for_services = input.get("serviceEnvironmentOrder").is_some();
    if is_for_services == input.get("computeEnvironmentOrder").is_some() {
        return Err(Error::client(
            "Exactly one of computeEnvironmentOrder and serviceEnvironmentOrder must be provided",
        ));
    }
    check(platform, input).await?;
    if is_for_services {
        document.insert("jobQueueType".to_owned(), json!("SAGEMAKER_TRAINING"));
    }
    document.entry("state").or_insert(json!("ENABLED"));
    let arn = keep(platform, caller, JobQueue, name, document).await?;
    Ok(json!({ "jobQueueName": name, "jobQueueArn": arn }))
}

/// That what a queue names is there.
async fn check(platform: &Platform, input: &Value) -> Result<(), Error> {
    if input["jobStateTimeLimitActions"].as_array().is_some_and(|actions| !actions.is_empty()) {
        return Err(Error::unsupported("A queue's `jobStateTimeLimitActions`"));
    }
    if let Some(priority) = input["priority"].as_i64().filter(|given| !(0..=1000).contains(given)) {
        return Err(Error::Client(format!("Priority {priority} must be from 0 to 1000")));
    }
    for (order, member) in [
        ("computeEnvironmentOrder", "computeEnvironment"),
        ("serviceEnvironmentOrder", "serviceEnvironment"),
    ] {
        let Some(given) = input[order].as_array() else { continue };
        if given.is_empty() || given.len() > MOST {
            return Err(Error::Client(format!("{order} must have from 1 to {MOST} entries")));
        }
        for one in given {
            match member {
                "computeEnvironment" => environments::get(platform, text(one, member)).await?,
                _ => service_environments::get(platform, text(one, member)).await?,
            };
        }
    }
    match input["schedulingPolicyArn"].as_str() {
        Some(arn) if !arn.is_empty() => policies::get(platform, arn).await.map(drop),
        _ => Ok(()),
    }
}

pub(super) async fn update(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let queue = get(platform, text(input, "jobQueue")).await?;
    check(platform, input).await?;
    let members = [
        "state",
        "schedulingPolicyArn",
        "priority",
        "computeEnvironmentOrder",
        "serviceEnvironmentOrder",
    ];
    let queue = resource::update(platform, queue, input, &members).await?;
    shares::weigh(platform).await?;
    Ok(json!({ "jobQueueName": queue.name, "jobQueueArn": queue.arn }))
}

pub(super) async fn describe(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let (page, next) = page(resource::list(platform, JobQueue, &input["jobQueues"]).await?, input)?;
    let detail = |Resource { name, arn, mut document }: Resource| {
        document.insert("jobQueueName".to_owned(), json!(name));
        document.insert("jobQueueArn".to_owned(), json!(arn));
        document.insert("status".to_owned(), json!("VALID"));
        document.insert("statusReason".to_owned(), json!("JobQueue Healthy"));
        document.entry("computeEnvironmentOrder").or_insert(json!([]));
        Value::Object(document)
    };
    let details: Vec<Value> = page.into_iter().map(detail).collect();
    Ok(json!({ "jobQueues": details, "nextToken": next }))
}

/// Its jobs end with it.
pub(super) async fn delete(platform: &Platform, input: &Value) -> Result<Value, Error> {
    let Some(queue) = find(platform, JobQueue, text(input, "jobQueue")).await? else {
        return Ok(json!({}));
    };
    queue.check_disabled()?;
    let mut query =
        BatchJobQuery { queue: queue.arn.clone(), limit: PAGE, ..BatchJobQuery::default() };
    loop {
        let page = platform.store.batch().list(&query).await?;
        for job in page.jobs.iter().filter(|job| !job.status.is_final()) {
            platform.jobs.end_batch(&job.id, Asked::Terminate, "Job Queue deleted").await?;
        }
        query.page = page.next;
        if query.page.is_none() {
            break;
        }
    }
    platform.store.batch().delete(&queue.arn).await?;
    Ok(json!({}))
}

pub(super) async fn get(platform: &Platform, name: &str) -> Result<Resource, Error> {
    let found = find(platform, JobQueue, name).await?;
    found.ok_or_else(|| Error::Client(format!("JobQueue {name} does not exist")))
}
