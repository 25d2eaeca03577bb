//! The results of a processing job: its outputs and its message.

use std::path::Path;

use serde_json::{Value, json};

use super::request::ProcessingRequest;
use crate::runners::{
    container::{End, Failed, Finished, Merged, Site, of_host},
    training::seconds,
};

/// Characters of the file `message` that are told.
const MESSAGE: usize = 1024;

/// Puts the outputs in place if all went well.
pub(super) fn conclude(
    request: &ProcessingRequest,
    site: &Site,
    finished: &Finished<'_>,
) -> Result<Value, Failed> {
    if finished.end == End::Succeeded {
        for output in request.outputs.iter().filter(|output| !output.is_continuous) {
            let merged = Merged::of(finished.hosts, output.inside())?;
            merged.put_each(&site.storage, &output.uri)?;
        }
    }
    let messages: Vec<String> = finished.hosts.iter().filter_map(|host| message(host)).collect();
    let message: String = messages.join("\n").chars().take(MESSAGE).collect();
    Ok(json!({
        "model_artifacts": null,
        "exit_message": (!message.is_empty()).then_some(message),
        "final_metrics": [],
        "billable_seconds": seconds(&finished.ended.exits),
    }))
}

/// What an instance left in `/opt/ml/output/message`.
pub(super) fn message(host: &Path) -> Option<String> {
    let output = of_host(host, "output").ok().flatten()?;
    output.text("message", MESSAGE).ok().flatten()
}
