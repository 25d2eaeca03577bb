//! [`StepBackend`]: steps as calls of the API.

use std::time::Duration;

use bessemer_aws_wire::service;
use bessemer_domain::JobKind;
use bessemer_jobs::JobsError;
use bessemer_pipelines::{Backend, Exception, Failure, Outcome, StepKind, StepStart, Task};
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    super::{error::Error, jobs, models, processing, registry, training, transform, tuning},
    callback_step,
    definition::object,
    lambda_step, outcome,
};
use crate::{caller::Caller, platform::Platform};

/// How long to wait before a call is made again that could not be met for now.
const PAUSE: Duration = Duration::from_secs(1);

/// Runs the steps of pipelines by the handlers of the API.
pub struct StepBackend {
    platform: Platform,
}

impl StepBackend {
    /// A backend on the managers of `platform`.
    pub fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn begin(&self, task: &Task) -> Result<StepStart, Failure> {
        let (operation, member) = match &task.step.kind {
            StepKind::Processing => ("CreateProcessingJob", "ProcessingJobName"),
            StepKind::Training => ("CreateTrainingJob", "TrainingJobName"),
            StepKind::Tuning => ("CreateHyperParameterTuningJob", "HyperParameterTuningJobName"),
            StepKind::Transform => ("CreateTransformJob", "TransformJobName"),
            StepKind::Model => ("CreateModel", "ModelName"),
            StepKind::RegisterModel => ("CreateModelPackage", "ClientToken"),
            StepKind::Lambda(_) => return Ok(StepStart::Started(lambda_step::known(task))),
            StepKind::Callback(_) => {
                let sent = callback_step::send(&self.platform.queues, task, "Executing").await;
                return sent.map(StepStart::Started);
            }
            other => return Err(not_run(other)),
        };
        let mut input = task.order.arguments.clone();
        // A token has 36 characters at most: the execution and the suffix are enough.
        let suffix = task.order.name.rsplit('-').next().unwrap_or_default();
        input[member] = match member {
            "ClientToken" => json!(format!("{}-{suffix}", task.facts.id)),
            "HyperParameterTuningJobName" => json!(tuning_name(task)),
            _ => json!(task.order.name),
        };
        let checked = service("sagemaker").map(|service| service.input_of(operation, input));
        let input = match checked {
            Some(Ok(input)) => input,
            Some(Err(error)) => {
                let refused = Error::Validation(error.message.unwrap_or(error.code));
                return Err(outcome::of_call(operation, &refused));
            }
            None => return Err(outcome::of_call(operation, &Error::NoResource)),
        };
        loop {
            match self.call(task, &input).await {
                Err(Error::Unavailable(why)) => {
                    tracing::warn!(step = task.order.name, why, "a step is begun again");
                    tokio::time::sleep(PAUSE).await;
                }
                done => return done.map_err(|error| outcome::of_call(operation, &error)),
            }
        }
    }

    async fn call(&self, task: &Task, input: &Value) -> Result<StepStart, Error> {
        let platform = &self.platform;
        let caller = &caller(task);
        let started = |kind: &str, arn: String| StepStart::Started(json!({ kind: { "Arn": arn } }));
        let created = match &task.step.kind {
            StepKind::Processing => processing::create(platform, caller, input).await,
            StepKind::Training => training::create(platform, caller, input).await,
            StepKind::Transform => transform::create(platform, caller, input).await,
            StepKind::Tuning => return self.tune(task, input).await,
            StepKind::Model => return self.create_model(task, input).await,
            _ => return self.register(task, input).await,
        };
        let kind = format!("{}Job", task.step.kind.as_str());
        match created {
            Ok(answer) => {
                let arn = answer[format!("{kind}Arn")].as_str().unwrap_or_default();
                Ok(started(&kind, arn.to_owned()))
            }
            // By an earlier try of ours: nobody else makes this name.
            Err(Error::JobExists(arn) | Error::TrainingJobExists(arn)) => Ok(started(&kind, arn)),
            Err(error) => Err(error),
        }
    }

    async fn tune(&self, task: &Task, input: &Value) -> Result<StepStart, Error> {
        let arn = match tuning::create(&self.platform, &caller(task), input).await {
            Ok(answer) => answer["HyperParameterTuningJobArn"].clone(),
            // By an earlier try of ours: nobody else makes this name.
            Err(Error::TuningJobExists(arn)) => json!(arn),
            Err(error) => return Err(error),
        };
        Ok(StepStart::Started(json!({ "TuningJob": { "Arn": arn } })))
    }

    /// How a search ended.
    async fn end_of_search(&self, task: &Task) -> Result<Outcome, Error> {
        let record = tuning::wait(&self.platform, &tuning_name(task)).await?;
        Ok(match record.status.as_str() {
            "Completed" => {
                let properties = tuning::with_training_jobs(&self.platform, record).await?;
                Outcome::Succeeded { properties, metadata: None }
            }
            "Stopped" => Outcome::Stopped,
            _ => {
                let reason = record.failure.unwrap_or_default();
                Outcome::Failed(Failure { exception: Exception::Failure, reason })
            }
        })
    }

    async fn create_model(&self, task: &Task, input: &Value) -> Result<StepStart, Error> {
        let (platform, caller) = (&self.platform, caller(task));
        let created = models::create(platform, &caller, input).await;
        let described = models::described(platform, &caller, &task.order.name).await;
        // It may be there by an earlier try of ours.
        if let (Err(error), Err(_)) = (created, &described) {
            return Err(error);
        }
        let properties = described?;
        let metadata = Some(json!({ "Model": { "Arn": properties["ModelArn"] } }));
        Ok(StepStart::Ended(Outcome::Succeeded { properties, metadata }))
    }

    async fn register(&self, task: &Task, input: &Value) -> Result<StepStart, Error> {
        let properties = registry::register(&self.platform, &caller(task), input).await?;
        let metadata = Some(json!({ "RegisterModel": { "Arn": properties["ModelPackageArn"] } }));
        Ok(StepStart::Ended(Outcome::Succeeded { properties, metadata }))
    }

    /// How a job ended, or nothing if it can't be known in this server's life.
    async fn end_of_job(&self, task: &Task, kind: JobKind) -> Result<Outcome, Error> {
        let platform = &self.platform;
        let job = platform.jobs.wait(kind, &task.order.name).await?;
        let name = jobs::JobName { name: job.name.clone() };
        let described = match kind {
            JobKind::Processing => processing::describe(platform, name).await,
            JobKind::Training => training::describe(platform, name).await,
            JobKind::Transform => transform::describe(platform, name).await,
            JobKind::Batch => return Err(Error::NoJob(job.name)),
        };
        Ok(outcome::of_job(&job, described?))
    }
}

/// The name of a search, which has 32 characters at most.
fn tuning_name(task: &Task) -> String {
    let suffix = task.order.name.rsplit('-').next().unwrap_or_default();
    let short: String =
        task.step.name.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
    format!("{}-{short}-{suffix}", task.facts.id)
}

/// Who calls: the pipeline, in the region that it is of.
fn caller(task: &Task) -> Caller {
    let region = task.facts.arn.split(':').nth(3).unwrap_or_default().to_owned();
    Caller { access_key: "pipelines".to_owned(), read_only: false, region }
}

fn job_kind(kind: &StepKind) -> Option<JobKind> {
    match kind {
        StepKind::Processing => Some(JobKind::Processing),
        StepKind::Training => Some(JobKind::Training),
        StepKind::Transform => Some(JobKind::Transform),
        _ => None,
    }
}

fn not_run(kind: &StepKind) -> Failure {
    let reason = format!("ClientError: steps of type {} can't be run", kind.as_str());
    Failure { exception: Exception::Failure, reason }
}

impl Backend for StepBackend {
    fn start(&self, task: Task) -> BoxFuture<'_, Result<StepStart, Failure>> {
        Box::pin(async move { self.begin(&task).await })
    }

    fn wait(&self, task: Task) -> BoxFuture<'_, Outcome> {
        Box::pin(async move {
            if matches!(task.step.kind, StepKind::Lambda(_)) {
                return lambda_step::run(&self.platform.functions, &task).await;
            }
            let kind = job_kind(&task.step.kind);
            loop {
                let ended = match (kind, &task.step.kind) {
                    (Some(kind), _) => self.end_of_job(&task, kind).await,
                    (None, StepKind::Tuning) => self.end_of_search(&task).await,
                    (None, other) => return Outcome::Failed(not_run(other)),
                };
                match ended {
                    Ok(outcome) => return outcome,
                    Err(Error::NoJob(_) | Error::NoResource | Error::NotFound(_)) => {
                        let reason = "InternalServerError: its job is gone".to_owned();
                        let exception = Exception::JobInternalError;
                        return Outcome::Failed(Failure { exception, reason });
                    }
                    Err(error) => {
                        tracing::warn!(step = task.order.name, %error, "a step's end is awaited");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        })
    }

    fn stop(&self, task: Task) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if task.step.kind == StepKind::Tuning {
                while let Err(Error::Unavailable(_)) =
                    tuning::stop_named(&self.platform, &tuning_name(&task)).await
                {
                    tokio::time::sleep(PAUSE).await;
                }
                return;
            }
            let Some(kind) = job_kind(&task.step.kind) else {
                let told = callback_step::send(&self.platform.queues, &task, "Stopping").await;
                if let Err(error) = told {
                    tracing::warn!(
                        step = task.order.name,
                        reason = error.reason,
                        "not told to stop"
                    );
                }
                return;
            };
            loop {
                match self.platform.jobs.stop(kind, &task.order.name).await {
                    Err(JobsError::Store(error)) if error.is_transient() => {
                        tokio::time::sleep(PAUSE).await;
                    }
                    // It has ended by itself, or the next server stops it.
                    _ => return,
                }
            }
        })
    }

    fn read(&self, uri: String) -> BoxFuture<'_, Result<Value, String>> {
        Box::pin(async move {
            let place = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
            let (bucket, key) = place.ok_or_else(|| format!("`{uri}` is no s3:// URI"))?;
            let text = object(&self.platform.storage, bucket.to_owned(), key.to_owned()).await?;
            serde_json::from_str(&text).map_err(|error| format!("{uri} is no JSON: {error}"))
        })
    }
}
