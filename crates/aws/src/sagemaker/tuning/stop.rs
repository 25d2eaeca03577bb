//! `StopHyperParameterTuningJob`, `DeleteHyperParameterTuningJob`.

use bessemer_store::StoreError;
use serde_json::{Value, json};

use super::{
    super::error::Error,
    IN_PROGRESS, STOPPING, TuningJobName,
    describe::whole,
    drive::{event, stop_child},
    find,
};
use crate::platform::Platform;

pub(super) async fn stop(platform: &Platform, input: TuningJobName) -> Result<Value, Error> {
    let record = find(platform, &input.name).await?;
    if record.ended_at.is_some() {
        return Err(Error::Validation(format!(
            "The request was rejected because the hyperparameter tuning job is in status {}.",
            record.status
        )));
    }
    stop_named(platform, &input.name).await?;
    Ok(json!({}))
}

/// Makes no more training jobs and stops those that there are. One that has ended stays as it is.
pub(in super::super) async fn stop_named(platform: &Platform, name: &str) -> Result<(), Error> {
    let record = find(platform, name).await?;
    if record.status == IN_PROGRESS {
        let now = platform.clock.now_millis();
        let event = event(&record, STOPPING);
        platform.store.tuning().set_status(record.id, STOPPING, None, event, now).await?;
    }
    // After the status, so that whatever is made meanwhile is seen here or by its maker.
    for child in whole(platform, record).await?.children {
        if !child.has_ended() {
            stop_child(platform, &child.job.name).await?;
        }
    }
    Ok(())
}

/// Its training jobs stay.
pub(super) async fn delete(platform: &Platform, input: TuningJobName) -> Result<Value, Error> {
    let name = input.name;
    match platform.store.tuning().delete(&name).await {
        Ok(true) => Ok(json!({})),
        Ok(false) => find(platform, &name).await.map(|_| json!({})),
        Err(StoreError::InProgress { .. }) => Err(Error::Validation(format!(
            "The hyperparameter tuning job {name} can't be deleted before it has ended. Stop it by \
             StopHyperParameterTuningJob first."
        ))),
        Err(error) => Err(error.into()),
    }
}
