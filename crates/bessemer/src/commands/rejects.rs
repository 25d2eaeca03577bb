//! `bessemer rejects`: what a run or a job rejected, and running it again.

use std::{collections::BTreeMap, path::Path};

use bessemer_domain::ExitCode;
use bessemer_objects::{Location, Objects};
use bessemer_transform::{RejectRecord, rejects_of};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
    wiring::{self, data::DataOptions},
};

/// Show what a run rejected, grouped by reason; `replay` runs it again
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Rejects {
    #[command(subcommand)]
    command: Option<RejectsCommand>,
    /// The output of the run, or the name of a transform job of the server
    #[arg(required = true)]
    output: Option<String>,
    /// Samples to show of each reason
    #[arg(long, value_name = "N", default_value_t = 3)]
    samples: usize,
    /// Every reject as a JSON object on a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataOptions,
}

#[derive(Debug, Subcommand)]
enum RejectsCommand {
    Replay(Box<super::replay::Replay>),
}

/// Characters of a record that a sample shows.
const SHOWN: usize = 100;

impl Rejects {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if let Some(RejectsCommand::Replay(replay)) = self.command {
            return replay.run(&self.data);
        }
        let of = self.output.unwrap_or_default();
        let (output, objects) = if is_job(&of) {
            output_of(&of, &self.data)?
        } else {
            let (output, objects) = (Location::parse(&of)?, Objects::new());
            // A job leaves no more of a run than its rejects.
            if objects.list(&output.join("_rejects"))?.is_empty() {
                check_run(&output, &objects)?;
            }
            (output, objects)
        };
        let rejects = rejects_of(&output, &objects)?;
        if self.json {
            for reject in &rejects {
                event(&to_json(reject));
            }
        } else {
            print(&grouped(&rejects, self.samples));
        }
        Ok(ExitCode::Ok)
    }
}

/// Whether `name` is a job's, and no output's.
pub(super) fn is_job(name: &str) -> bool {
    !name.contains('/') && !Path::new(name).exists()
}

/// Where the job `name` put its output, and how to read there.
fn output_of(name: &str, data: &DataOptions) -> Result<(Location, Objects), Failure> {
    let job = Remote::open(data)?
        .sagemaker("DescribeTransformJob", &json!({ "TransformJobName": name }))?;
    let output = job["TransformOutput"]["S3OutputPath"].as_str().unwrap_or_default();
    let variables = wiring::storage::variables(data)?;
    Ok((Location::parse(output.trim_end_matches('/'))?, Objects::with_variables(variables)))
}

/// Refuses an output that holds no run.
pub(super) fn check_run(output: &Location, objects: &Objects) -> Result<(), Failure> {
    if objects.exists(&output.join("_bessemer/run.json"))? {
        return Ok(());
    }
    Err(Failure::new(ExitCode::NotFound, anyhow::anyhow!("find a run at `{output}`"))
        .with_hint("name the folder that was given to `bessemer transform --output`"))
}

fn to_json(reject: &RejectRecord) -> serde_json::Value {
    let record: Option<serde_json::Value> = reject.record.as_deref().map(|record| {
        serde_json::from_str(record).unwrap_or_else(|_| serde_json::Value::from(record))
    });
    json!({
        "file": reject.file,
        "row": reject.row,
        "byte_offset": reject.byte_offset,
        "error_class": reject.error_class,
        "message": reject.message,
        "attempts": reject.attempts,
        "record": record,
    })
}

/// Rejects by reason, the most frequent first. Messages that differ in figures only are one reason.
fn grouped(rejects: &[RejectRecord], samples: usize) -> String {
    if rejects.is_empty() {
        return "no rejects\n".to_owned();
    }
    let mut groups: BTreeMap<(&str, String), Vec<&RejectRecord>> = BTreeMap::new();
    for reject in rejects {
        let reason = reason(&reject.message);
        groups.entry((&reject.error_class, reason)).or_default().push(reject);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, members)| std::cmp::Reverse(members.len()));
    let mut text = format!("{} rejected, {} reasons\n", rejects.len(), groups.len());
    for ((class, _), members) in groups {
        text += &format!("\n{} x {class}: {}\n", members.len(), members[0].message);
        for reject in members.iter().take(samples) {
            let record = reject.record.as_deref().unwrap_or_default();
            let shown: String = record.chars().take(SHOWN).collect();
            let more = if record.chars().nth(SHOWN).is_some() { "…" } else { "" };
            text += &format!("  {} row {}: {shown}{more}\n", reject.file, reject.row);
        }
    }
    text
}

/// A message without its figures and quoted values.
fn reason(message: &str) -> String {
    let mut reason = String::new();
    for (at, part) in message.split('`').enumerate() {
        // Names in front of a colon stay: a missing field is a reason of its own.
        if at % 2 == 0 || at == 1 {
            reason.extend(
                part.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }),
            );
        }
    }
    while reason.contains("##") {
        reason = reason.replace("##", "#");
    }
    reason
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reject(row: u64, message: &str) -> RejectRecord {
        RejectRecord {
            file: "a.jsonl".to_owned(),
            row,
            byte_offset: None,
            error_class: "parse".to_owned(),
            message: message.to_owned(),
            attempts: 0,
            record: Some("{}".to_owned()),
        }
    }

    #[test]
    fn messages_that_differ_in_figures_are_one_reason() {
        let rejects = [
            reject(1, "unexpected end at byte 17"),
            reject(2, "unexpected end at byte 230"),
            reject(3, "column `a` is null"),
            reject(4, "column `b` is null"),
        ];
        let text = grouped(&rejects, 1);
        assert!(text.starts_with("4 rejected, 3 reasons\n\n2 x parse: unexpected end"), "{text}");
    }
}
