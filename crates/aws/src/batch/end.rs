//! `CancelJob` and `TerminateJob`.

use bessemer_domain::Asked;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Error;
use crate::platform::Platform;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EndJob {
    job_id: String,
    reason: String,
}

/// Cancels what has not begun, or ends what has, too. A job that has ended, or is not there, is left
/// as it is, and that is no error.
pub(super) async fn end(platform: &Platform, asked: Asked, input: EndJob) -> Result<Value, Error> {
    platform.jobs.end_batch(&input.job_id, asked, &input.reason).await?;
    Ok(json!({}))
}
