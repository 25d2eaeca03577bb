//! `bessemer pipeline diff`: what differs between two versions of a pipeline, by parameter and step.

use std::collections::BTreeMap;

use bessemer_domain::ExitCode;
use clap::Args;
use serde_json::Value;

use super::which;
use crate::{failure::Failure, remote::Remote, report::print};

#[derive(Debug, Args)]
pub(super) struct Diff {
    /// The pipeline's name
    pipeline: String,
    /// The one version
    from: u64,
    /// The other [default: the latest]
    to: Option<u64>,
}

impl Diff {
    pub(super) fn run(self, remote: &Remote) -> Result<ExitCode, Failure> {
        let read = |version: Option<u64>| {
            let known = which::pipeline(remote, &self.pipeline, version)?;
            let text = known["PipelineDefinition"].as_str().unwrap_or_default().to_owned();
            Ok::<Value, Failure>(serde_json::from_str(&text).unwrap_or_default())
        };
        print(&differences(&read(Some(self.from))?, &read(self.to)?));
        Ok(ExitCode::Ok)
    }
}

fn differences(before: &Value, after: &Value) -> String {
    let mut text = String::new();
    for (member, what) in [("Parameters", "parameter"), ("Steps", "step")] {
        let (old, new) = (named(&before[member]), named(&after[member]));
        for name in old.keys().filter(|name| !new.contains_key(*name)) {
            text.push_str(&format!("- {what} {name}\n"));
        }
        for (name, value) in &new {
            match old.get(name) {
                None => text.push_str(&format!("+ {what} {name}\n")),
                Some(known) if known == value => {}
                Some(known) => {
                    text.push_str(&format!("~ {what} {name}\n"));
                    changes(known, value, "", &mut text);
                }
            }
        }
    }
    text
}

/// Steps or parameters by name, those in branches of conditions too.
fn named(entries: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for entry in entries.as_array().into_iter().flatten() {
        let mut own = entry.clone();
        for branch in ["IfSteps", "ElseSteps"] {
            let inner = own["Arguments"].as_object_mut().and_then(|held| held.shift_remove(branch));
            found.extend(named(&inner.unwrap_or_default()));
        }
        found.insert(entry["Name"].as_str().unwrap_or_default().to_owned(), own);
    }
    found
}

/// The places at which two values differ.
fn changes(before: &Value, after: &Value, place: &str, text: &mut String) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let added = new.keys().filter(|key| !old.contains_key(*key));
            for key in old.keys().chain(added) {
                let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                let value = |members: &serde_json::Map<String, Value>| {
                    members.get(key).cloned().unwrap_or_default()
                };
                changes(&value(old), &value(new), &place, text);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                changes(old, new, &format!("{place}[{index}]"), text);
            }
        }
        (old, new) if old == new => {}
        (old, new) => text.push_str(&format!("    {place}: {old} -> {new}\n")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_are_told_by_step_and_place() {
        let before = json!({"Parameters": [{"Name": "P"}], "Steps": [
            {"Name": "A", "Arguments": {"X": [1, 2], "Y": "s"}},
            {"Name": "C", "Arguments": {"IfSteps": [{"Name": "N"}]}},
        ]});
        let after = json!({"Parameters": [], "Steps": [
            {"Name": "A", "Arguments": {"X": [1, 3], "Y": "s", "Z": true}},
            {"Name": "C", "Arguments": {"IfSteps": [{"Name": "M"}]}},
        ]});
        let expected = "- parameter P\n- step N\n~ step A\n    Arguments.X[1]: 2 -> 3\n    \
                        Arguments.Z: null -> true\n+ step M\n";
        assert_eq!(differences(&before, &after), expected);
        assert_eq!(differences(&after, &after), "");
    }
}
