//! `StopTransformJob`.

use bessemer_domain::{JobKind, Refused};
use bessemer_jobs::JobsError;
use serde_json::{Value, json};

use super::{super::error::Error, JobName};
use crate::platform::Platform;

pub(crate) async fn stop(
    platform: &Platform,
    JobName { transform_job_name: name }: JobName,
) -> Result<Value, Error> {
    match platform.jobs.stop(JobKind::Transform, &name).await {
        Ok(_) => Ok(json!({})),
        Err(JobsError::Refused(Refused::Illegal { state, .. })) => {
            let message = format!(
                "The request was rejected because the transform job is in status {}.",
                super::describe::status(state.phase())
            );
            Err(Error::Validation(message))
        }
        Err(error) => Err(error.into()),
    }
}
