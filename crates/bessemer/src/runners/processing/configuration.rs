//! The files of `/opt/ml/config`, and the variables of a processing job.

use serde_json::{Value, json};

use super::request::{ProcessingRequest, document};
use crate::runners::container::{Failed, Stage, host_name};

/// Writes them.
pub(super) fn write(request: &ProcessingRequest, stage: &Stage) -> Result<(), Failed> {
    let file = |name: &str, content: &Value| {
        stage.write(&format!("/opt/ml/config/{name}.json"), &content.to_string())
    };
    file("processingjobconfig", &document(request))?;
    let mut hosts: Vec<String> = (0..stage.count).map(host_name).collect();
    hosts.sort();
    let resources = json!({
        "current_host": stage.host(),
        "hosts": hosts,
        "network_interface_name": "lo",
    });
    file("resourceconfig", &resources)
}

/// The variables that tell of the job.
pub(super) fn variables(request: &ProcessingRequest) -> Vec<(String, String)> {
    vec![("PROCESSING_JOB_ARN".to_owned(), request.arn.clone())]
}
