//! `CreateHyperParameterTuningJob`.

use bessemer_store::{StoreError, TuningRecord};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{error::Error, tags::WireTag, training},
    IN_PROGRESS, drive,
    request::{Search, completed},
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
struct CreateTuningJob {
    #[serde(rename = "HyperParameterTuningJobName")]
    name: String,
    #[serde(rename = "Tags", default)]
    tags: Vec<WireTag>,
}

pub(in super::super) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let internal = |error: serde_json::Error| Error::Internal(error.into());
    let request = CreateTuningJob::deserialize(input).map_err(internal)?;
    let search = Search::of(input).map_err(Error::Validation)?;
    let mut first = search.training_job(0, 0);
    first["TrainingJobName"] = json!(request.name);
    training::check(&first)?;
    let arn = caller.arn("sagemaker", &format!("hyper-parameter-tuning-job/{}", request.name));
    let now = platform.clock.now_millis();
    let record = TuningRecord {
        id: 0,
        name: request.name.clone(),
        arn: arn.clone(),
        request: completed(input.clone()).to_string(),
        seed: u64::from(rand::random::<u32>()),
        status: IN_PROGRESS.to_owned(),
        failure: None,
        created_at: now,
        modified_at: now,
        ended_at: None,
    };
    let tags = request.tags.into_iter().map(Into::into).collect();
    let event = drive::event(&record, IN_PROGRESS);
    match platform.store.tuning().create(record.clone(), tags, event).await {
        Ok(()) => {}
        Err(StoreError::AlreadyExists { .. }) => return Err(Error::TuningJobExists(arn)),
        Err(error) => return Err(error.into()),
    }
    drive::begin(platform, record);
    Ok(json!({ "HyperParameterTuningJobArn": arn }))
}
