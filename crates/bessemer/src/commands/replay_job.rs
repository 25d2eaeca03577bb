//! `bessemer rejects replay JOB`: the rejected records of a transform job again, by another job.

use bessemer_domain::{Clock, ExitCode, SystemClock};
use serde_json::{Map, Value, json};

use super::jobs::{ended, exit_code};
use crate::{
    failure::Failure,
    remote::Remote,
    report::{ReportOptions, event, print},
    wiring::data::DataOptions,
};

/// Members of a job's description that its replay is created with.
const MEMBERS: [&str; 10] = [
    "ModelName",
    "MaxConcurrentTransforms",
    "ModelClientConfig",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput",
    "TransformResources",
    "DataProcessing",
];

/// Characters that a job's name may have.
const LONGEST_NAME: usize = 63;

/// A replay.
pub(super) struct ReplayJob {
    /// Whose records are replayed.
    pub(super) job: String,
    /// By which model, if not by the job's.
    pub(super) model: Option<String>,
    /// The name of the job that does it.
    pub(super) name: Option<String>,
    /// How many may stay rejected, if not as many as the job said.
    pub(super) max_rejects: Option<String>,
}

impl ReplayJob {
    pub(super) fn run(
        self,
        data: &DataOptions,
        report: &ReportOptions,
    ) -> Result<ExitCode, Failure> {
        let remote = Remote::open(data)?;
        let described =
            remote.sagemaker("DescribeTransformJob", &json!({ "TransformJobName": self.job }))?;
        let now = SystemClock.now_millis();
        let name = self.name.clone().unwrap_or_else(|| name_of(&self.job, now));
        let request = self.request(&described, &name);
        remote.sagemaker("CreateTransformJob", &request)?;
        let which = json!({ "name": name, "kind": "transform" });
        let ended = ended(&remote, &which)?;
        let result = remote.call("DescribeJob", &which)?["result"].clone();
        if result.is_null() {
            let reason = ended["message"].as_str().unwrap_or("see `bessemer jobs why`").to_owned();
            let text = anyhow::anyhow!("replay `{}` by the job `{name}`: {reason}", self.job);
            return Err(Failure::new(exit_code(&ended), text));
        }
        let number = |name: &str| result[name].as_u64().unwrap_or_default();
        let (replayed, mended) = (number("replayed"), number("mended"));
        let left = number("rejected");
        if report.json {
            event(&json!({
                "event": "summary",
                "job": name,
                "replayed": replayed,
                "mended": mended,
                "rejected": left,
                "output": described["TransformOutput"]["S3OutputPath"],
            }));
        } else if !report.quiet {
            print(&format!(
                "{mended} of {replayed} rejected records are delivered now, {left} are still \
                 rejected\n"
            ));
        }
        Ok(match exit_code(&ended) {
            ExitCode::JobFailed => ExitCode::Rejected,
            code => code,
        })
    }

    /// What the job that replays is created with.
    fn request(&self, described: &Value, name: &str) -> Value {
        let members = MEMBERS.iter().filter_map(|member| {
            let value = described.get(*member).filter(|value| !value.is_null())?;
            Some(((*member).to_owned(), value.clone()))
        });
        let mut request: Map<String, Value> = members.collect();
        request.insert("TransformJobName".to_owned(), json!(name));
        if let Some(model) = &self.model {
            request.insert("ModelName".to_owned(), json!(model));
        }
        let environment = request.entry("Environment").or_insert_with(|| json!({}));
        environment["BESSEMER_REPLAY"] = json!(self.job);
        if let Some(limit) = &self.max_rejects {
            environment["BESSEMER_MAX_REJECTS"] = json!(limit);
        }
        Value::Object(request)
    }
}

/// A name for a replay of `job` at that time, in milliseconds since 1970.
fn name_of(job: &str, now: u64) -> String {
    let end = format!("-replay-{now}");
    let room = LONGEST_NAME - end.len();
    format!("{}{end}", job.chars().take(room).collect::<String>().trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_is_the_job_again_under_another_name() {
        let replay = ReplayJob {
            job: "first".into(),
            model: Some("better".into()),
            name: None,
            max_rejects: None,
        };
        let described = json!({
            "TransformJobName": "first", "ModelName": "m", "TransformJobStatus": "Completed",
            "Environment": { "BESSEMER_MAX_REJECTS": "5" }, "MaxPayloadInMB": 6,
        });
        let expected = json!({
            "ModelName": "better", "MaxPayloadInMB": 6, "TransformJobName": "again",
            "Environment": { "BESSEMER_MAX_REJECTS": "5", "BESSEMER_REPLAY": "first" },
        });
        assert_eq!(replay.request(&described, "again"), expected);
    }

    #[test]
    fn names_are_no_longer_than_they_may_be() {
        assert_eq!(name_of("job", 17), "job-replay-17");
        let long = name_of(&"x".repeat(63), 1_800_000_000_000);
        assert!(long.len() == LONGEST_NAME && long.ends_with("-replay-1800000000000"), "{long}");
    }
}
