//! `PutLogEvents`. Sequence tokens are taken and not looked at, as AWS does.

use std::sync::Arc;

use bessemer_compute::logs::{self, LogFolder};
use bessemer_domain::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, groups::Group, streams};

#[derive(Deserialize)]
pub(super) struct PutLogEvents {
    #[serde(rename = "logGroupName")]
    group: String,
    #[serde(rename = "logStreamName")]
    stream: String,
    #[serde(rename = "logEvents")]
    events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    timestamp: u64,
    message: String,
}

const HOUR_MILLIS: u64 = 60 * 60 * 1000;
/// How far events may lie ahead of the clock.
const AHEAD: u64 = 2 * HOUR_MILLIS;
/// How old events may be.
const AGE: u64 = 14 * 24 * HOUR_MILLIS;
/// The time that a batch may span.
const SPAN: u64 = 24 * HOUR_MILLIS;
/// Bytes of a batch, and of an event, at most; each event counts for its message and this.
const BATCH: usize = 1_048_576;
const OVERHEAD: usize = 26;

/// The events that can be kept, as a range, by how many are refused and why.
#[derive(Debug, PartialEq, Eq)]
struct Sorted {
    /// Events before this one are older than the group keeps them.
    expired: usize,
    /// Events before this one are too old.
    too_old: usize,
    /// Events from this one on are too new.
    too_new: usize,
}

pub(super) fn events(
    logs: &LogFolder,
    clock: Arc<dyn Clock>,
    input: &PutLogEvents,
) -> Result<Value, Error> {
    let (group, stream) = (&input.group, &input.stream);
    if !logs.file(group, stream).exists() {
        streams::names(logs, group)?;
        return Err(Error::NoStream);
    }
    check(&input.events)?;
    let now = clock.now_millis();
    let sorted = sort(&input.events, now, Group::read(logs, group)?.oldest(now));
    let begin = sorted.expired.max(sorted.too_old);
    let kept = input.events.get(begin..sorted.too_new).unwrap_or_default();
    if let (Some(first), Some(last)) = (kept.first(), kept.last())
        && last.timestamp - first.timestamp > SPAN
    {
        let message = "The batch of log events in a single PutLogEvents request cannot span more \
                       than 24 hours.";
        return Err(Error::Parameter(message.to_owned()));
    }
    let events: Vec<(u64, &str)> =
        kept.iter().map(|event| (event.timestamp, event.message.as_str())).collect();
    logs::put(&logs.file(group, stream), &events, clock)?;
    // Clients pass the token on; what it says does not matter.
    let mut answer = json!({ "nextSequenceToken": format!("{now:056}") });
    let mut rejected = json!({});
    if sorted.too_new < input.events.len() {
        rejected["tooNewLogEventStartIndex"] = json!(sorted.too_new);
    }
    if sorted.too_old > 0 {
        rejected["tooOldLogEventEndIndex"] = json!(sorted.too_old);
    }
    if sorted.expired > sorted.too_old {
        rejected["expiredLogEventEndIndex"] = json!(sorted.expired);
    }
    if rejected.as_object().is_some_and(|rejected| !rejected.is_empty()) {
        answer["rejectedLogEventsInfo"] = rejected;
    }
    Ok(answer)
}

/// What makes the whole batch wrong.
fn check(events: &[Event]) -> Result<(), Error> {
    if !events.is_sorted_by_key(|event| event.timestamp) {
        let message = "Log events in a single PutLogEvents request must be in chronological order.";
        return Err(Error::Parameter(message.to_owned()));
    }
    let size: usize = events.iter().map(|event| event.message.len() + OVERHEAD).sum();
    if size > BATCH {
        let message = format!("Upload too large: {size} bytes exceeds limit of {BATCH}");
        return Err(Error::Parameter(message));
    }
    Ok(())
}

/// Which events are refused, by their times.
fn sort(events: &[Event], now: u64, oldest_kept: u64) -> Sorted {
    let before = |time: u64| events.partition_point(|event| event.timestamp < time);
    Sorted {
        expired: before(oldest_kept),
        too_old: before(now.saturating_sub(AGE)),
        too_new: before(now.saturating_add(AHEAD).saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_refused_by_their_times() {
        let at = |timestamp| Event { timestamp, message: "x".to_owned() };
        let now = 100 * AGE;
        let events: Vec<Event> = [now - AGE - 1, now - AGE, now, now + AHEAD, now + AHEAD + 1]
            .into_iter()
            .map(at)
            .collect();
        assert_eq!(sort(&events, now, 0), Sorted { expired: 0, too_old: 1, too_new: 4 });
        assert_eq!(sort(&events, now, now), Sorted { expired: 2, too_old: 1, too_new: 4 });
    }
}
