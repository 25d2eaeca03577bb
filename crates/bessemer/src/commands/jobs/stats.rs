//! `bessemer jobs stats`: how jobs went, by name, tag or day.

use bessemer_domain::{Clock, ExitCode, SystemClock};
use clap::Args;
use serde_json::{Value, json};

use crate::{
    failure::Failure,
    remote::Remote,
    report::{event, print},
};

#[derive(Debug, Args)]
pub(super) struct Stats {
    /// Of this kind: transform, training or processing
    #[arg(long)]
    kind: Option<String>,
    /// Jobs that ended in the last so many days
    #[arg(long, default_value_t = 7)]
    days: u64,
    /// Group by this tag [default: by name, without numbers at its end]
    #[arg(long, value_name = "KEY")]
    tag: Option<String>,
    /// Group by day
    #[arg(long, conflicts_with = "tag")]
    by_day: bool,
    /// Show each group's days too
    #[arg(long, conflicts_with = "by_day")]
    trend: bool,
    /// One JSON object a group
    #[arg(long)]
    json: bool,
}

const DAY_MILLIS: u64 = 86_400_000;

impl Stats {
    pub(super) fn run(self, remote: &Remote) -> Result<ExitCode, Failure> {
        let since = SystemClock.now_millis().saturating_sub(self.days.saturating_mul(DAY_MILLIS));
        let input = json!({
            "kind": self.kind, "since": since, "tag": self.tag, "by_day": self.by_day,
        });
        let answer = remote.call("JobStatistics", &input)?;
        for group in answer["groups"].as_array().into_iter().flatten() {
            if self.json {
                event(group);
                continue;
            }
            print(&format!("{}{}\n", line(group, 0), change(group, self.days)));
            for day in group["days"].as_array().into_iter().flatten().filter(|_| self.trend) {
                print(&format!("{}\n", line(day, 2)));
            }
        }
        Ok(ExitCode::Ok)
    }
}

/// A group's figures; `indent` tells days from groups.
fn line(group: &Value, indent: usize) -> String {
    let seconds = |name: &str| group[name].as_u64().unwrap_or_default() as f64 / 1000.0;
    let name = group["group"].as_str().filter(|name| !name.is_empty()).unwrap_or("(none)");
    let classes = group["classes"].as_object().into_iter().flatten();
    let classes: Vec<String> = classes.map(|(class, count)| format!("{count} {class}")).collect();
    let mut failed = group["failed"].to_string();
    if !classes.is_empty() {
        failed.push_str(&format!(" ({})", classes.join(", ")));
    }
    format!(
        "{:indent$}{:width$} {:5} jobs, {} succeeded, {failed} failed, {} stopped, {} retries; queued {:.1} s, ran {:.1} s (90 % {:.1} s)",
        "",
        name,
        group["jobs"],
        rate(group),
        group["stopped"],
        group["retries"],
        seconds("queued_median_millis"),
        seconds("run_median_millis"),
        seconds("run_ninety_millis"),
        width = 30 - indent,
    )
}

fn rate(group: &Value) -> String {
    match group["success_rate"].as_f64() {
        Some(rate) => format!("{:.0} %", rate * 100.0),
        None => "-".to_owned(),
    }
}

/// How it was in the time before.
fn change(group: &Value, days: u64) -> String {
    let before = &group["before"];
    if before["jobs"] == 0 || before["jobs"].is_null() {
        return String::new();
    }
    let ran = before["run_median_millis"].as_u64().unwrap_or_default() as f64 / 1000.0;
    let (jobs, rate) = (&before["jobs"], rate(before));
    format!("; the {days} days before: {jobs} jobs, {rate} succeeded, ran {ran:.1} s")
}
