//! [`BatchRequest`]: what a job of Batch is kept as.

use std::collections::BTreeMap;

use bessemer_domain::ExitRule;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::retry::RetryStrategy;

/// A job's document: its definition with all that the submission overrides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchRequest {
    /// Members of `DescribeJobs` that don't change while the job lives.
    pub(super) detail: Map<String, Value>,
    /// What its container is, with overrides.
    pub(super) container: Map<String, Value>,
    /// What stands for `Ref::` in its command.
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) retry: RetryStrategy,
    /// The names of its queue and of the environment that it is said to run in.
    pub(super) queue: String,
    pub(super) environment: String,
    /// The name of its definition.
    pub(super) definition: String,
    /// Its place in its array, and the array's size.
    pub(super) place: Option<(u32, u32)>,
}

impl BatchRequest {
    /// The container's image.
    #[must_use]
    pub fn image(&self) -> &str {
        self.container.get("image").and_then(Value::as_str).unwrap_or_default()
    }

    /// The container's command, with parameters in their places.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let command = self.container.get("command").and_then(Value::as_array);
        let words = command.into_iter().flatten().filter_map(Value::as_str);
        words.map(|word| filled(word, &self.parameters)).collect()
    }

    /// The variables of the definition and the submission.
    #[must_use]
    pub fn variables(&self) -> Vec<(String, String)> {
        let all = self.container.get("environment").and_then(Value::as_array);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.into_iter().flatten().map(|one| (text(&one["name"]), text(&one["value"]))).collect()
    }

    /// The variables that tell of job `id` and its attempt.
    #[must_use]
    pub fn own_variables(&self, id: &str, attempt: u32) -> Vec<(String, String)> {
        let named = |name: &str, value: String| (name.to_owned(), value);
        let mut variables = vec![
            named("AWS_BATCH_JOB_ID", id.to_owned()),
            named("AWS_BATCH_JOB_ATTEMPT", attempt.to_string()),
            named("AWS_BATCH_JQ_NAME", self.queue.clone()),
            named("AWS_BATCH_CE_NAME", self.environment.clone()),
        ];
        if let Some((index, size)) = self.place {
            variables.push(named("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()));
            variables.push(named("AWS_BATCH_JOB_ARRAY_SIZE", size.to_string()));
        }
        variables
    }

    /// Bytes that the container may write, if it says so.
    #[must_use]
    pub fn storage(&self) -> Option<u64> {
        let storage = self.container.get("ephemeralStorage")?;
        storage["sizeInGiB"].as_u64().map(|gibibytes| gibibytes << 30)
    }

    /// What follows a failed attempt.
    #[must_use]
    pub fn rules(&self) -> &[ExitRule] {
        &self.retry.evaluate_on_exit
    }

    /// The log group of its attempts.
    #[must_use]
    pub fn log_group(&self) -> &str {
        self.log_option("awslogs-group").unwrap_or("/aws/batch/job")
    }

    /// The log stream of an attempt: `<definition>/default/<task>`.
    #[must_use]
    pub fn log_stream(&self, id: &str, attempt: u32) -> String {
        let prefix = self.log_option("awslogs-stream-prefix").unwrap_or(&self.definition);
        format!("{prefix}/default/{}", task(id, attempt))
    }

    fn log_option(&self, name: &str) -> Option<&str> {
        self.container.get("logConfiguration")?["options"][name].as_str()
    }
}

/// The id of the task of an attempt: the job's, counted on by the place in the array and the attempt.
pub(super) fn task(id: &str, attempt: u32) -> String {
    let (job, place) = id.split_once(':').unwrap_or((id, ""));
    let number = u128::from_str_radix(&job.replace('-', ""), 16).unwrap_or(0);
    let place = place.parse::<u128>().map_or(0, |place| place + 1);
    format!("{:032x}", number.wrapping_add(place << 32).wrapping_add(u128::from(attempt)))
}

/// `word` with parameters in the places of `Ref::name`; names that are not given stay.
fn filled(word: &str, parameters: &BTreeMap<String, String>) -> String {
    let Ok(reference) = Regex::new(r"Ref::([A-Za-z0-9_\-]+)") else { return word.to_owned() };
    let value = |found: &regex::Captures<'_>| {
        parameters.get(&found[1]).cloned().unwrap_or_else(|| found[0].to_owned())
    };
    reference.replace_all(word, value).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_where_they_are_referred_to() {
        let parameters = [("input", "s3://b/in"), ("n", "7")];
        let parameters: BTreeMap<String, String> =
            parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (word, expected) in [
            ("Ref::input", "s3://b/in"),
            ("--n=Ref::n", "--n=7"),
            ("cp Ref::input Ref::n", "cp s3://b/in 7"),
            ("Ref::other", "Ref::other"),
            ("Ref::inputs", "Ref::inputs"),
            ("plain", "plain"),
        ] {
            assert_eq!(filled(word, &parameters), expected);
        }
    }

    #[test]
    fn every_attempt_of_every_child_has_a_task_of_its_own() {
        let job = "0d6a3a9e-0000-4000-8000-0000000000ff";
        let child = |place: u32| format!("{job}:{place}");
        let mut tasks = vec![task(job, 1), task(job, 2)];
        tasks.extend([task(&child(0), 1), task(&child(0), 2), task(&child(9_999), 1)]);
        let different: std::collections::HashSet<&String> = tasks.iter().collect();
        assert_eq!(different.len(), tasks.len());
        assert!(tasks.iter().all(|task| task.len() == 32));
    }
}
