//! The results of a training job: the model, other outputs, metrics.

use bessemer_compute::Exit;
use serde_json::{Value, json};

use super::{metrics, request::TrainingRequest};
use crate::runners::container::{End, Failed, Finished, Merged, Site};

/// Puts them in place. A program that failed leaves no model.
pub(super) fn conclude(
    request: &TrainingRequest,
    site: &Site,
    finished: &Finished<'_>,
) -> Result<Value, Failed> {
    let other = Merged::of(finished.hosts, "output/data")?;
    if !other.is_empty() {
        other.put_archive(&site.storage, &request.output("output.tar.gz"))?;
    }
    let model = Merged::of(finished.hosts, "model")?;
    let has_model = match finished.end {
        End::Succeeded => true,
        End::Stopped => !model.is_empty(),
        End::Failed => false,
    };
    let artifacts = if !has_model {
        None
    } else if request.is_uncompressed {
        let uri = request.output("model/");
        model.put_each(&site.storage, &uri)?;
        Some(uri.to_string())
    } else {
        let uri = request.output("model.tar.gz");
        model.put_archive(&site.storage, &uri)?;
        Some(uri.to_string())
    };
    let exits = &finished.ended.exits;
    let from = exits.iter().map(|exit| exit.started_millis).filter(|at| *at > 0).min();
    let image = site.images.find(&request.demand.image).ok();
    let entry = image.as_ref().map(|image| &image.entry);
    Ok(json!({
        "model_artifacts": artifacts,
        "exit_message": null,
        "final_metrics":
            metrics::last_values(request, entry, finished.logs, from.unwrap_or_default()),
        "billable_seconds": seconds(exits),
    }))
}

/// From the first start to the last end, in begun seconds.
pub(crate) fn seconds(exits: &[Exit]) -> u64 {
    let begun = exits.iter().map(|exit| exit.started_millis).filter(|at| *at > 0).min();
    let ended = exits.iter().map(|exit| exit.ended_millis).max();
    let millis = ended.unwrap_or_default().saturating_sub(begun.unwrap_or(u64::MAX));
    millis.div_ceil(1000)
}
