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
            } else {
                print(&line(group));
            }
        }
        Ok(ExitCode::Ok)
    }
}

fn line(group: &Value) -> String {
    let seconds = |name: &str| group[name].as_u64().unwrap_or_default() as f64 / 1000.0;
    format!(
        "{:30} {:5} jobs, {} succeeded, {} failed, {} stopped, {} retries; queued {:.1} s, ran {:.1} s (90 % {:.1} s)\n",
        group["group"].as_str().unwrap_or_default(),
        group["jobs"],
        group["succeeded"],
        group["failed"],
        group["stopped"],
        group["retries"],
        seconds("queued_median_millis"),
        seconds("run_median_millis"),
        seconds("run_ninety_millis"),
    )
}
