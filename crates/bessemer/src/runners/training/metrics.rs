//! Figures that programs write among their lines.

use bessemer_compute::{images::ImageEntry, logs::Record};
use regex::Regex;
use serde_json::{Value, json};

use super::request::{MetricDefinition, TrainingRequest};
use crate::runners::container::HostLogs;

/// Metrics of the XGBoost algorithm, of `[3]\ttrain-rmse:0.5\tvalidation-rmse:0.6`.
const XGBOOST: [&str; 2] = ["train", "validation"];

/// The last value of each metric that the request defines, and of those that its image is known for.
pub(super) fn last_values(
    request: &TrainingRequest,
    entry: Option<&ImageEntry>,
    logs: &HostLogs,
    from: u64,
) -> Vec<Value> {
    let mut metrics: Vec<(String, Regex)> = Vec::new();
    for MetricDefinition { name, regex } in &request.metrics {
        match Regex::new(regex) {
            Ok(regex) => metrics.push((name.clone(), regex)),
            Err(_) => {
                logs.say(&format!("The metric `{name}` is left out: its pattern is not read"));
            }
        }
    }
    let evaluations = matches!(entry, Some(ImageEntry::XgBoost)).then(evaluations).flatten();
    let mut last = Last::default();
    let read = logs.each_line(from, |record| {
        for (name, regex) in &metrics {
            let found =
                regex.captures(&record.text).and_then(|found| found.get(1).or(found.get(0)));
            if let Some(value) = found.and_then(|found| number(found.as_str())) {
                last.set(name, value, record);
            }
        }
        if let Some(evaluations) = &evaluations
            && record.text.starts_with('[')
        {
            for found in evaluations.captures_iter(&record.text) {
                if let Some(value) = number(&found[3]) {
                    last.set(&format!("{}:{}", &found[1], &found[2]), value, record);
                }
            }
        }
    });
    if let Err(error) = read {
        tracing::warn!(%error, "a job's metrics can't be read from its log");
    }
    last.values
}

fn evaluations() -> Option<Regex> {
    Regex::new(&format!(r"\t({})-([^:\s]+):(\S+)", XGBOOST.join("|"))).ok()
}

/// The first number in `text`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let end =
        text.find(|c: char| !(c.is_ascii_digit() || "+-.eE".contains(c))).unwrap_or(text.len());
    text.parse().ok().or_else(|| text[..end].parse().ok()).filter(|value: &f64| value.is_finite())
}

#[derive(Default)]
struct Last {
    values: Vec<Value>,
}

impl Last {
    fn set(&mut self, name: &str, value: f64, record: &Record) {
        let metric = json!({ "name": name, "value": value, "timestamp_millis": record.millis });
        match self.values.iter_mut().find(|known| known["name"] == name) {
            // Of several instances, the latest.
            Some(known) if known["timestamp_millis"].as_u64() <= Some(record.millis) => {
                *known = metric;
            }
            Some(_) => {}
            None => self.values.push(metric),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_at_the_start() {
        for (text, expected) in [
            ("0.5", Some(0.5)),
            (" -1e-3;", Some(-0.001)),
            ("12 (best)", Some(12.0)),
            ("nan", None),
            ("x", None),
        ] {
            assert_eq!(number(text), expected, "{text}");
        }
    }
}
