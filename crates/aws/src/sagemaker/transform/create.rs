//! `CreateTransformJob`.

use bessemer_domain::{JobKind, Limits, RetryPolicy};
use bessemer_jobs::JobsError;
use bessemer_store::NewJob;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    super::{error::Error, jobs, models, tags::WireTag},
    checks::{self, Checked, REPLAY},
    replay,
    request::TransformRequest,
};
use crate::{caller::Caller, platform::Platform};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CreateTransformJob {
    transform_job_name: String,
    model_name: String,
    transform_resources: TransformResources,
    #[serde(default)]
    tags: Vec<WireTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransformResources {
    instance_type: String,
    instance_count: u32,
}

pub(crate) async fn create(
    platform: &Platform,
    caller: &Caller,
    input: &Value,
) -> Result<Value, Error> {
    let internal = |error: serde_json::Error| Error::Internal(error.into());
    let request = CreateTransformJob::deserialize(input).map_err(internal)?;
    checks::check(&Checked::deserialize(input).map_err(internal)?).map_err(Error::Validation)?;
    let model = models::find(platform, caller, &request.model_name).await?;
    let arn = caller.arn("sagemaker", &format!("transform-job/{}", request.transform_job_name));
    let TransformResources { instance_type, instance_count } = request.transform_resources;
    let resources = jobs::resources(&instance_type, instance_count)?;
    let (mut document, replay) = match input["Environment"][REPLAY].as_str() {
        Some(name) => {
            let (document, replayed) = replay::document(platform, name, input).await?;
            (document, Some(replayed))
        }
        None => (input.clone(), None),
    };
    document.as_object_mut().and_then(|members| members.remove("Tags"));
    let model = Value::Object(models::document(&model)?);
    let kept = TransformRequest { job: document, model, replay };
    let job = NewJob {
        kind: JobKind::Transform,
        name: request.transform_job_name,
        arn: arn.clone(),
        request: serde_json::to_string(&kept).map_err(internal)?,
        tags: request.tags.into_iter().map(Into::into).collect(),
        priority: 0,
        share: String::new(),
        cores: resources.cores,
        memory: resources.memory,
        instance_type,
        instance_count,
        note: None,
        policy: RetryPolicy::default(),
        requested_attempts: None,
        limits: Limits { grace_millis: 30_000, ..Limits::default() },
    };
    match platform.jobs.submit(job).await {
        Ok(_) => Ok(json!({ "TransformJobArn": arn })),
        Err(JobsError::AlreadyExists { .. }) => Err(Error::JobExists(arn)),
        Err(error) => Err(error.into()),
    }
}
