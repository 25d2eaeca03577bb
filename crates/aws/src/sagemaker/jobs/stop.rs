//! `StopTrainingJob`, `StopProcessingJob`, `StopTransformJob`.

use bessemer_domain::JobKind;
use bessemer_jobs::JobsError;
use serde_json::{Value, json};

use super::{super::error::Error, JobName, status_of, words};
use crate::platform::Platform;

/// Asks a job to end.
pub(in super::super) async fn stop(
    platform: &Platform,
    kind: JobKind,
    JobName { name }: JobName,
) -> Result<Value, Error> {
    match platform.jobs.stop(kind, &name).await {
        Ok(_) => Ok(json!({})),
        Err(JobsError::Refused(_)) => {
            let job = platform.jobs.get(kind, &name).await?;
            Err(Error::Validation(format!(
                "The request was rejected because the {} is in status {}.",
                words(kind).noun,
                status_of(&job)
            )))
        }
        Err(error) => Err(error.into()),
    }
}
