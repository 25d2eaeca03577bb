//! A job with its documents, by the name that a call gives.

use bessemer_domain::JobKind;
use bessemer_store::{Documents, Job};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{super::error::Error, JobRequest, JobResult};
use crate::platform::Platform;

/// An input that names a job.
#[derive(Deserialize)]
pub(in super::super) struct JobName {
    #[serde(alias = "TrainingJobName", alias = "ProcessingJobName", alias = "TransformJobName")]
    pub(in super::super) name: String,
}

/// A training or processing job and what is kept of it.
pub(in super::super) struct Found {
    pub(in super::super) job: Job,
    /// The input of its Create.
    pub(in super::super) request: Map<String, Value>,
    /// What came of it so far.
    pub(in super::super) result: JobResult,
}

/// The training or processing job of that name.
pub(in super::super) async fn find(
    platform: &Platform,
    kind: JobKind,
    name: &str,
) -> Result<Found, Error> {
    let job = platform.jobs.get(kind, name).await?;
    let documents = platform.jobs.documents(&job).await?;
    read(job, &documents)
}

/// A job from its documents.
pub(in super::super) fn read(job: Job, documents: &Documents) -> Result<Found, Error> {
    let read: Result<JobRequest, _> = serde_json::from_str(&documents.request);
    let JobRequest { job: request } = read.map_err(|error| Error::Internal(error.into()))?;
    let request = match request {
        Value::Object(request) => request,
        _ => Map::new(),
    };
    Ok(Found { job, request, result: result(documents.result.as_deref())? })
}

/// What came of a job, from its document.
pub(super) fn result(document: Option<&str>) -> Result<JobResult, Error> {
    let result = document.map(serde_json::from_str).transpose();
    Ok(result.map_err(|error| Error::Internal(error.into()))?.unwrap_or_default())
}
