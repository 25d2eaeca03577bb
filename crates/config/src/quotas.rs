//! `[[quotas]]`: how much of something there may be at once.

use crate::{reader::Table, select::Selector};

/// A limit on the jobs that a selector is for.
///
/// A selector with a tag's key alone is a limit of its own for each value of the tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Quota {
    /// What it is called in errors, such as `training jobs`.
    pub label: String,
    /// The jobs that count.
    pub jobs: Selector,
    /// Instances of jobs that have not ended; Create refuses what goes beyond.
    pub in_progress: Option<u32>,
    /// Instances of jobs that wait; Create refuses what goes beyond.
    pub queued: Option<u32>,
    /// Instances of jobs that run; what goes beyond waits.
    pub running: Option<u32>,
}

impl Quota {
    pub(crate) fn read_all(top: &Table<'_, '_>) -> Vec<Self> {
        top.tables("quotas").into_iter().map(Self::read).collect()
    }

    fn read(table: Table<'_, '_>) -> Self {
        let jobs = Selector::read(&table);
        let read = Self {
            label: table.maybe("label").unwrap_or_else(|| label(&jobs)),
            jobs,
            in_progress: table.maybe("in_progress"),
            queued: table.maybe("queued"),
            running: table.maybe("running"),
        };
        if (read.in_progress, read.queued, read.running) == (None, None, None) {
            table.refuse("in_progress", "is missing; give one of in_progress, queued and running");
        }
        if read.running == Some(0) {
            table.refuse("running", "is `0`, so nothing would ever run; use `in_progress = 0`");
        }
        table.finish();
        read
    }
}

/// In AWS's manner: `ml.m5.large for training job usage`.
fn label(jobs: &Selector) -> String {
    let mut label = match (&jobs.instance_type, jobs.kind) {
        (Some(instance_type), Some(kind)) => format!("{instance_type} for {kind} job usage"),
        (Some(instance_type), None) => format!("{instance_type} usage"),
        (None, Some(kind)) => format!("{kind} job usage"),
        (None, None) => "job usage".to_owned(),
    };
    if let Some(name) = &jobs.name {
        label.push_str(&format!(" of {name}"));
    }
    if let Some(tag) = &jobs.tag {
        label.push_str(&format!(" by tag {tag}"));
    }
    label
}
