//! Messages one at a time: sent, received, deleted, made visible.

use std::collections::BTreeMap;

use bessemer_queues::{
    Message, MessageAttribute, MessageAttributes, QueueError, Receive, Received, Sent,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Site, checksums, error::Error, name, nothing};

/// A message on the wire, in a call or an entry of a batch.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct WireMessage {
    message_body: String,
    delay_seconds: Option<i64>,
    #[serde(default)]
    message_attributes: BTreeMap<String, WireAttribute>,
    #[serde(default)]
    message_system_attributes: BTreeMap<String, WireAttribute>,
    message_deduplication_id: Option<String>,
    message_group_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAttribute {
    #[serde(flatten)]
    attribute: MessageAttribute,
    #[serde(default)]
    string_list_values: Vec<String>,
    #[serde(default)]
    binary_list_values: Vec<String>,
}

impl WireMessage {
    /// The message, and the members of its answer that are known before it is sent.
    pub(super) fn read(self, site: &Site<'_>) -> Result<(Message, Value), Error> {
        let attributes = read_attributes(self.message_attributes)?;
        let system = read_attributes(self.message_system_attributes)?;
        if let Some(other) = system.keys().find(|name| *name != TRACE) {
            let message = format!("Message system attribute name '{other}' is invalid.");
            return Err(QueueError::Parameter(message).into());
        }
        if system.get(TRACE).is_some_and(|trace| trace.data_type != "String") {
            let message = format!("The message system attribute '{TRACE}' must use type 'String'.");
            return Err(QueueError::Parameter(message).into());
        }
        let mut answer = json!({ "MD5OfMessageBody": checksums::body(&self.message_body) });
        if let Some(md5) = checksums::attributes(attributes.iter()) {
            answer["MD5OfMessageAttributes"] = json!(md5);
        }
        if let Some(md5) = checksums::attributes(system.iter()) {
            answer["MD5OfMessageSystemAttributes"] = json!(md5);
        }
        let trace_header = system.get(TRACE).and_then(|trace| trace.string_value.clone());
        let message = Message {
            body: self.message_body,
            attributes,
            trace_header,
            delay_seconds: self.delay_seconds,
            group: self.message_group_id,
            deduplication_id: self.message_deduplication_id,
            sender: site.caller.access_key.clone(),
        };
        Ok((message, answer))
    }
}

/// The one system attribute that senders give.
const TRACE: &str = "AWSTraceHeader";

fn read_attributes(wire: BTreeMap<String, WireAttribute>) -> Result<MessageAttributes, Error> {
    let read = |(name, wire): (String, WireAttribute)| {
        if !wire.string_list_values.is_empty() || !wire.binary_list_values.is_empty() {
            let message =
                "Message attribute list values in SendMessage operation are not supported.";
            return Err(QueueError::Unsupported(message.to_owned()).into());
        }
        Ok((name, wire.attribute))
    };
    wire.into_iter().map(read).collect()
}

/// What is told of a message that is sent, beside what was known before.
pub(super) fn tell_sent(answer: &mut Value, sent: Sent) {
    answer["MessageId"] = json!(sent.message_id);
    if let Some(number) = sent.sequence_number {
        answer["SequenceNumber"] = json!(number);
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: WireMessage,
}

pub(super) async fn send(site: &Site<'_>, input: SendMessage) -> Result<Value, Error> {
    let (message, mut answer) = input.message.read(site)?;
    let sent = site.queues.send(name(&input.queue_url)?, vec![message]).await?;
    for sent in sent {
        tell_sent(&mut answer, sent?);
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
    max_number_of_messages: Option<i64>,
    visibility_timeout: Option<i64>,
    wait_time_seconds: Option<i64>,
    receive_request_attempt_id: Option<String>,
}

/// What SQS tells of messages, if asked.
const SYSTEM_ATTRIBUTES: [&str; 10] = [
    "All",
    "AWSTraceHeader",
    "ApproximateFirstReceiveTimestamp",
    "ApproximateReceiveCount",
    "DeadLetterQueueSourceArn",
    "MessageDeduplicationId",
    "MessageGroupId",
    "SenderId",
    "SentTimestamp",
    "SequenceNumber",
];

pub(super) async fn receive(site: &Site<'_>, input: ReceiveMessage) -> Result<Value, Error> {
    let mut system = input.attribute_names;
    system.extend(input.message_system_attribute_names);
    if let Some(unknown) = system.iter().find(|name| !SYSTEM_ATTRIBUTES.contains(&name.as_str())) {
        return Err(QueueError::UnknownAttribute(unknown.clone()).into());
    }
    let receive = Receive {
        limit: input.max_number_of_messages.unwrap_or(1),
        visibility_seconds: input.visibility_timeout,
        wait_seconds: input.wait_time_seconds,
        attempt: input.receive_request_attempt_id,
    };
    let messages = site.queues.receive(name(&input.queue_url)?, &receive).await?;
    let wanted = input.message_attribute_names;
    let shown: Vec<Value> =
        messages.iter().map(|message| show(message, &system, &wanted)).collect();
    Ok(if shown.is_empty() { nothing() } else { json!({ "Messages": shown }) })
}

fn show(message: &Received, system: &[String], wanted: &[String]) -> Value {
    let mut shown = json!({
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt_handle,
        "MD5OfBody": checksums::body(&message.body),
        "Body": message.body,
    });
    let mut told = message.system_attributes();
    if !system.iter().any(|name| name == "All") {
        told.retain(|known, _| system.iter().any(|name| name == known));
    }
    if !told.is_empty() {
        shown["Attributes"] = json!(told);
    }
    let mut attributes = message.attributes.clone();
    attributes.retain(|name, _| wanted.iter().any(|wanted| is_wanted(name, wanted)));
    if let Some(md5) = checksums::attributes(attributes.iter()) {
        shown["MD5OfMessageAttributes"] = json!(md5);
        shown["MessageAttributes"] = json!(attributes);
    }
    shown
}

/// Whether an attribute is meant: by its name, by the beginning of its name, or with all others.
fn is_wanted(name: &str, wanted: &str) -> bool {
    match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == "All" || wanted == name,
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteMessage {
    queue_url: String,
    receipt_handle: String,
}

pub(super) async fn delete(site: &Site<'_>, input: DeleteMessage) -> Result<Value, Error> {
    let handles = [input.receipt_handle];
    for done in site.queues.delete_messages(name(&input.queue_url)?, &handles).await? {
        done?;
    }
    Ok(nothing())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ChangeMessageVisibility {
    queue_url: String,
    receipt_handle: String,
    visibility_timeout: i64,
}

pub(super) async fn change_visibility(
    site: &Site<'_>,
    input: ChangeMessageVisibility,
) -> Result<Value, Error> {
    let changes = [(input.receipt_handle, input.visibility_timeout)];
    for done in site.queues.change_visibility(name(&input.queue_url)?, &changes).await? {
        done?;
    }
    Ok(nothing())
}
