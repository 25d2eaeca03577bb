//! Jobs as records that searches look at and answer.

use bessemer_domain::JobKind;
use bessemer_store::{Documents, HistoryEntry, Job, Tag};
use serde_json::{Map, Value, json};

use super::super::{
    error::Error,
    jobs::{self, reason, status_of, words},
    processing,
    times::seconds,
    training, transform,
};

/// What can be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// Training jobs.
    TrainingJob,
    /// Jobs of every kind: each is its own trial component, as in AWS.
    TrialComponent,
}

/// The properties of a training job.
const TRAINING_JOB: [&str; 34] = [
    "AlgorithmSpecification",
    "BillableTimeInSeconds",
    "CheckpointConfig",
    "CreationTime",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "Environment",
    "ExperimentConfig",
    "FailureReason",
    "FinalMetricDataList",
    "HyperParameters",
    "InputDataConfig",
    "LastModifiedTime",
    "Metrics",
    "ModelArtifacts",
    "OutputDataConfig",
    "ProfilerConfig",
    "ResourceConfig",
    "RetryStrategy",
    "RoleArn",
    "SecondaryStatus",
    "StoppingCondition",
    "Tags",
    "TensorBoardOutputConfig",
    "TrainingEndTime",
    "TrainingJobArn",
    "TrainingJobName",
    "TrainingJobStatus",
    "TrainingStartTime",
    "TrainingTimeInSeconds",
    "VpcConfig",
];

/// The properties of a trial component.
const TRIAL_COMPONENT: [&str; 11] = [
    "CreationTime",
    "DisplayName",
    "EndTime",
    "LastModifiedTime",
    "Source",
    "SourceDetail",
    "StartTime",
    "Status",
    "Tags",
    "TrialComponentArn",
    "TrialComponentName",
];

impl Resource {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "TrainingJob" => Some(Self::TrainingJob),
            "ExperimentTrialComponent" => Some(Self::TrialComponent),
            _ => None,
        }
    }

    /// The kinds of jobs that it is about; none for all.
    pub(super) fn kind(self) -> Option<JobKind> {
        match self {
            Self::TrainingJob => Some(JobKind::Training),
            Self::TrialComponent => None,
        }
    }

    /// That there is such a property.
    pub(super) fn check_property(self, name: &str) -> Result<(), String> {
        let first = name.split('.').next().unwrap_or_default();
        let is_known = match self {
            Self::TrainingJob => TRAINING_JOB.contains(&first),
            Self::TrialComponent => TRIAL_COMPONENT.contains(&first),
        };
        if is_known { Ok(()) } else { Err(format!("There is no property {name} to search by")) }
    }

    /// A job as a result of a search.
    pub(super) fn to_answer(
        self,
        job: Job,
        documents: &Documents,
        history: &[HistoryEntry],
    ) -> Result<Value, Error> {
        let tag = |tag: &Tag| json!({ "Key": tag.key, "Value": tag.value });
        let tags = job.tags.iter().map(tag).collect();
        self.record(job, documents, history, Value::Array(tags))
    }

    /// A job as filters see it: with its tags and metrics by their names.
    pub(super) fn to_filter(self, job: Job, documents: &Documents) -> Result<Value, Error> {
        let tags = job.tags.iter().map(|tag| (tag.key.clone(), json!(tag.value))).collect();
        let mut record = self.record(job, documents, &[], Value::Object(tags))?;
        let metrics = record.get("FinalMetricDataList").and_then(Value::as_array);
        let named = metrics.into_iter().flatten().filter_map(|metric| {
            Some((metric["MetricName"].as_str()?.to_owned(), metric["Value"].clone()))
        });
        let named = named.collect();
        record["Metrics"] = Value::Object(named);
        Ok(record)
    }

    fn record(
        self,
        job: Job,
        documents: &Documents,
        history: &[HistoryEntry],
        tags: Value,
    ) -> Result<Value, Error> {
        let mut record = match self {
            Self::TrainingJob => described(job, documents, history)?,
            Self::TrialComponent => component(job, documents, history)?,
        };
        record.insert("Tags".to_owned(), tags);
        Ok(Value::Object(record))
    }

    /// The member of a result that holds a record of this.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::TrainingJob => "TrainingJob",
            Self::TrialComponent => "TrialComponent",
        }
    }
}

/// A job as its Describe tells it.
fn described(
    job: Job,
    documents: &Documents,
    history: &[HistoryEntry],
) -> Result<Map<String, Value>, Error> {
    match job.kind {
        JobKind::Training => Ok(training::answer(jobs::read(job, documents)?, history)),
        JobKind::Processing => Ok(processing::answer(jobs::read(job, documents)?)),
        JobKind::Transform => transform::answer(&job, documents),
        // Searches pass over them.
        JobKind::Batch => Ok(Map::new()),
    }
}

fn component(
    job: Job,
    documents: &Documents,
    history: &[HistoryEntry],
) -> Result<Map<String, Value>, Error> {
    let words = words(job.kind);
    let name = format!("{}-aws-{}", job.name, words.resource);
    let arn = job.arn.replace(
        &format!(":{}/{}", words.resource, job.name),
        &format!(":experiment-trial-component/{name}"),
    );
    let mut status = json!({ "PrimaryStatus": status_of(&job) });
    if let Some(reason) = reason(&job) {
        status["Message"] = json!(reason);
    }
    let mut detail = json!({ "SourceArn": job.arn });
    let mut component = json!({
        "TrialComponentName": name,
        "DisplayName": name,
        "TrialComponentArn": arn,
        "Source": {
            "SourceArn": job.arn,
            "SourceType": format!("SageMaker{}", words.member("Job")),
        },
        "Status": status,
        "CreationTime": seconds(job.created_at),
        "LastModifiedTime": seconds(job.modified_at),
    });
    if let Some(started) = job.started_at {
        component["StartTime"] = seconds(started);
    }
    if let Some(ended) = job.ended_at {
        component["EndTime"] = seconds(ended);
    }
    detail[words.member("Job")] = Value::Object(described(job, documents, history)?);
    component["SourceDetail"] = detail;
    match component {
        Value::Object(component) => Ok(component),
        _ => Ok(Map::new()),
    }
}
