//! `[queue]`: which job goes next, and how long one may wait for room.

use std::{collections::BTreeMap, time::Duration};

use crate::reader::Table;

/// How jobs wait for room.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSettings {
    /// The tag whose value, a whole number, is a job's priority; higher ones go first.
    pub priority_tag: String,
    /// The tag whose values share the machine fairly; without one, all jobs are of one share.
    pub share_tag: Option<String>,
    /// The weights of those values; 1 where none is given.
    pub weights: BTreeMap<String, f64>,
    /// How long a job may wait for room before it fails; none for as long as it takes.
    pub max_wait: Option<Duration>,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            priority_tag: "bessemer:priority".to_owned(),
            share_tag: None,
            weights: BTreeMap::new(),
            max_wait: None,
        }
    }
}

impl QueueSettings {
    pub(crate) fn read(top: &Table<'_, '_>) -> Self {
        let usual = Self::default();
        let Some(table) = top.table("queue") else { return usual };
        let read = Self {
            priority_tag: table.or("priority_tag", usual.priority_tag),
            share_tag: table.maybe("share_tag"),
            weights: weights(&table),
            max_wait: table.maybe("max_wait"),
        };
        if !read.weights.is_empty() && read.share_tag.is_none() {
            table.refuse("weights", "are of the values of `share_tag`, which is missing");
        }
        table.finish();
        read
    }
}

fn weights(table: &Table<'_, '_>) -> BTreeMap<String, f64> {
    let Some(weights) = table.table("weights") else { return BTreeMap::new() };
    let read: BTreeMap<String, f64> = weights.every().into_iter().collect();
    for (share, weight) in &read {
        if !(0.001..=1_000.0).contains(weight) {
            weights.refuse(share, format!("is `{weight}` and has to be between 0.001 and 1000"));
        }
    }
    read
}
