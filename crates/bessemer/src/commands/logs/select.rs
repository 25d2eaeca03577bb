//! Which lines are shown: those that match, with their neighbours.

use std::collections::VecDeque;

use regex::Regex;
use serde_json::Value;

/// A line of a job's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Milliseconds since 1970.
    pub(super) at: u64,
    /// Who wrote it, such as `algo-1`.
    pub(super) worker: String,
    pub(super) text: String,
}

impl Line {
    /// A line as the server tells it.
    pub(super) fn of(line: &Value, job: &str) -> Option<Self> {
        let stream = line["stream"].as_str()?;
        // Those of Batch are not named after their job.
        let own = stream.strip_prefix(job).unwrap_or(stream);
        let worker = worker(own.trim_start_matches('/'));
        Some(Self { at: line["at"].as_u64()?, worker, text: line["text"].as_str()?.to_owned() })
    }
}

/// `algo-1/data-log` of `algo-1-1763735714/data-log`: the number is the job's time of birth.
fn worker(stream: &str) -> String {
    let (host, log) = stream.split_once('/').unwrap_or((stream, ""));
    let host = match host.rsplit_once('-') {
        Some((name, born)) if born.len() >= 9 && born.bytes().all(|byte| byte.is_ascii_digit()) => {
            name
        }
        _ => host,
    };
    if log.is_empty() { host.to_owned() } else { format!("{host}/{log}") }
}

/// A line, or a gap between lines that are not neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    Line(Line),
    Gap,
}

/// Chooses lines one after the other.
pub(super) struct Selection {
    wanted: Option<Regex>,
    context: usize,
    /// Lines that are shown if one that matches comes soon.
    before: VecDeque<Line>,
    /// How many more are shown since one has matched.
    after: usize,
    /// Whether lines were left out since the last that was shown; none before there is one.
    gap: Option<bool>,
}

impl Selection {
    pub(super) fn new(wanted: Option<Regex>, context: usize) -> Self {
        Self { wanted, context, before: VecDeque::new(), after: 0, gap: None }
    }

    /// What is to be shown now that `line` is known.
    pub(super) fn take(&mut self, line: Line) -> Vec<Shown> {
        let is_match = self.wanted.as_ref().is_none_or(|wanted| wanted.is_match(&line.text));
        if !is_match && self.after == 0 {
            self.before.push_back(line);
            if self.before.len() > self.context {
                self.before.pop_front();
                self.gap = self.gap.map(|_| true);
            }
            return Vec::new();
        }
        self.after = if is_match { self.context } else { self.after - 1 };
        let mut shown = Vec::new();
        if self.gap == Some(true) && self.context > 0 {
            shown.push(Shown::Gap);
        }
        self.gap = Some(false);
        shown.extend(self.before.drain(..).map(Shown::Line));
        shown.push(Shown::Line(line));
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(texts: &str, wanted: &str, context: usize) -> String {
        let mut selection = Selection::new(Some(Regex::new(wanted).unwrap()), context);
        let line = |text: char| Line { at: 0, worker: String::new(), text: text.to_string() };
        let shown = texts.chars().flat_map(|text| selection.take(line(text)));
        shown
            .map(|shown| match shown {
                Shown::Line(line) => line.text,
                Shown::Gap => "|".to_owned(),
            })
            .collect()
    }

    #[test]
    fn matches_bring_their_neighbours() {
        assert_eq!(select("abcXdefYgh", "[XY]", 0), "XY");
        assert_eq!(select("abcXdefYgh", "[XY]", 1), "cXd|fYg");
        assert_eq!(select("abcXdefYgh", "[XY]", 2), "bcXdefYgh");
        assert_eq!(select("XXa", "X", 3), "XXa");
        assert_eq!(select("abc", "X", 3), "");
    }

    #[test]
    fn workers_are_named_without_the_time_of_the_job() {
        assert_eq!(worker("algo-1-1763735714"), "algo-1");
        assert_eq!(worker("algo-2-1763735714/data-log"), "algo-2/data-log");
        assert_eq!(worker("algo-1"), "algo-1");
    }
}
