//! A version of a function as clients see it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bessemer_functions::{Code, Function, Functions, Readiness, Version};
use chrono::DateTime;
use serde_json::{Map, Value, json};

/// The configuration of `version`, asked for by `qualifier`.
pub(super) fn configuration(
    functions: &Functions,
    function: &Function,
    version: &Version,
    qualifier: Option<&str>,
) -> Map<String, Value> {
    let settings = &version.settings;
    let layer = |layer: &bessemer_functions::LayerUse| json!({ "Arn": layer.arn, "CodeSize": layer.code.size });
    let layers: Vec<Value> = settings.layers.iter().map(layer).collect();
    let default_group = || format!("/aws/lambda/{}", function.name);
    let mut answer = json!({
        "FunctionName": function.name,
        "FunctionArn": function.qualified(qualifier),
        "Runtime": settings.runtime.name(),
        "Role": settings.role,
        "Handler": settings.handler,
        "CodeSize": version.code.size,
        "Description": settings.description,
        "Timeout": settings.timeout,
        "MemorySize": settings.memory,
        "LastModified": time(version.modified_at),
        "CodeSha256": sha256(&version.code),
        "Version": version.name(),
        "TracingConfig": { "Mode": settings.tracing },
        "RevisionId": version.revision,
        "PackageType": "Zip",
        "Architectures": [architecture()],
        "EphemeralStorage": { "Size": settings.tmp },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": {
            "LogFormat": "Text",
            "LogGroup": settings.log_group.clone().unwrap_or_else(default_group),
        },
    });
    if !settings.variables.is_empty() {
        answer["Environment"] = json!({ "Variables": settings.variables });
    }
    if !layers.is_empty() {
        answer["Layers"] = Value::Array(layers);
    }
    if let Some(queue) = &settings.dead_letter {
        answer["DeadLetterConfig"] = json!({ "TargetArn": queue });
    }
    let (state, updated, why) = match functions.readiness(&settings.runtime) {
        Readiness::Ready(_) => ("Active", "Successful", None),
        Readiness::Pending => (
            "Pending",
            "InProgress",
            Some(("Creating", "The function is being created.".to_owned())),
        ),
        Readiness::Failed(why) => ("Failed", "Failed", Some(("InvalidRuntime", why))),
    };
    answer["State"] = state.into();
    answer["LastUpdateStatus"] = updated.into();
    if let Some((code, why)) = why {
        answer["StateReasonCode"] = code.into();
        answer["StateReason"] = why.clone().into();
        if updated == "Failed" {
            answer["LastUpdateStatusReasonCode"] = code.into();
            answer["LastUpdateStatusReason"] = why.into();
        }
    }
    match answer {
        Value::Object(answer) => answer,
        _ => Map::new(),
    }
}

/// This machine's processor, as Lambda names it.
pub(super) fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// An archive's hash as Lambda has it.
pub(super) fn sha256(code: &Code) -> String {
    let bytes = code.sha256.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    STANDARD.encode(bytes.filter_map(byte).collect::<Vec<u8>>())
}

/// An instant as Lambda writes it: `2026-11-21T20:56:14.123+0000`.
pub(super) fn time(millis: u64) -> String {
    let instant = i64::try_from(millis).ok().and_then(DateTime::from_timestamp_millis);
    instant.unwrap_or_default().format("%Y-%m-%dT%H:%M:%S%.3f+0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_times_are_as_lambda_writes_them() {
        let code = Code { sha256: "00ff10".to_owned(), size: 0, unpacked: 0 };
        assert_eq!(sha256(&code), "AP8Q");
        assert_eq!(time(1_763_758_574_123), "2025-11-21T20:56:14.123+0000");
        assert_eq!(time(0), "1970-01-01T00:00:00.000+0000");
    }
}
