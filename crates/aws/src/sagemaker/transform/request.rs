//! [`TransformRequest`]: what a transform job is kept as.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A transform job's document: the call that made it, and the model as it was then, so that nothing
/// that happens to the model later changes the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransformRequest {
    /// The input of `CreateTransformJob`, without tags.
    pub job: Value,
    /// The input of `CreateModel`, with AWS's defaults.
    pub model: Value,
    /// The number of the job whose rejected records this one replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<i64>,
}
