//! [`Batch`]: which messages go to a function together, and what its answer means for them.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::Pattern;
use crate::Message;

/// Bytes of an event at most, less what is around its records.
const BYTES: usize = 6_291_456 - 1024;
/// Bytes that are added to a record, more or less.
const AROUND: usize = 256;

/// Messages on their way to a function.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Batch {
    pub(super) messages: Vec<Message>,
    bytes: usize,
    /// When the first of them came.
    since: Option<u64>,
    /// Whether there were more than fit.
    is_full: bool,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Ask for this many messages, waiting for this many milliseconds.
    Receive(usize, u64),
    /// Call the function.
    Send,
}

/// How large a batch may be, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchLimits {
    pub(super) messages: usize,
    /// Milliseconds after the first message.
    pub(super) window: u64,
    /// Milliseconds that one call may wait for messages.
    pub(super) patience: u64,
}

impl Batch {
    /// What to do next.
    pub(super) fn step(&self, limits: BatchLimits, now: u64) -> Step {
        let Some(since) = self.since else {
            return Step::Receive(limits.messages.min(10), limits.patience);
        };
        let left = (since + limits.window).saturating_sub(now);
        let room = limits.messages.saturating_sub(self.messages.len());
        if left == 0 || room == 0 || self.is_full {
            Step::Send
        } else {
            Step::Receive(room.min(10), left.min(limits.patience))
        }
    }

    /// Adds what was received at `now`. Returns what doesn't fit.
    pub(super) fn add(&mut self, messages: Vec<Message>, now: u64) -> Vec<Message> {
        let mut rest = Vec::new();
        for message in messages {
            let bytes = message.record.to_string().len() + AROUND;
            if self.bytes + bytes > BYTES && !self.messages.is_empty() {
                self.is_full = true;
                rest.push(message);
                continue;
            }
            self.since.get_or_insert(now);
            self.bytes += bytes;
            self.messages.push(message);
        }
        rest
    }

    /// The event with these messages, of the queue of that ARN.
    pub(super) fn event(&self, queue: &str) -> String {
        let region = queue.split(':').nth(3).unwrap_or_default();
        let record = |message: &Message| {
            let mut record = message.record.clone();
            record["eventSource"] = "aws:sqs".into();
            record["eventSourceARN"] = queue.into();
            record["awsRegion"] = region.into();
            record
        };
        let records: Vec<Value> = self.messages.iter().map(record).collect();
        json!({ "Records": records }).to_string()
    }

    /// The messages that an answer says are done: all, or those that are no failures, if the function
    /// tells of failures one by one. An answer that can't be understood means none.
    pub(super) fn done(&self, answer: &[u8], tells_failures: bool) -> Vec<String> {
        let all = || self.messages.iter();
        if !tells_failures {
            return all().map(|message| message.receipt.clone()).collect();
        }
        let Some(failed) = failures(answer) else { return Vec::new() };
        let known: HashSet<&str> = all().map(|message| message.id.as_str()).collect();
        if !failed.iter().all(|id| known.contains(id.as_str())) {
            return Vec::new();
        }
        let done = all().filter(|message| !failed.contains(&message.id));
        done.map(|message| message.receipt.clone()).collect()
    }
}

/// The ids of the messages that failed, by an answer of
/// `{"batchItemFailures": [{"itemIdentifier": "…"}]}`; none if it is something else.
fn failures(answer: &[u8]) -> Option<HashSet<String>> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let failures = match &answer {
        Value::Null => return Some(HashSet::new()),
        Value::Object(members) => match members.get("batchItemFailures") {
            None | Some(Value::Null) => return Some(HashSet::new()),
            Some(failures) => failures.as_array()?,
        },
        _ => return None,
    };
    let id = |failure: &Value| {
        let id = failure["itemIdentifier"].as_str()?;
        (!id.is_empty()).then(|| id.to_owned())
    };
    failures.iter().map(id).collect()
}

/// Whether a message is for the function.
pub(super) fn is_wanted(message: &Message, patterns: &[Pattern]) -> bool {
    let body = message.record["body"].as_str().unwrap_or_default();
    let parsed = serde_json::from_str::<Value>(body).ok().filter(Value::is_object);
    let wanted = |pattern: &Pattern| {
        let mut record = message.record.clone();
        match (pattern.looks_into("body"), &parsed) {
            (true, Some(parsed)) => record["body"] = parsed.clone(),
            (true, None) => return false,
            (false, _) => {}
        }
        pattern.matches(&record)
    };
    patterns.is_empty() || patterns.iter().any(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: &str, body: &str) -> Message {
        Message {
            id: id.to_owned(),
            receipt: format!("r-{id}"),
            record: json!({ "messageId": id, "body": body, "attributes": {} }),
        }
    }

    fn batch(ids: &[&str]) -> Batch {
        let mut batch = Batch::default();
        let _ = batch.add(ids.iter().map(|id| message(id, "{}")).collect(), 100);
        batch
    }

    #[test]
    fn a_batch_goes_when_it_is_full_or_its_window_ends() {
        let limits = BatchLimits { messages: 12, window: 1000, patience: 500 };
        assert_eq!(Batch::default().step(limits, 0), Step::Receive(10, 500));
        let mut few = batch(&["a", "b"]);
        assert_eq!(few.step(limits, 100), Step::Receive(10, 500));
        assert_eq!(few.step(limits, 900), Step::Receive(10, 200));
        assert_eq!(few.step(limits, 1100), Step::Send);
        let _ = few.add((0..9).map(|n| message(&n.to_string(), "")).collect(), 200);
        assert_eq!(few.step(limits, 200), Step::Receive(1, 500));
        let _ = few.add(vec![message("z", "")], 300);
        assert_eq!(few.step(limits, 300), Step::Send);
        let at_once = BatchLimits { window: 0, ..limits };
        assert_eq!(batch(&["a"]).step(at_once, 100), Step::Send);
        let mut heavy = Batch::default();
        let large = |id| message(id, &"x".repeat(4 << 20));
        assert_eq!(heavy.add(vec![large("a"), large("b")], 0), [large("b")]);
        assert_eq!(heavy.step(limits, 0), Step::Send);
    }

    #[test]
    fn failures_are_told_one_by_one_or_all_at_once() {
        let batch = batch(&["a", "b", "c"]);
        let all = ["r-a", "r-b", "r-c"];
        assert_eq!(batch.done(b"whatever", false), all);
        for none_failed in
            ["null", "{}", r#"{"batchItemFailures": []}"#, r#"{"batchItemFailures": null}"#]
        {
            assert_eq!(batch.done(none_failed.as_bytes(), true), all, "{none_failed}");
        }
        let one = r#"{"batchItemFailures": [{"itemIdentifier": "b"}]}"#;
        assert_eq!(batch.done(one.as_bytes(), true), ["r-a", "r-c"]);
        for unknown in [
            "nonsense",
            "[]",
            r#"{"batchItemFailures": [{"itemIdentifier": ""}]}"#,
            r#"{"batchItemFailures": [{"itemIdentifier": "z"}]}"#,
            r#"{"batchItemFailures": [{"other": "a"}]}"#,
            r#"{"batchItemFailures": "a"}"#,
        ] {
            assert!(batch.done(unknown.as_bytes(), true).is_empty(), "{unknown}");
        }
    }

    #[test]
    fn an_event_says_where_its_records_are_from() {
        let event: Value =
            serde_json::from_str(&batch(&["a"]).event("arn:aws:sqs:eu-west-1:0:q")).unwrap();
        let record = &event["Records"][0];
        assert_eq!(record["messageId"], "a");
        assert_eq!(
            (&record["eventSource"], &record["awsRegion"]),
            (&json!("aws:sqs"), &json!("eu-west-1"))
        );
        assert_eq!(record["eventSourceARN"], "arn:aws:sqs:eu-west-1:0:q");
    }

    #[test]
    fn messages_are_chosen_by_their_bodies() {
        let wanted = |body: &str, pattern: &str| {
            is_wanted(&message("a", body), &[Pattern::parse(pattern).unwrap()])
        };
        let number = r#"{"body": {"n": [{"numeric": [">", 1]}]}}"#;
        assert!(wanted(r#"{"n": 2}"#, number));
        assert!(!wanted(r#"{"n": 1}"#, number));
        assert!(!wanted("plain", number));
        assert!(wanted("plain", r#"{"body": ["plain"]}"#));
        assert!(is_wanted(&message("a", "x"), &[]));
    }
}
