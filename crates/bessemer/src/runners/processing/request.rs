//! What a `CreateProcessingJob` asks for. Pure.

use bessemer_jobs::Attempt;
use serde_json::{Value, json};

use crate::runners::container::{Demand, Failed, ML, Source, Uri};

/// A processing job's request.
#[derive(Debug)]
pub(super) struct ProcessingRequest {
    pub(super) demand: Demand,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<Output>,
    /// What to run; none for a container's own.
    pub(super) command: Vec<String>,
    pub(super) arguments: Vec<String>,
    /// The request as it was sent.
    pub(super) job: Value,
    pub(super) arn: String,
}

/// Objects that are in a folder when the program runs.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) source: Source,
    pub(super) path: String,
}

/// A folder whose files become objects.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) uri: Uri,
    pub(super) path: String,
    /// While the program runs, and not only when it has ended.
    pub(super) is_continuous: bool,
}

impl ProcessingRequest {
    pub(super) fn of(attempt: &Attempt) -> Result<Self, Failed> {
        let document: Value = serde_json::from_str(&attempt.request)
            .map_err(|error| Failed::internal(format!("read the job's request: {error}")))?;
        Self::read(document["job"].clone(), &attempt.job.arn)
    }

    fn read(job: Value, arn: &str) -> Result<Self, Failed> {
        let application = &job["AppSpecification"];
        let resources = &job["ProcessingResources"]["ClusterConfig"];
        let mut demand = Demand::of(&job, &application["ImageUri"], resources)?;
        let texts = |value: &Value| -> Vec<String> {
            let all = value.as_array().into_iter().flatten();
            all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        };
        let command = texts(&application["ContainerEntrypoint"]);
        let arguments = texts(&application["ContainerArguments"]);
        let inputs = job["ProcessingInputs"].as_array().into_iter().flatten();
        let inputs = inputs.map(Input::of).collect::<Result<_, _>>()?;
        let outputs = job["ProcessingOutputConfig"]["Outputs"].as_array().into_iter().flatten();
        let outputs: Vec<Output> = outputs.map(Output::of).collect::<Result<_, _>>()?;
        demand.is_watched = outputs.iter().any(|output| output.is_continuous);
        Ok(Self { demand, inputs, outputs, command, arguments, job, arn: arn.to_owned() })
    }
}

impl Input {
    fn of(input: &Value) -> Result<Self, Failed> {
        let name = input["InputName"].as_str().unwrap_or_default();
        let s3 = &input["S3Input"];
        if !s3.is_object() {
            return Err(Failed::client(format!(
                "input `{name}`: only S3Input is supported by Bessemer"
            )));
        }
        if s3["S3InputMode"] == "Pipe" {
            return Err(Failed::client(format!(
                "input `{name}`: S3InputMode `Pipe` is not supported by Bessemer; use `File`"
            )));
        }
        let source = Source::of(s3, &s3["S3CompressionType"])?;
        Ok(Self { source, path: path(&s3["LocalPath"])? })
    }
}

impl Output {
    fn of(output: &Value) -> Result<Self, Failed> {
        let name = output["OutputName"].as_str().unwrap_or_default();
        let s3 = &output["S3Output"];
        if !s3.is_object() {
            return Err(Failed::client(format!(
                "output `{name}`: only S3Output is supported by Bessemer"
            )));
        }
        Ok(Self {
            uri: Uri::parse(s3["S3Uri"].as_str().unwrap_or_default())?,
            path: path(&s3["LocalPath"])?,
            is_continuous: s3["S3UploadMode"] == "Continuous",
        })
    }

    /// The path below `/opt/ml`.
    pub(super) fn inside(&self) -> &str {
        self.path[ML.len()..].trim_start_matches('/')
    }
}

/// A path below `/opt/ml/processing`, without a slash at its end.
fn path(value: &Value) -> Result<String, Failed> {
    let path = value.as_str().unwrap_or_default().trim_end_matches('/');
    let below = path.strip_prefix("/opt/ml/processing");
    let is_plain = |below: &str| {
        let mut parts = below.split('/').skip(1);
        (below.is_empty() || below.starts_with('/'))
            && parts.all(|part| !matches!(part, "" | "." | ".."))
    };
    match below {
        Some(below) if is_plain(below) => Ok(path.to_owned()),
        _ => {
            Err(Failed::client(format!("the LocalPath `{path}` is not below `/opt/ml/processing`")))
        }
    }
}

/// The request as `processingjobconfig.json` has it: what was not given is `null`.
pub(super) fn document(request: &ProcessingRequest) -> Value {
    let job = &request.job;
    let mut document = json!({
        "ProcessingJobArn": request.arn,
        "ProcessingJobName": job["ProcessingJobName"],
        "AppSpecification": job["AppSpecification"],
        "Environment": job["Environment"],
        "ExperimentConfig": job["ExperimentConfig"],
        "NetworkConfig": job["NetworkConfig"],
        "ProcessingInputs": job["ProcessingInputs"],
        "ProcessingOutputConfig": job["ProcessingOutputConfig"],
        "ProcessingResources": job["ProcessingResources"],
        "RoleArn": job["RoleArn"],
        "StoppingCondition": job["StoppingCondition"],
    });
    let mut fill = |parent: &str, names: &[&str]| {
        if let Some(members) = document.pointer_mut(parent).and_then(Value::as_object_mut) {
            for name in names {
                members.entry(*name).or_insert(Value::Null);
            }
        }
    };
    fill("/AppSpecification", &["ContainerArguments", "ContainerEntrypoint"]);
    fill("/ProcessingOutputConfig", &["KmsKeyId"]);
    fill("/ProcessingResources/ClusterConfig", &["VolumeKmsKeyId"]);
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(changes: &Value) -> Result<ProcessingRequest, Failed> {
        let mut job = json!({
            "ProcessingJobName": "job",
            "AppSpecification": {
                "ImageUri": "python:3.11",
                "ContainerEntrypoint": ["python3", "/opt/ml/processing/input/code/run.py"],
                "ContainerArguments": ["--a", "1"],
            },
            "ProcessingResources": { "ClusterConfig": { "InstanceCount": 2 } },
        });
        for (name, value) in changes.as_object().unwrap() {
            job[name] = value.clone();
        }
        ProcessingRequest::read(job, "arn")
    }

    #[test]
    fn the_command_is_entry_point_and_arguments() {
        let request = request(&json!({})).unwrap();
        assert_eq!(request.command, ["python3", "/opt/ml/processing/input/code/run.py"]);
        assert_eq!(request.arguments, ["--a", "1"]);
        assert_eq!(request.demand.instances, 2);
        let document = document(&request);
        assert_eq!(document["ProcessingInputs"], Value::Null);
        let cluster = &document["ProcessingResources"]["ClusterConfig"];
        assert!(cluster.as_object().unwrap().contains_key("VolumeKmsKeyId"));
    }

    #[test]
    fn folders_are_below_processing() {
        let with = |path: &str| {
            let output = json!({
                "OutputName": "o", "S3Output": { "S3Uri": "s3://b/o", "LocalPath": path },
            });
            request(&json!({ "ProcessingOutputConfig": { "Outputs": [output] } }))
        };
        assert_eq!(with("/opt/ml/processing/out/").unwrap().outputs[0].inside(), "processing/out");
        for path in ["/opt/ml/model", "/opt/ml/processing/../x", "/opt/ml/processing2", "x", ""] {
            let refused = with(path).unwrap_err().message;
            assert!(refused.contains("/opt/ml/processing"), "{refused}");
        }
    }

    #[test]
    fn what_is_not_supported_is_said() {
        for (member, value, expected) in [
            ("ProcessingInputs", json!([{ "InputName": "i" }]), "only S3Input"),
            (
                "ProcessingInputs",
                json!([{ "InputName": "i", "S3Input": { "S3InputMode": "Pipe" } }]),
                "`Pipe`",
            ),
            (
                "ProcessingOutputConfig",
                json!({ "Outputs": [{ "OutputName": "o" }] }),
                "only S3Output",
            ),
        ] {
            let refused = request(&json!({ member: value })).unwrap_err().message;
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
