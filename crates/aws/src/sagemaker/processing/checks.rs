//! What a processing job is checked for when it is created, beyond what the API's model says.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::jobs::{check_absent, check_unique, check_uri, unsupported};

/// What every path in the container begins with.
const ROOT: &str = "/opt/ml/processing/";

/// The parts of a `CreateProcessingJob` that are looked at.
#[derive(Deserialize)]
pub(super) struct Checked {
    #[serde(rename = "ProcessingInputs", default)]
    inputs: Vec<ProcessingInput>,
    #[serde(rename = "ProcessingOutputConfig", default)]
    output_config: OutputConfig,
    #[serde(rename = "ProcessingResources")]
    resources: Resources,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessingInput {
    input_name: String,
    #[serde(default)]
    app_managed: bool,
    s3_input: Option<InputSource>,
    dataset_definition: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InputSource {
    s3_uri: String,
    local_path: Option<String>,
    #[serde(rename = "S3InputMode")]
    mode: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutputConfig {
    outputs: Vec<ProcessingOutput>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessingOutput {
    output_name: String,
    #[serde(default)]
    app_managed: bool,
    s3_output: Option<OutputTarget>,
    feature_store_output: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OutputTarget {
    s3_uri: String,
    local_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    cluster_config: Map<String, Value>,
}

/// Says what is wrong with a job.
pub(super) fn check(job: &Checked) -> Result<(), String> {
    let inputs = &job.inputs;
    let outputs = &job.output_config.outputs;
    check_unique("ProcessingInput", inputs.iter().map(|input| input.input_name.as_str()))?;
    check_unique("ProcessingOutput", outputs.iter().map(|output| output.output_name.as_str()))?;
    inputs.iter().try_for_each(check_input)?;
    outputs.iter().try_for_each(check_output)?;
    let cluster = &job.resources.cluster_config;
    check_absent(cluster, &["InstancePreferences"])?;
    match ["InstanceType", "InstanceCount"].iter().find(|member| !cluster.contains_key(**member)) {
        Some(member) => Err(format!("ClusterConfig must have an {member}")),
        None => Ok(()),
    }
}

fn check_input(input: &ProcessingInput) -> Result<(), String> {
    let name = &input.input_name;
    match (&input.s3_input, &input.dataset_definition) {
        (_, Some(_)) => Err(unsupported(&format!("The DatasetDefinition of input {name}"))),
        (None, None) => Err(format!("Input {name} must have an S3Input")),
        (Some(source), None) => {
            if source.mode.as_deref() == Some("Pipe") {
                return Err(format!("{}; use File", unsupported("S3InputMode Pipe")));
            }
            check_uri("S3Uri", &source.s3_uri)?;
            check_path("input", name, source.local_path.as_deref(), input.app_managed)
        }
    }
}

fn check_output(output: &ProcessingOutput) -> Result<(), String> {
    let name = &output.output_name;
    match (&output.s3_output, &output.feature_store_output) {
        (_, Some(_)) => Err(unsupported(&format!("The FeatureStoreOutput of output {name}"))),
        (None, None) => Err(format!("Output {name} must have an S3Output")),
        (Some(target), None) => {
            check_uri("S3Uri", &target.s3_uri)?;
            check_path("output", name, target.local_path.as_deref(), output.app_managed)
        }
    }
}

/// What the application itself sees to needs no path.
fn check_path(
    what: &str,
    name: &str,
    path: Option<&str>,
    is_app_managed: bool,
) -> Result<(), String> {
    match path {
        None if is_app_managed => Ok(()),
        None => Err(format!("LocalPath of {what} {name} is required when AppManaged is false")),
        Some(path) if path.starts_with(ROOT) && !path.split('/').any(|part| part == "..") => Ok(()),
        Some(path) => {
            Err(format!("LocalPath of {what} {name} must begin with {ROOT}, it is '{path}'"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(pointer: &str, value: Value) -> Result<(), String> {
        let mut job = json!({
            "ProcessingInputs": [{
                "InputName": "in",
                "S3Input": { "S3Uri": "s3://b/in", "LocalPath": "/opt/ml/processing/in" },
            }],
            "ProcessingOutputConfig": { "Outputs": [{
                "OutputName": "out",
                "S3Output": { "S3Uri": "s3://b/out", "LocalPath": "/opt/ml/processing/out" },
            }]},
            "ProcessingResources": {
                "ClusterConfig": { "InstanceType": "ml.m5.large", "InstanceCount": 1 },
            },
        });
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        job.pointer_mut(parent).unwrap()[name] = value;
        check(&serde_json::from_value(job).unwrap())
    }

    #[test]
    fn what_can_be_run_passes() {
        assert_eq!(checked("/Environment", json!({})), Ok(()));
        assert_eq!(checked("/ProcessingInputs", json!([])), Ok(()));
        let managed = json!({ "S3Uri": "s3://b/out" });
        let output = json!([{ "OutputName": "o", "AppManaged": true, "S3Output": managed }]);
        assert_eq!(checked("/ProcessingOutputConfig/Outputs", output), Ok(()));
    }

    #[test]
    fn what_can_not_be_run_is_refused_by_name() {
        let source = "/ProcessingInputs/0/S3Input";
        let twice = json!([
            { "OutputName": "o", "S3Output": { "S3Uri": "s3://b/o" } },
            { "OutputName": "o", "S3Output": { "S3Uri": "s3://b/o" } },
        ]);
        let refused = [
            ("/ProcessingInputs/0/DatasetDefinition", json!({}), "DatasetDefinition"),
            ("/ProcessingInputs/0/S3Input/S3InputMode", json!("Pipe"), "S3InputMode Pipe"),
            ("/ProcessingInputs/0/S3Input/LocalPath", json!("/data"), "/opt/ml/processing/"),
            (
                "/ProcessingInputs/0/S3Input/LocalPath",
                json!("/opt/ml/processing/../x"),
                "LocalPath",
            ),
            (source, json!({ "S3Uri": "s3://b/in" }), "AppManaged"),
            (source, json!({ "S3Uri": "https://b/in" }), "s3://"),
            ("/ProcessingOutputConfig/Outputs", twice, "'o' is there more than once"),
            (
                "/ProcessingOutputConfig/Outputs/0/FeatureStoreOutput",
                json!({}),
                "FeatureStoreOutput",
            ),
            ("/ProcessingResources/ClusterConfig", json!({ "InstanceCount": 1 }), "InstanceType"),
        ];
        for (pointer, value, words) in refused {
            let message = checked(pointer, value).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
