//! [`JobRequest`] and [`JobResult`]: what a training or processing job is kept as, and what came of
//! it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A training or processing job's document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRequest {
    /// The input of `CreateTrainingJob` or `CreateProcessingJob` as it was decoded, without tags.
    pub job: Value,
}

/// What came of an attempt at a training or processing job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobResult {
    /// Where the model artifacts are, as an `s3://` URI.
    pub model_artifacts: Option<String>,
    /// What a processing container said at its end.
    pub exit_message: Option<String>,
    /// The last value of each metric.
    pub final_metrics: Vec<FinalMetric>,
    /// Seconds that the instances were in use.
    pub billable_seconds: u64,
}

/// The last value of a metric that a training algorithm wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalMetric {
    /// The metric's name, from the job's `MetricDefinitions`.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// When it was written, in milliseconds since 1970.
    pub timestamp_millis: u64,
}
