//! What a training job is checked for when it is created, beyond what the API's model says.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::jobs::{check_absent, check_unique, check_uri, unsupported},
    create::{CreateTrainingJob, DEFAULT_RUNTIME},
};

/// AWS's maximum of `MaxRuntimeInSeconds`: 28 days.
const LONGEST: u64 = 28 * 86_400;

/// Members of the request that ask for work which is not done here.
const UNSUPPORTED: [&str; 4] =
    ["ServerlessJobConfig", "MlflowConfig", "ModelPackageConfig", "TensorBoardOutputConfig"];

/// Members of its `ResourceConfig` that do.
const UNSUPPORTED_RESOURCES: [&str; 4] =
    ["InstanceGroups", "InstancePlacementConfig", "InstancePreferences", "TrainingPlanArn"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AlgorithmSpecification {
    training_image: Option<String>,
    algorithm_name: Option<String>,
    training_input_mode: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InputChannel {
    channel_name: String,
    data_source: Map<String, Value>,
    input_mode: Option<String>,
}

/// Says what is wrong with a job.
pub(super) fn check(input: &Value, job: &CreateTrainingJob) -> Result<(), String> {
    let empty = Map::new();
    let members = input.as_object().unwrap_or(&empty);
    check_absent(members, &UNSUPPORTED)?;
    let resources = members.get("ResourceConfig").and_then(Value::as_object);
    check_absent(resources.unwrap_or(&empty), &UNSUPPORTED_RESOURCES)?;
    check_algorithm(&part(input, "/AlgorithmSpecification")?)?;
    let channels: Option<Vec<InputChannel>> = part(input, "/InputDataConfig")?;
    check_channels(&channels.unwrap_or_default())?;
    check_instances(job)?;
    check_times(job)?;
    let uris = ["/OutputDataConfig/S3OutputPath", "/CheckpointConfig/S3Uri"];
    for uri in uris {
        if let Some(text) = input.pointer(uri).and_then(Value::as_str) {
            check_uri(&uri[1..].replace('/', "."), text)?;
        }
    }
    if input.pointer("/RemoteDebugConfig/EnableRemoteDebug") == Some(&Value::Bool(true)) {
        return Err(unsupported("RemoteDebugConfig.EnableRemoteDebug"));
    }
    Ok(())
}

/// A part of the request, which its model has checked.
fn part<'v, T: Deserialize<'v>>(input: &'v Value, pointer: &str) -> Result<T, String> {
    T::deserialize(input.pointer(pointer).unwrap_or(&Value::Null))
        .map_err(|error| error.to_string())
}

fn check_algorithm(algorithm: &AlgorithmSpecification) -> Result<(), String> {
    match (&algorithm.training_image, &algorithm.algorithm_name) {
        (_, Some(_)) => Err(unsupported("AlgorithmSpecification.AlgorithmName")),
        (None, None) => Err("AlgorithmSpecification must have a TrainingImage".to_owned()),
        (Some(_), None) => check_mode(&algorithm.training_input_mode),
    }
}

fn check_mode(mode: &str) -> Result<(), String> {
    match mode {
        "Pipe" => Err(format!("{}; use File or FastFile", unsupported("TrainingInputMode Pipe"))),
        _ => Ok(()),
    }
}

fn check_channels(channels: &[InputChannel]) -> Result<(), String> {
    check_unique("Channel", channels.iter().map(|channel| channel.channel_name.as_str()))?;
    for channel in channels {
        check_mode(channel.input_mode.as_deref().unwrap_or_default())?;
        let Some(source) = channel.data_source.get("S3DataSource") else {
            let other = channel.data_source.keys().next();
            let name = &channel.channel_name;
            return Err(other.map_or_else(
                || format!("Channel {name} has no DataSource"),
                |other| unsupported(&format!("The {other} of channel {name}")),
            ));
        };
        let text = |member: &str| source.get(member).and_then(Value::as_str).unwrap_or_default();
        if let kind @ ("AugmentedManifestFile" | "Converse") = text("S3DataType") {
            return Err(unsupported(&format!("S3DataType {kind}")));
        }
        for member in ["InstanceGroupNames", "ModelAccessConfig", "HubAccessConfig"] {
            if source.get(member).is_some() {
                return Err(unsupported(&format!("S3DataSource.{member}")));
            }
        }
        check_uri("S3Uri", text("S3Uri"))?;
    }
    Ok(())
}

fn check_instances(job: &CreateTrainingJob) -> Result<(), String> {
    let config = job.resource_config.as_ref();
    let config = config.ok_or("ResourceConfig is required")?;
    match (&config.instance_type, config.instance_count) {
        (None, _) => Err("ResourceConfig must have an InstanceType".to_owned()),
        (_, None | Some(0)) => {
            Err("ResourceConfig must have an InstanceCount of 1 or more".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_times(job: &CreateTrainingJob) -> Result<(), String> {
    let times = &job.stopping_condition;
    let runtime = times.runtime.unwrap_or(DEFAULT_RUNTIME);
    if runtime > LONGEST {
        return Err(format!("MaxRuntimeInSeconds must not exceed {LONGEST}, it is {runtime}"));
    }
    match (job.enable_managed_spot_training, times.wait_time) {
        (true, None) => Err("Invalid MaxWaitTimeInSeconds. It must be present when \
                             EnableManagedSpotTraining is true"
            .to_owned()),
        (true, Some(wait)) if wait < runtime => Err(format!(
            "Invalid MaxWaitTimeInSeconds. It must be greater than or equal to \
             MaxRuntimeInSeconds, which is {runtime}"
        )),
        (false, Some(_)) => Err("Invalid MaxWaitTimeInSeconds. It can be given only when \
                                 EnableManagedSpotTraining is true"
            .to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut job = json!({
            "TrainingJobName": "a",
            "AlgorithmSpecification": { "TrainingImage": "i", "TrainingInputMode": "File" },
            "InputDataConfig": [{
                "ChannelName": "train",
                "DataSource": { "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://b/in" } },
            }],
            "OutputDataConfig": { "S3OutputPath": "s3://b/out" },
            "ResourceConfig": { "InstanceType": "ml.m5.large", "InstanceCount": 1 },
        });
        change(&mut job);
        check(&job, &serde_json::from_value(job.clone()).unwrap())
    }

    #[test]
    fn what_can_be_run_passes() {
        assert_eq!(checked(|_| {}), Ok(()));
        assert_eq!(
            checked(|job| {
                job["EnableManagedSpotTraining"] = json!(true);
                job["StoppingCondition"] =
                    json!({ "MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60 });
            }),
            Ok(())
        );
    }

    #[test]
    fn what_can_not_be_run_is_refused_by_name() {
        let set = |pointer: &'static str, value: Value| {
            checked(move |job| {
                let (parent, name) = pointer.rsplit_once('/').unwrap();
                job.pointer_mut(parent).unwrap()[name] = value;
            })
        };
        let source = "/InputDataConfig/0/DataSource";
        let data_type = "/InputDataConfig/0/DataSource/S3DataSource/S3DataType";
        let spot = json!({ "MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60 });
        let refused = [
            (set("/AlgorithmSpecification/TrainingInputMode", json!("Pipe")), "Pipe"),
            (set("/InputDataConfig/0/InputMode", json!("Pipe")), "Pipe"),
            (set("/AlgorithmSpecification/AlgorithmName", json!("x")), "AlgorithmName"),
            (
                set("/AlgorithmSpecification", json!({ "TrainingInputMode": "File" })),
                "TrainingImage",
            ),
            (set(data_type, json!("AugmentedManifestFile")), "AugmentedManifestFile"),
            (set(source, json!({ "FileSystemDataSource": {} })), "FileSystemDataSource"),
            (set(source, json!({})), "no DataSource"),
            (set("/OutputDataConfig/S3OutputPath", json!("https://x/y")), "s3://"),
            (set("/ResourceConfig/InstanceCount", json!(0)), "InstanceCount"),
            (set("/ResourceConfig/InstanceGroups", json!([])), "InstanceGroups"),
            (set("/MlflowConfig", json!({})), "MlflowConfig"),
            (set("/StoppingCondition", json!({ "MaxRuntimeInSeconds": 2_419_201 })), "2419200"),
            (set("/StoppingCondition", spot), "EnableManagedSpotTraining"),
            (set("/EnableManagedSpotTraining", json!(true)), "MaxWaitTimeInSeconds"),
            (
                checked(|job| {
                    let first = job["InputDataConfig"][0].clone();
                    job["InputDataConfig"].as_array_mut().unwrap().push(first);
                }),
                "'train' is there more than once",
            ),
        ];
        for (result, words) in refused {
            let message = result.unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
