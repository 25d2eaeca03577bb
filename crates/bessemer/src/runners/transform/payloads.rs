//! From a `CreateTransformJob` to how files become payloads. Pure.

use bessemer_transform::{
    payload::{PayloadSettings, Split},
    text::detect::Compression,
};
use serde_json::Value;

/// SageMaker's default of `InvocationsMaxRetries`.
const RETRIES: u32 = 3;

/// What a job says of payloads, `megabytes` included.
pub(super) fn settings(job: &Value) -> PayloadSettings {
    let input = &job["TransformInput"];
    let split = match input["SplitType"].as_str() {
        Some("Line") => Split::Line,
        Some("RecordIO") => Split::RecordIo,
        Some("TFRecord") => Split::TfRecord,
        _ => Split::None,
    };
    let retries = job["ModelClientConfig"]["InvocationsMaxRetries"].as_u64();
    PayloadSettings {
        split,
        compression: (input["CompressionType"] == "Gzip").then_some(Compression::Gzip),
        single: job["BatchStrategy"].as_str().map(|strategy| strategy == "SingleRecord"),
        max_payload: job["MaxPayloadInMB"].as_u64().map(|megabytes| megabytes << 20),
        max_concurrent: concurrent(job),
        retries: retries.and_then(|retries| u32::try_from(retries).ok()).unwrap_or(RETRIES),
        line_ends: job["TransformOutput"]["AssembleWith"] == "Line",
    }
}

/// Calls at once; 0 leaves it to the model.
pub(super) fn concurrent(job: &Value) -> Option<usize> {
    let said = job["MaxConcurrentTransforms"].as_u64().filter(|number| *number > 0)?;
    usize::try_from(said).ok()
}

/// What containers are told of the settings that the user made.
pub(super) fn variables(job: &Value) -> Vec<(String, String)> {
    let strategy = job["BatchStrategy"].as_str().map(|strategy| match strategy {
        "SingleRecord" => "SINGLE_RECORD".to_owned(),
        _ => "MULTI_RECORD".to_owned(),
    });
    let number = |value: &Value| value.as_u64().map(|number| number.to_string());
    let told = [
        ("SAGEMAKER_BATCH", Some("true".to_owned())),
        ("SAGEMAKER_BATCH_STRATEGY", strategy),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", number(&job["MaxPayloadInMB"])),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", number(&job["MaxConcurrentTransforms"])),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_jobs_words_are_the_engines() {
        let whole = settings(&json!({}));
        assert_eq!(whole, PayloadSettings { retries: 3, ..PayloadSettings::default() });
        let said = settings(&json!({
            "TransformInput": { "SplitType": "RecordIO", "CompressionType": "Gzip" },
            "TransformOutput": { "AssembleWith": "Line" },
            "BatchStrategy": "SingleRecord",
            "MaxPayloadInMB": 0,
            "MaxConcurrentTransforms": 4,
            "ModelClientConfig": { "InvocationsMaxRetries": 0 },
        }));
        let expected = PayloadSettings {
            split: Split::RecordIo,
            compression: Some(Compression::Gzip),
            single: Some(true),
            max_payload: Some(0),
            max_concurrent: Some(4),
            retries: 0,
            line_ends: true,
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn containers_are_told_what_was_set_and_nothing_else() {
        assert_eq!(variables(&json!({})), [("SAGEMAKER_BATCH".to_owned(), "true".to_owned())]);
        let told = variables(&json!({ "BatchStrategy": "MultiRecord", "MaxPayloadInMB": 6 }));
        assert_eq!(told[1], ("SAGEMAKER_BATCH_STRATEGY".to_owned(), "MULTI_RECORD".to_owned()));
        assert_eq!(told[2], ("SAGEMAKER_MAX_PAYLOAD_IN_MB".to_owned(), "6".to_owned()));
        assert_eq!(told.len(), 3);
    }
}
