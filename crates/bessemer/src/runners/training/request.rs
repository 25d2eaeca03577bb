//! What a `CreateTrainingJob` asks for. Pure.

use bessemer_jobs::Attempt;
use serde_json::{Map, Value};

use crate::runners::container::{Demand, Failed, Source, Uri};

/// A training job's request.
#[derive(Debug)]
pub(super) struct TrainingRequest {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) demand: Demand,
    pub(super) channels: Vec<Channel>,
    /// As they were sent: texts.
    pub(super) hyperparameters: Map<String, Value>,
    pub(super) instance_type: String,
    /// What to run instead of what the image has.
    pub(super) entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub(super) arguments: Vec<String>,
    pub(super) output: Uri,
    /// The model's files are to be objects of their own, not one archive.
    pub(super) is_uncompressed: bool,
    pub(super) checkpoints: Option<Checkpoints>,
    pub(super) metrics: Vec<MetricDefinition>,
    /// Cores of each instance.
    pub(super) cores: u32,
}

/// An input, which is a folder of its name.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) name: String,
    pub(super) source: Source,
    /// What `inputdataconfig.json` says of it.
    pub(super) configuration: Value,
}

/// A folder that is kept in a bucket while the program runs.
#[derive(Debug)]
pub(super) struct Checkpoints {
    pub(super) uri: Uri,
    pub(super) path: String,
}

/// A figure that the program writes among its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MetricDefinition {
    pub(super) name: String,
    pub(super) regex: String,
}

impl TrainingRequest {
    pub(super) fn of(attempt: &Attempt) -> Result<Self, Failed> {
        let document: Value = serde_json::from_str(&attempt.request)
            .map_err(|error| Failed::internal(format!("read the job's request: {error}")))?;
        let job = &document["job"];
        let request = Self::read(job, &attempt.job.name, &attempt.job.arn)?;
        let cores = attempt.resources.cores / request.demand.instances as u32;
        Ok(Self { cores: cores.max(1), ..request })
    }

    fn read(job: &Value, name: &str, arn: &str) -> Result<Self, Failed> {
        let algorithm = &job["AlgorithmSpecification"];
        let (resources, output) = (&job["ResourceConfig"], &job["OutputDataConfig"]);
        let mut demand = Demand::of(job, &algorithm["TrainingImage"], resources)?;
        let checkpoints = checkpoints(&job["CheckpointConfig"])?;
        demand.is_watched = checkpoints.is_some();
        let mode = algorithm["TrainingInputMode"].as_str().unwrap_or("File");
        let channels = job["InputDataConfig"].as_array().into_iter().flatten();
        let channels =
            channels.map(|channel| Channel::of(channel, mode)).collect::<Result<_, _>>()?;
        let texts = |value: &Value| -> Option<Vec<String>> {
            let all = value.as_array()?.iter();
            Some(all.filter_map(|text| text.as_str().map(str::to_owned)).collect())
        };
        let entrypoint = texts(&algorithm["ContainerEntrypoint"]).filter(|texts| !texts.is_empty());
        let arguments = texts(&algorithm["ContainerArguments"]).unwrap_or_default();
        let metrics = algorithm["MetricDefinitions"].as_array().into_iter().flatten();
        Ok(Self {
            name: name.to_owned(),
            arn: arn.to_owned(),
            demand,
            channels,
            hyperparameters: job["HyperParameters"].as_object().cloned().unwrap_or_default(),
            instance_type: resources["InstanceType"].as_str().unwrap_or_default().to_owned(),
            entrypoint,
            arguments,
            output: Uri::parse(output["S3OutputPath"].as_str().unwrap_or_default())?,
            is_uncompressed: output["CompressionType"] == "NONE",
            checkpoints,
            metrics: metrics.filter_map(MetricDefinition::of).collect(),
            cores: 1,
        })
    }

    /// A hyperparameter, whose value SDKs write as JSON.
    pub(super) fn hyperparameter(&self, name: &str) -> Option<String> {
        let text = self.hyperparameters.get(name)?.as_str()?;
        match serde_json::from_str(text) {
            Ok(Value::String(text)) => Some(text),
            _ => Some(text.to_owned()),
        }
    }

    /// Where an output of the job goes.
    pub(super) fn output(&self, name: &str) -> Uri {
        self.output.below(&format!("{}/output/{name}", self.name))
    }
}

impl Channel {
    fn of(channel: &Value, mode: &str) -> Result<Self, Failed> {
        let name = channel["ChannelName"].as_str().unwrap_or_default();
        let mode = channel["InputMode"].as_str().unwrap_or(mode);
        if mode == "Pipe" {
            return Err(Failed::client(format!(
                "channel `{name}`: TrainingInputMode `Pipe` is not supported by Bessemer; use \
                 `FastFile`, which reads as fast"
            )));
        }
        let s3 = &channel["DataSource"]["S3DataSource"];
        if !s3.is_object() {
            return Err(Failed::client(format!(
                "channel `{name}`: only S3DataSource is supported by Bessemer"
            )));
        }
        let source = Source::of(s3, &channel["CompressionType"])?;
        let distribution = s3["S3DataDistributionType"].as_str().unwrap_or("FullyReplicated");
        let mut configuration = Map::new();
        if let Some(kind) = channel["ContentType"].as_str().filter(|kind| !kind.is_empty()) {
            configuration.insert("ContentType".to_owned(), kind.into());
        }
        let record = channel["RecordWrapperType"].as_str().unwrap_or("None");
        configuration.insert("RecordWrapperType".to_owned(), record.into());
        configuration.insert("S3DistributionType".to_owned(), distribution.into());
        // What is read as if it were there is there.
        configuration.insert("TrainingInputMode".to_owned(), "File".into());
        Ok(Self { name: name.to_owned(), source, configuration: configuration.into() })
    }
}

impl MetricDefinition {
    fn of(definition: &Value) -> Option<Self> {
        let text = |name: &str| definition[name].as_str().map(str::to_owned);
        Some(Self { name: text("Name")?, regex: text("Regex")? })
    }
}

fn checkpoints(configuration: &Value) -> Result<Option<Checkpoints>, Failed> {
    let Some(uri) = configuration["S3Uri"].as_str() else { return Ok(None) };
    // With a slash, so that `checkpoints2` is not among `checkpoints`.
    let uri = Uri::parse(&format!("{}/", uri.trim_end_matches('/')))?;
    let path = configuration["LocalPath"].as_str().unwrap_or("/opt/ml/checkpoints");
    Ok(Some(Checkpoints { uri, path: path.trim_end_matches('/').to_owned() }))
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;

    /// A request as the SDK sends it, with some members changed.
    pub(crate) fn request(changes: &Value) -> Result<TrainingRequest, Failed> {
        let mut job = json!({
            "TrainingJobName": "job",
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "TrainingImage": "1.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
            },
            "InputDataConfig": [{
                "ChannelName": "train",
                "DataSource": { "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://b/in/" } },
            }],
            "HyperParameters": {
                "n": "10", "s": "\"str\"", "f": "0.1", "flag": "true",
                "sagemaker_program": "\"train.py\"",
                "sagemaker_submit_directory": "\"s3://b/source/sourcedir.tar.gz\"",
                "sagemaker_container_log_level": "20",
            },
            "OutputDataConfig": { "S3OutputPath": "s3://b/out" },
            "ResourceConfig": {
                "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30,
            },
        });
        for (name, value) in changes.as_object().unwrap() {
            job[name] = value.clone();
        }
        TrainingRequest::read(
            &job,
            "job",
            "arn:aws:sagemaker:eu-west-1:000000000000:training-job/job",
        )
    }

    #[test]
    fn texts_of_hyperparameters_are_json_or_themselves() {
        let request = request(&json!({ "HyperParameters": { "a": "\"x\"", "b": "x", "c": "1" } }));
        let request = request.unwrap();
        let of = |name| request.hyperparameter(name);
        assert_eq!([of("a"), of("b"), of("c")].map(Option::unwrap), ["x", "x", "1"]);
        assert_eq!(of("d"), None);
        assert_eq!(
            request.output("model.tar.gz").to_string(),
            "s3://b/out/job/output/model.tar.gz"
        );
    }

    #[test]
    fn what_is_not_supported_is_said() {
        let pipe = json!([{ "ChannelName": "c", "InputMode": "Pipe" }]);
        let message = request(&json!({ "InputDataConfig": pipe })).unwrap_err().message;
        assert!(message.contains("channel `c`") && message.contains("FastFile"), "{message}");
        let other = json!([{ "ChannelName": "c", "DataSource": { "FileSystemDataSource": {} } }]);
        let message = request(&json!({ "InputDataConfig": other })).unwrap_err().message;
        assert!(message.contains("only S3DataSource"), "{message}");
    }
}
