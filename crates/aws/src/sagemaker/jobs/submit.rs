//! Puts a new job in the queue.

use bessemer_domain::{JobKind, Limits, RetryPolicy};
use bessemer_jobs::{JobsError, Resources};
use bessemer_store::NewJob;
use serde_json::Value;

use super::{
    super::{error::Error, tags::WireTag},
    JobRequest, words,
};
use crate::{caller::Caller, platform::Platform};

/// A training or processing job to be run.
pub(in super::super) struct Submission {
    pub(in super::super) kind: JobKind,
    pub(in super::super) name: String,
    /// The input of its Create.
    pub(in super::super) input: Value,
    pub(in super::super) tags: Vec<WireTag>,
    pub(in super::super) resources: Resources,
    pub(in super::super) policy: RetryPolicy,
    pub(in super::super) limits: Limits,
}

/// Puts a job in the queue and returns its ARN.
pub(in super::super) async fn submit(
    platform: &Platform,
    caller: &Caller,
    new: Submission,
) -> Result<String, Error> {
    let arn = caller.arn("sagemaker", &format!("{}/{}", words(new.kind).resource, new.name));
    let mut job = new.input;
    job.as_object_mut().and_then(|members| members.shift_remove("Tags"));
    let request = serde_json::to_string(&JobRequest { job });
    let job = NewJob {
        kind: new.kind,
        name: new.name,
        arn: arn.clone(),
        request: request.map_err(|error| Error::Internal(error.into()))?,
        tags: new.tags.into_iter().map(Into::into).collect(),
        priority: 0,
        share: String::new(),
        cores: new.resources.cores,
        memory: new.resources.memory,
        note: None,
        policy: new.policy,
        limits: new.limits,
    };
    match platform.jobs.submit(job).await {
        Ok(_) => Ok(arn),
        Err(JobsError::AlreadyExists { kind: JobKind::Training, .. }) => {
            Err(Error::TrainingJobExists(arn))
        }
        Err(JobsError::AlreadyExists { .. }) => Err(Error::JobExists(arn)),
        Err(error) => Err(error.into()),
    }
}
