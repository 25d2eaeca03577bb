//! A job that replays the rejected records of an earlier one into that one's output.

use bessemer_domain::{JobKind, Phase};
use serde_json::{Value, json};

use super::{super::error::Error, describe::with_defaults, request::TransformRequest};
use crate::platform::Platform;

/// Members that say which records there are and where they go.
const SAME: [&str; 3] = ["TransformInput", "TransformOutput", "DataProcessing"];

/// The setting that has rejected records set apart.
const SETTING: &str = "BESSEMER_MAX_REJECTS";

/// What a replay of the job `name` is kept as: that job's document with what `input` says otherwise;
/// and the number of the job that has kept the records.
pub(super) async fn document(
    platform: &Platform,
    name: &str,
    input: &Value,
) -> Result<(Value, i64), Error> {
    let job = platform.jobs.get(JobKind::Transform, name).await?;
    if matches!(job.lifecycle.state.name().phase(), Phase::InProgress | Phase::Stopping) {
        return Err(Error::Validation(format!(
            "The job '{name}' has not ended, so its rejected records can't be replayed"
        )));
    }
    let documents = platform.jobs.documents(&job).await?;
    let kept: TransformRequest =
        serde_json::from_str(&documents.request).map_err(|error| Error::Internal(error.into()))?;
    let of_model = &kept.model["PrimaryContainer"]["Environment"];
    if [&kept.job["Environment"], of_model].iter().all(|set| set[SETTING].is_null()) {
        return Err(Error::Validation(format!(
            "The job '{name}' has set no records apart, as {SETTING} has jobs do"
        )));
    }
    let (was, asked) = (with_defaults(kept.job.clone()), with_defaults(input.clone()));
    if let Some(other) = SAME.iter().find(|member| was.get(**member) != asked.get(**member)) {
        return Err(Error::Validation(format!(
            "A replay of '{name}' must have its {other}: records go back to where they were"
        )));
    }
    let mut document = kept.job;
    if let (Some(members), Some(given)) = (document.as_object_mut(), input.as_object()) {
        let mut environment = members.get("Environment").cloned().unwrap_or_else(|| json!({}));
        if let (Some(old), Some(new)) =
            (environment.as_object_mut(), input["Environment"].as_object())
        {
            old.extend(new.clone());
        }
        let given = given.iter().filter(|(member, _)| !SAME.contains(&member.as_str()));
        members.extend(given.map(|(member, value)| (member.clone(), value.clone())));
        members.insert("Environment".to_owned(), environment);
    }
    // A replay of a replay is one of the first job.
    Ok((document, kept.replay.unwrap_or(job.id.0)))
}
