//! What a transform job is checked for when it is created, beyond what the API's model says. Each
//! check has one clear message.

use serde::Deserialize;
use serde_json::Value;

use super::super::jobs;

/// Settings that a job's or a model's `Environment` may hold.
const SETTINGS: [&str; 14] = [
    "BESSEMER_BATCH_ROWS",
    "BESSEMER_CONTENT_TYPE",
    "BESSEMER_COPIES",
    "BESSEMER_CSV_HEADER",
    "BESSEMER_FEATURES",
    "BESSEMER_JOIN",
    "BESSEMER_MAX_REJECTS",
    "BESSEMER_NULLS",
    "BESSEMER_OUTPUT_FORMAT",
    "BESSEMER_OUTPUT_PREFIX",
    "BESSEMER_OUTPUT_SCHEMA",
    "BESSEMER_REJECTED",
    REPLAY,
    "BESSEMER_SERVE",
];

/// The setting that names the job whose rejected records are replayed.
pub(super) const REPLAY: &str = "BESSEMER_REPLAY";

/// Megabytes that all calls under way may hold together.
const MOST_MEGABYTES: u64 = 100;

/// The parts of a `CreateTransformJob` that are looked at.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Checked {
    max_concurrent_transforms: Option<u64>,
    #[serde(rename = "MaxPayloadInMB")]
    max_payload_in_mb: Option<u64>,
    #[serde(default)]
    environment: serde_json::Map<String, Value>,
    transform_input: TransformInput,
    transform_output: TransformOutput,
    data_capture_config: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransformInput {
    data_source: DataSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DataSource {
    s3_data_source: S3DataSource,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct S3DataSource {
    s3_data_type: String,
    s3_uri: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TransformOutput {
    s3_output_path: String,
}

/// Says what is wrong with a job.
pub(super) fn check(job: &Checked) -> Result<(), String> {
    check_supported(job)?;
    check_uri("S3Uri", &job.transform_input.data_source.s3_data_source.s3_uri)?;
    check_uri("S3OutputPath", &job.transform_output.s3_output_path)?;
    check_payloads(job)?;
    check_settings(&job.environment)
}

fn check_supported(job: &Checked) -> Result<(), String> {
    let lacking = |what: &str| Err(format!("{what} is not supported by Bessemer"));
    match job.transform_input.data_source.s3_data_source.s3_data_type.as_str() {
        "S3Prefix" | "ManifestFile" => {}
        // AWS has it for training alone.
        "AugmentedManifestFile" => {
            return Err(
                "AugmentedManifestFile is not a compatible S3DataType for transform jobs; \
                        S3Prefix and ManifestFile are"
                    .to_owned(),
            );
        }
        other => return lacking(&format!("S3DataType {other}")),
    }
    if job.data_capture_config.is_some() { lacking("DataCaptureConfig") } else { Ok(()) }
}

fn check_uri(member: &str, uri: &str) -> Result<(), String> {
    let bucket = uri.strip_prefix("s3://").and_then(|rest| rest.split('/').next());
    match bucket {
        Some(bucket) if !bucket.is_empty() => Ok(()),
        _ => Err(format!("{member} must be an s3:// URI, it is '{uri}'")),
    }
}

fn check_payloads(job: &Checked) -> Result<(), String> {
    let payload = job.max_payload_in_mb.unwrap_or(6);
    if payload > MOST_MEGABYTES {
        return Err(format!(
            "The value of MaxPayloadInMB cannot be greater than {MOST_MEGABYTES} MB, it is {payload}"
        ));
    }
    let concurrent = job.max_concurrent_transforms.unwrap_or(1).max(1);
    if payload.saturating_mul(concurrent) > MOST_MEGABYTES {
        return Err(format!(
            "The value of (MaxConcurrentTransforms * MaxPayloadInMB) cannot exceed \
             {MOST_MEGABYTES} MB, it is {concurrent} * {payload}"
        ));
    }
    Ok(())
}

/// That every `BESSEMER_*` is one of ours: a misspelt one would be left out in silence.
pub(super) fn check_settings(environment: &serde_json::Map<String, Value>) -> Result<(), String> {
    jobs::check_settings(environment, &SETTINGS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(change: impl FnOnce(&mut Value)) -> Result<(), String> {
        let mut job = json!({
            "TransformInput": {
                "DataSource": { "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://b/in" } },
            },
            "TransformOutput": { "S3OutputPath": "s3://b/out" },
        });
        change(&mut job);
        check(&serde_json::from_value(job).unwrap())
    }

    #[test]
    fn what_can_be_run_passes() {
        assert_eq!(checked(|_| {}), Ok(()));
        assert_eq!(
            checked(|job| {
                job["MaxPayloadInMB"] = json!(50);
                job["MaxConcurrentTransforms"] = json!(2);
                job["Environment"] = json!({ "BESSEMER_MAX_REJECTS": "1%", "OTHER": "x" });
            }),
            Ok(())
        );
    }

    #[test]
    fn what_can_not_be_run_is_refused_by_name() {
        let source = |job: &mut Value, name: &str, value: &str| {
            job["TransformInput"]["DataSource"]["S3DataSource"][name] = json!(value);
        };
        let refused = [
            (
                checked(|job| source(job, "S3DataType", "AugmentedManifestFile")),
                "AugmentedManifestFile",
            ),
            (checked(|job| source(job, "S3Uri", "https://b/in")), "s3://"),
            (checked(|job| job["DataCaptureConfig"] = json!({})), "DataCaptureConfig"),
            (checked(|job| job["MaxPayloadInMB"] = json!(101)), "greater than 100 MB, it is 101"),
            (
                checked(|job| job["MaxConcurrentTransforms"] = json!(17)),
                "cannot exceed 100 MB, it is 17 * 6",
            ),
            (
                checked(|job| job["Environment"] = json!({ "BESSEMER_MAX_REJECT": "1" })),
                "there is BESSEMER_MAX_REJECTS",
            ),
        ];
        for (result, words) in refused {
            let message = result.unwrap_err();
            assert!(message.contains(words), "{message}");
        }
    }
}
