//! Tuning jobs: random and grid searches over training jobs, which are jobs like any other.
//!
//! What a search has done is told by its training jobs alone: their names and hyperparameters follow
//! from the search's seed and their numbers. So a search that a kill cut off goes on where it was, and
//! makes no training job twice.

mod children;
mod create;
mod decide;
mod describe;
mod drive;
mod list;
mod ranges;
mod request;
mod stop;

use bessemer_aws_wire::{Call, ServiceError};
use bessemer_domain::JobKind;
use bessemer_store::TuningRecord;
use serde::Deserialize;
use serde_json::Value;

use super::error::Error;
use crate::{caller::Caller, decode::decode, platform::Platform};

pub(super) use create::create;
pub(super) use describe::with_training_jobs;
pub use drive::resume_tuning;
pub(super) use drive::wait;
pub(super) use stop::stop_named;

/// The status of a search that makes training jobs.
const IN_PROGRESS: &str = "InProgress";
/// The status of one that waits for them to stop.
const STOPPING: &str = "Stopping";

/// The kind of job that searches are made of.
const KIND: JobKind = JobKind::Training;

/// An input that names a tuning job.
#[derive(Deserialize)]
struct TuningJobName {
    #[serde(rename = "HyperParameterTuningJobName")]
    name: String,
}

/// Answers a call, if it is one of tuning jobs.
pub(super) async fn call(
    platform: &Platform,
    caller: &Caller,
    call: &Call<'_>,
) -> Result<Option<Result<Value, Error>>, ServiceError> {
    let answered = match call.operation.name() {
        "CreateHyperParameterTuningJob" => create(platform, caller, &call.input).await,
        "DescribeHyperParameterTuningJob" => describe::describe(platform, decode(call)?).await,
        "ListHyperParameterTuningJobs" => list::list(platform, decode(call)?).await,
        "ListTrainingJobsForHyperParameterTuningJob" => {
            list::training_jobs(platform, decode(call)?).await
        }
        "StopHyperParameterTuningJob" => stop::stop(platform, decode(call)?).await,
        "DeleteHyperParameterTuningJob" => stop::delete(platform, decode(call)?).await,
        _ => return Ok(None),
    };
    Ok(Some(answered))
}

/// The tuning job of that name.
async fn find(platform: &Platform, name: &str) -> Result<TuningRecord, Error> {
    let found = platform.store.tuning().get(name).await?;
    found.ok_or_else(|| {
        Error::NotFound(format!("Amazon SageMaker can't find a tuning job with the name {name}."))
    })
}

/// The request that made a tuning job.
fn request_of(record: &TuningRecord) -> Result<Value, Error> {
    serde_json::from_str(&record.request).map_err(|error| Error::Internal(error.into()))
}
