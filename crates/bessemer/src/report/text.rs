//! The summary for people.

use std::fmt::Write;

use bessemer_domain::ByteSize;
use bessemer_transform::{Status, Summary};
use serde_json::Value;

/// Files that are named one by one.
const NAMED: usize = 10;

/// The summary of a run as text.
pub(super) fn summary(summary: &Summary, figures: &Value, output: &str) -> String {
    let mut text = String::new();
    lines(&mut text, summary, figures, output).expect("writing to a string can't fail");
    text
}

fn lines(text: &mut String, summary: &Summary, figures: &Value, output: &str) -> std::fmt::Result {
    let seconds = figures["seconds"]["wall"].as_f64().unwrap_or_default();
    let rate = if seconds > 0.0 { summary.rows as f64 / seconds } else { 0.0 };
    writeln!(
        text,
        "{}: {} of {} rows delivered, {} rejected, in {seconds:.2} s ({rate:.0} rows/s)",
        summary.status.as_str(),
        summary.delivered(),
        summary.rows,
        summary.rejected,
    )?;
    let again = if summary.skipped > 0 {
        format!(", {} were there already", summary.skipped)
    } else {
        String::new()
    };
    writeln!(text, "  files     {} of {} written{again}", summary.written, summary.files)?;
    let calls = &figures["calls"];
    if calls["total"].as_u64().is_some_and(|total| total > 0) {
        writeln!(
            text,
            "  calls     {} ({} retried, {} to find bad records)",
            calls["total"], calls["retries"], calls["isolating"]
        )?;
    }
    let spent = |stage: &str| figures["seconds"][stage].as_f64().unwrap_or_default();
    writeln!(
        text,
        "  threads   read {:.2} s, convert {:.2} s, model {:.2} s, write {:.2} s, commit {:.2} s",
        spent("read"),
        spent("convert"),
        spent("invoke"),
        spent("write"),
        spent("commit")
    )?;
    if let Some(peak) = figures["peak_memory"].as_u64() {
        writeln!(text, "  memory    {} at the most", ByteSize(peak))?;
    }
    let settings = &figures["settings"];
    if !settings["batch_rows"].is_null() {
        writeln!(
            text,
            "  settings  --batch-rows {} --max-concurrent {}",
            settings["batch_rows"], settings["max_concurrent"]
        )?;
    }
    writeln!(text, "  output    {output}")?;
    if summary.rejected > 0 {
        writeln!(text, "  rejects   bessemer rejects {output}")?;
    }
    text.push_str(&notes(summary));
    Ok(())
}

/// What needs the user's attention.
pub(super) fn notes(summary: &Summary) -> String {
    let mut notes = String::new();
    for failed in summary.failed.iter().take(NAMED) {
        notes += &format!("failed: {}: {}\n", failed.file, failed.error);
    }
    if summary.failed.len() > NAMED {
        notes += &format!("failed: {} more files\n", summary.failed.len() - NAMED);
    }
    if summary.status == Status::Stopped {
        notes.push_str("stopped: what is finished is kept\n");
    }
    if summary.status == Status::Stopped || !summary.failed.is_empty() {
        notes.push_str("hint: go on with the same command and --resume\n");
    }
    notes
}
