//! Puts a new job in the queue.

use bessemer_domain::{ByteSize, JobKind, Limits, RetryPolicy};
use bessemer_jobs::{JobsError, Resources};
use bessemer_store::NewJob;
use serde_json::Value;

use super::{
    super::{error::Error, tags::WireTag},
    JobRequest, resources, words,
};
use crate::{caller::Caller, platform::Platform};

/// A training or processing job to be run.
pub(in super::super) struct Submission {
    pub(in super::super) kind: JobKind,
    pub(in super::super) name: String,
    /// The input of its Create.
    pub(in super::super) input: Value,
    pub(in super::super) tags: Vec<WireTag>,
    pub(in super::super) instance_type: String,
    pub(in super::super) instance_count: u32,
    /// Attempts that the request asks for, the first included.
    pub(in super::super) attempts: Option<u32>,
    pub(in super::super) limits: Limits,
}

/// Puts a job in the queue and returns its ARN.
pub(in super::super) async fn submit(
    platform: &Platform,
    caller: &Caller,
    new: Submission,
) -> Result<String, Error> {
    let arn = caller.arn("sagemaker", &format!("{}/{}", words(new.kind).resource, new.name));
    let resources = asked(&new)?;
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
        cores: resources.cores,
        memory: resources.memory,
        instance_type: new.instance_type,
        instance_count: new.instance_count,
        note: None,
        policy: RetryPolicy::default(),
        requested_attempts: new.attempts,
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

/// What its instances have, or what its `Environment` asks for instead: the smallest instances have
/// two cores, which is more than most small jobs want of a machine.
fn asked(new: &Submission) -> Result<Resources, Error> {
    let mut asked = resources(&new.instance_type, new.instance_count)?;
    let setting = |name: &str| new.input["Environment"][name].as_str();
    if let Some(text) = setting("BESSEMER_CORES") {
        let cores = text.parse().ok().filter(|cores| *cores > 0);
        asked.cores = cores.ok_or_else(|| wrong("BESSEMER_CORES", text, "a number of cores"))?;
    }
    if let Some(text) = setting("BESSEMER_MEMORY") {
        let memory = text.parse::<ByteSize>().map(|size| size.0).ok().filter(|bytes| *bytes > 0);
        asked.memory = memory.ok_or_else(|| wrong("BESSEMER_MEMORY", text, "such as `512MiB`"))?;
    }
    Ok(asked)
}

fn wrong(name: &str, found: &str, wanted: &str) -> Error {
    Error::Validation(format!("Environment variable {name} must be {wanted}, not `{found}`"))
}
