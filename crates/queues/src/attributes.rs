//! The attributes of a queue: which there are, what they may be, and what they come to.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    error::QueueError,
    names::{self, name_of_arn},
};

/// Attributes by name, as clients send and read them.
pub type Attributes = BTreeMap<String, String>;

/// Attributes that are numbers: their names, what they are if they are not set, and their range.
const NUMBERS: &[(&str, u64, u64, u64)] = &[
    ("DelaySeconds", 0, 0, 900),
    ("MaximumMessageSize", 1_048_576, 1024, 1_048_576),
    ("MessageRetentionPeriod", 345_600, 60, 1_209_600),
    ("ReceiveMessageWaitTimeSeconds", 0, 0, 20),
    ("VisibilityTimeout", 30, 0, 43_200),
];

/// Attributes of FIFO queues with their values, the first of which is the one if none is set.
const FIFO: &[(&str, &[&str])] = &[
    ("ContentBasedDeduplication", &["false", "true"]),
    ("DeduplicationScope", &["queue", "messageGroup"]),
    ("FifoThroughputLimit", &["perQueue", "perMessageGroupId"]),
];

/// What a queue's attributes come to. Times are in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How long a message that is received stays invisible.
    pub visibility_timeout: u64,
    /// Bytes of a message, at most.
    pub maximum_message_size: usize,
    /// How long a message is kept.
    pub retention: u64,
    /// How long a message that is sent stays invisible.
    pub delay: u64,
    /// How long a receive waits for messages.
    pub wait: u64,
    /// Where messages go that are received too often.
    pub redrive: Option<RedrivePolicy>,
    /// Which queues may have this one as their dead-letter queue.
    pub redrive_allow: RedriveAllow,
    /// Whether a message without a deduplication id gets one from its body.
    pub content_based_deduplication: bool,
    /// Whether deduplication ids are those of a group.
    pub deduplication_by_group: bool,
}

/// Where messages go that are received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedrivePolicy {
    /// The dead-letter queue's ARN.
    pub target: String,
    /// How often a message is received, at most.
    pub most_receives: u32,
}

/// Which queues may have a queue as their dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedriveAllow {
    /// Any.
    All,
    /// None.
    None,
    /// Those with these ARNs.
    Queues(Vec<String>),
}

impl Settings {
    /// What checked attributes come to.
    pub(crate) fn of(attributes: &Attributes) -> Self {
        let number = |name: &str| {
            let set = attributes.get(name).and_then(|value| value.parse().ok());
            let row = NUMBERS.iter().find(|row| row.0 == name);
            set.unwrap_or_else(|| row.map_or(0, |row| row.1))
        };
        let is = |name: &str, value: &str| attributes.get(name).is_some_and(|set| set == value);
        let redrive = attributes.get("RedrivePolicy").and_then(|text| redrive_policy(text).ok());
        let allow = attributes.get("RedriveAllowPolicy");
        let allow = allow.and_then(|text| redrive_allow(text).ok());
        Self {
            visibility_timeout: number("VisibilityTimeout"),
            maximum_message_size: usize::try_from(number("MaximumMessageSize"))
                .unwrap_or(usize::MAX),
            retention: number("MessageRetentionPeriod"),
            delay: number("DelaySeconds"),
            wait: number("ReceiveMessageWaitTimeSeconds"),
            redrive,
            redrive_allow: allow.unwrap_or(RedriveAllow::All),
            content_based_deduplication: is("ContentBasedDeduplication", "true"),
            deduplication_by_group: is("DeduplicationScope", "messageGroup"),
        }
    }
}

/// Whether attributes of a queue that is to be make it a FIFO queue.
pub(crate) fn is_fifo(name: &str, attributes: &Attributes) -> Result<bool, QueueError> {
    let is_fifo = match attributes.get("FifoQueue").map(String::as_str) {
        None => false,
        Some("true") => true,
        Some("false") if name.strip_suffix(names::FIFO).is_none() => {
            return Err(QueueError::UnknownAttribute("FifoQueue".to_owned()));
        }
        Some(_) => return Err(invalid("FifoQueue", "")),
    };
    names::check(name, is_fifo).map(|()| is_fifo)
}

/// `current` with `changes` in their place, each checked and in its plain form.
pub(crate) fn changed(
    current: &Attributes,
    changes: &Attributes,
    is_fifo: bool,
) -> Result<Attributes, QueueError> {
    let mut all = current.clone();
    for (name, value) in changes {
        match plain(name, value, is_fifo)? {
            Some(value) => all.insert(name.clone(), value),
            None => all.remove(name),
        };
    }
    let is = |name: &str, value: &str| all.get(name).is_some_and(|set| set == value);
    if is("FifoThroughputLimit", "perMessageGroupId") && !is("DeduplicationScope", "messageGroup") {
        let why = " Reason: the value perMessageGroupId is allowed only when the value for \
                   DeduplicationScope is messageGroup.";
        return Err(invalid("FifoThroughputLimit", why));
    }
    Ok(all)
}

/// The first of `wanted` that a queue with these attributes has not, if there is one.
pub(crate) fn differing(
    current: &Attributes,
    wanted: &Attributes,
    is_fifo: bool,
) -> Result<Option<String>, QueueError> {
    let current = shown(current, is_fifo);
    for (name, value) in wanted {
        let value =
            if name == "FifoQueue" { Some(value.clone()) } else { plain(name, value, is_fifo)? };
        if current.get(name) != value.as_ref() {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

/// All attributes that clients see, those that are not set included.
pub(crate) fn shown(attributes: &Attributes, is_fifo: bool) -> Attributes {
    let mut all: Attributes =
        NUMBERS.iter().map(|row| (row.0.to_owned(), row.1.to_string())).collect();
    all.insert("SqsManagedSseEnabled".to_owned(), "false".to_owned());
    if is_fifo {
        all.insert("FifoQueue".to_owned(), "true".to_owned());
        all.extend(FIFO.iter().map(|(name, values)| ((*name).to_owned(), values[0].to_owned())));
    }
    all.extend(attributes.clone());
    all
}

/// An attribute's value in its plain form; `None` takes it away.
fn plain(name: &str, value: &str, is_fifo: bool) -> Result<Option<String>, QueueError> {
    if let Some((_, _, least, most)) = NUMBERS.iter().find(|row| row.0 == name) {
        return number(name, value, *least, *most).map(Some);
    }
    if let Some((_, values)) = FIFO.iter().find(|row| row.0 == name) {
        if !is_fifo {
            return Err(QueueError::AttributeName(format!(
                "You can specify the {name} only when FifoQueue is set to true."
            )));
        }
        let known = values.contains(&value);
        return known.then(|| Some(value.to_owned())).ok_or_else(|| invalid(name, ""));
    }
    match name {
        "Policy" | "RedrivePolicy" | "RedriveAllowPolicy" | "KmsMasterKeyId"
            if value.is_empty() =>
        {
            Ok(None)
        }
        "Policy" => match serde_json::from_str(value) {
            Ok(Value::Object(_)) => Ok(Some(value.to_owned())),
            _ => Err(invalid(name, "")),
        },
        "RedrivePolicy" => {
            let policy = redrive_policy(value)?;
            let text = json!({
                "deadLetterTargetArn": policy.target,
                "maxReceiveCount": policy.most_receives,
            });
            Ok(Some(text.to_string()))
        }
        "RedriveAllowPolicy" => redrive_allow(value).map(|_| Some(value.to_owned())),
        "KmsDataKeyReusePeriodSeconds" => number(name, value, 60, 86_400).map(Some),
        "SqsManagedSseEnabled" if value == "false" => Ok(None),
        "KmsMasterKeyId" | "SqsManagedSseEnabled" => {
            Err(invalid(name, " Reason: Bessemer does not encrypt queues."))
        }
        // The name says what a queue is, and it stays that.
        "FifoQueue" if is_fifo && value == "true" => Ok(None),
        _ => Err(QueueError::UnknownAttribute(name.to_owned())),
    }
}

fn invalid(name: &str, why: &str) -> QueueError {
    QueueError::AttributeValue(format!("Invalid value for the parameter {name}.{why}"))
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<String, QueueError> {
    let number = value.parse::<u64>().ok().filter(|number| (least..=most).contains(number));
    number.map(|number| number.to_string()).ok_or_else(|| invalid(name, ""))
}

/// Reads a redrive policy.
fn redrive_policy(text: &str) -> Result<RedrivePolicy, QueueError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: Option<String>,
        max_receive_count: Option<Value>,
    }
    let wrong = |reason: &str| QueueError::value(text, "RedrivePolicy", reason);
    let policy: Policy =
        serde_json::from_str(text).map_err(|_| wrong("Redrive policy is not a valid JSON map."))?;
    let lacks =
        |what| wrong(&format!("Redrive policy does not contain mandatory attribute: {what}."));
    let target = policy.dead_letter_target_arn.ok_or_else(|| lacks("deadLetterTargetArn"))?;
    let count = policy.max_receive_count.ok_or_else(|| lacks("maxReceiveCount"))?;
    if name_of_arn(&target).is_none() {
        return Err(wrong("Invalid value for deadLetterTargetArn."));
    }
    let shown = count.as_str().map_or_else(|| count.to_string(), str::to_owned);
    let most_receives = shown.parse().ok().filter(|count| (1..=1000).contains(count));
    let most_receives = most_receives.ok_or_else(|| {
        wrong(&format!(
            "Invalid value for maxReceiveCount: {shown}, valid values are from 1 to 1000 both \
             inclusive."
        ))
    })?;
    Ok(RedrivePolicy { target, most_receives })
}

/// Reads a redrive allow policy.
fn redrive_allow(text: &str) -> Result<RedriveAllow, QueueError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Policy {
        redrive_permission: String,
        #[serde(default)]
        source_queue_arns: Vec<String>,
    }
    let wrong = |reason: &str| QueueError::value(text, "RedriveAllowPolicy", reason);
    let policy: Policy = serde_json::from_str(text)
        .map_err(|_| wrong("Redrive allow policy is not a valid JSON map."))?;
    let arns = policy.source_queue_arns;
    match policy.redrive_permission.as_str() {
        "allowAll" if arns.is_empty() => Ok(RedriveAllow::All),
        "denyAll" if arns.is_empty() => Ok(RedriveAllow::None),
        "byQueue" if (1..=10).contains(&arns.len()) => Ok(RedriveAllow::Queues(arns)),
        "byQueue" => Err(wrong(
            "Amazon SQS can't create a RedriveAllowPolicy with byQueue and \
                                without 1 to 10 sourceQueueArns.",
        )),
        "allowAll" | "denyAll" => {
            Err(wrong("sourceQueueArns can only be specified when redrivePermission is byQueue."))
        }
        other => Err(wrong(&format!(
            "Invalid value for redrivePermission: {other}, valid values are allowAll, denyAll and \
             byQueue."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn refusal(pairs: &[(&str, &str)], is_fifo: bool) -> String {
        changed(&Attributes::new(), &of(pairs), is_fifo).expect_err("it is refused").to_string()
    }

    #[test]
    fn numbers_have_their_ranges() {
        for (name, _, least, most) in NUMBERS {
            for value in [least, most] {
                let value = value.to_string();
                let kept = changed(&Attributes::new(), &of(&[(name, &value)]), false);
                assert_eq!(kept.expect("it is in range")[*name], value);
            }
            let above = (most + 1).to_string();
            for value in ["-1", "x", "", "1.5", &above] {
                let expected = format!("Invalid value for the parameter {name}.");
                assert_eq!(refusal(&[(name, value)], false), expected);
            }
        }
        assert_eq!(refusal(&[("Speed", "1")], false), "Unknown Attribute Speed.");
    }

    #[test]
    fn only_fifo_queues_have_their_attributes() {
        let message = "You can specify the DeduplicationScope only when FifoQueue is set to true.";
        assert_eq!(refusal(&[("DeduplicationScope", "queue")], false), message);
        let per_group = ("FifoThroughputLimit", "perMessageGroupId");
        assert!(refusal(&[per_group], true).contains("DeduplicationScope is messageGroup"));
        let both = of(&[per_group, ("DeduplicationScope", "messageGroup")]);
        let settings = Settings::of(&changed(&Attributes::new(), &both, true).expect("they fit"));
        assert!(settings.deduplication_by_group);
        let name = |name, value| is_fifo(name, &of(&[("FifoQueue", value)]));
        assert!(name("a.fifo", "true").expect("it is one"));
        name("a", "true").expect_err("its name is wrong");
        assert_eq!(
            name("a", "false").expect_err("AWS has no such attribute there").to_string(),
            "Unknown Attribute FifoQueue."
        );
    }

    #[test]
    fn policies_are_kept_plain_and_taken_away_by_nothing() {
        let policy = r#"{"deadLetterTargetArn": "arn:aws:sqs:r:1:dead", "maxReceiveCount": "5"}"#;
        let kept = changed(&Attributes::new(), &of(&[("RedrivePolicy", policy)]), false);
        let kept = kept.expect("it is a policy");
        assert_eq!(
            kept["RedrivePolicy"],
            r#"{"deadLetterTargetArn":"arn:aws:sqs:r:1:dead","maxReceiveCount":5}"#
        );
        let redrive = Settings::of(&kept).redrive.expect("there is one");
        assert_eq!((redrive.target.as_str(), redrive.most_receives), ("arn:aws:sqs:r:1:dead", 5));
        let gone = changed(&kept, &of(&[("RedrivePolicy", "")]), false).expect("it goes away");
        assert!(gone.is_empty());
        for (text, reason) in [
            ("x", "Redrive policy is not a valid JSON map."),
            (r#"{"maxReceiveCount":1}"#, "mandatory attribute: deadLetterTargetArn."),
            (
                r#"{"deadLetterTargetArn":"dummy","maxReceiveCount":1}"#,
                "Invalid value for deadLetterTargetArn.",
            ),
            (
                r#"{"deadLetterTargetArn":"arn:aws:sqs:r:1:d"}"#,
                "mandatory attribute: maxReceiveCount.",
            ),
            (
                r#"{"deadLetterTargetArn":"arn:aws:sqs:r:1:d","maxReceiveCount":0}"#,
                "Invalid value for maxReceiveCount: 0, valid values are from 1 to 1000 both inclusive.",
            ),
        ] {
            let message = refusal(&[("RedrivePolicy", text)], false);
            let begin = format!("Value {text} for parameter RedrivePolicy is invalid. Reason: ");
            assert!(message.starts_with(&begin) && message.ends_with(reason), "{message}");
        }
        let allow = r#"{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:r:1:a"]}"#;
        let kept = changed(&Attributes::new(), &of(&[("RedriveAllowPolicy", allow)]), false);
        let allow = Settings::of(&kept.expect("it is a policy")).redrive_allow;
        assert_eq!(allow, RedriveAllow::Queues(vec!["arn:aws:sqs:r:1:a".to_owned()]));
    }

    #[test]
    fn encryption_is_not_claimed() {
        assert_eq!(
            refusal(&[("KmsMasterKeyId", "alias/k")], false),
            "Invalid value for the parameter KmsMasterKeyId. Reason: Bessemer does not encrypt \
             queues."
        );
        assert!(refusal(&[("SqsManagedSseEnabled", "true")], false).contains("SqsManagedSse"));
        let off = of(&[("SqsManagedSseEnabled", "false"), ("KmsMasterKeyId", "")]);
        assert!(changed(&Attributes::new(), &off, false).expect("it is so").is_empty());
    }

    #[test]
    fn attributes_differ_by_what_they_come_to() {
        let current = of(&[("VisibilityTimeout", "60")]);
        let differs = |pairs: &[(&str, &str)]| {
            differing(&current, &of(pairs), false).expect("they are attributes")
        };
        assert_eq!(differs(&[("VisibilityTimeout", "60"), ("DelaySeconds", "0")]), None);
        assert_eq!(differs(&[("DelaySeconds", "1")]), Some("DelaySeconds".to_owned()));
        assert_eq!(differs(&[("VisibilityTimeout", "30")]), Some("VisibilityTimeout".to_owned()));
    }
}
