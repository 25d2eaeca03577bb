//! Messages sent, received, deleted.

use std::collections::BTreeMap;

use bessemer_store::{
    Deduplication, NewMessage, Receipt, ReceivedMessage, Redrive, Settled, StoreError, Take,
};
use serde_json::json;

use crate::{
    contents::{Details, MOST_BYTES, Message, MessageAttributes, check_token},
    error::QueueError,
    queues::{Queue, Queues},
    receipt::{handle, receipt},
};

/// How long a FIFO queue remembers messages and attempts.
const MEMORY_MILLIS: u64 = 5 * 60 * 1000;
/// How long a message may be in flight.
pub(crate) const LONGEST_FLIGHT_SECONDS: u64 = 43_200;

/// A message that is in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its id.
    pub message_id: String,
    /// Its place in the order of a FIFO queue.
    pub sequence_number: Option<String>,
}

/// What is to be received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receive {
    /// Messages, at most: 1 to 10.
    pub limit: i64,
    /// How long they stay invisible; without it, as the queue has it.
    pub visibility_seconds: Option<i64>,
    /// How long to wait if there are none; without it, as the queue has it.
    pub wait_seconds: Option<i64>,
    /// The name of the attempt, for a FIFO queue.
    pub attempt: Option<String>,
}

impl Default for Receive {
    fn default() -> Self {
        Self { limit: 1, visibility_seconds: None, wait_seconds: None, attempt: None }
    }
}

/// A message that is in flight. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// Its id.
    pub message_id: String,
    /// What deletes it, or changes how long it stays invisible.
    pub receipt_handle: String,
    /// Its text.
    pub body: String,
    /// Its attributes.
    pub attributes: MessageAttributes,
    /// How often it was received, with this time, from this queue and from the one that it is a
    /// dead letter of.
    pub receive_count: u32,
    /// When it was sent.
    pub sent_at: u64,
    /// When it was first received.
    pub first_received_at: u64,
    /// Who sent it.
    pub sender: String,
    /// The header of a trace that it is part of.
    pub trace_header: Option<String>,
    /// Its group.
    pub group: Option<String>,
    /// What made it a message of its own, in a FIFO queue.
    pub deduplication_id: Option<String>,
    /// Its place in the order of a FIFO queue.
    pub sequence_number: Option<String>,
    /// The ARN of the queue that it is a dead letter of.
    pub dead_letter_source: Option<String>,
}

impl Received {
    /// What SQS tells of a message beside what its sender did, by name.
    pub fn system_attributes(&self) -> BTreeMap<&'static str, String> {
        let mut all = BTreeMap::from([
            ("SenderId", self.sender.clone()),
            ("SentTimestamp", self.sent_at.to_string()),
            ("ApproximateReceiveCount", self.receive_count.to_string()),
            ("ApproximateFirstReceiveTimestamp", self.first_received_at.to_string()),
        ]);
        let optional = [
            ("AWSTraceHeader", &self.trace_header),
            ("MessageGroupId", &self.group),
            ("MessageDeduplicationId", &self.deduplication_id),
            ("SequenceNumber", &self.sequence_number),
            ("DeadLetterQueueSourceArn", &self.dead_letter_source),
        ];
        all.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        all
    }

    fn of(queue: &Queue, message: ReceivedMessage) -> Result<Self, StoreError> {
        let details: Details =
            serde_json::from_str(&message.details).map_err(|_| StoreError::BadRow {
                table: "queue_contents",
                column: "details",
                id: message.number.to_string(),
            })?;
        let receipt = Receipt { number: message.number, receives: message.receives };
        Ok(Self {
            message_id: message.message_id,
            receipt_handle: handle(queue.id, receipt),
            body: message.body,
            attributes: details.attributes,
            receive_count: message.receives + message.earlier_receives,
            sent_at: message.sent_at,
            first_received_at: message.first_received_at,
            sender: details.sender,
            trace_header: details.trace_header,
            group: details.group,
            deduplication_id: details.deduplication_id,
            sequence_number: queue.is_fifo.then(|| sequence_number(message.number)),
            dead_letter_source: details.dead_letter_source,
        })
    }
}

impl Queues {
    /// Sends messages: ten at most, no longer together than [`MOST_BYTES`]. Each that can't be sent
    /// says why; the others are sent, in their order, all by one write.
    pub async fn send(
        &self,
        name: &str,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Sent, QueueError>>, QueueError> {
        let queue = self.find(name)?;
        let sent: usize = messages.iter().map(Message::size).sum();
        if messages.len() > 1 && sent > MOST_BYTES {
            return Err(QueueError::BatchTooLong { most: MOST_BYTES, sent });
        }
        let now = self.now();
        let checked: Vec<Result<NewMessage, QueueError>> =
            messages.into_iter().map(|message| new_message(&queue, message, now)).collect();
        let good: Vec<NewMessage> = checked.iter().filter_map(|row| row.clone().ok()).collect();
        let kept = if good.is_empty() {
            Vec::new()
        } else {
            let kept = self.shared.store.queues().send(queue.key(), now, good).await?;
            kept.ok_or(QueueError::NoQueue)?
        };
        queue.signal.changed.notify_one();
        let mut kept = kept.into_iter();
        let answer = |row: Result<NewMessage, QueueError>| {
            row?;
            let message = kept.next().ok_or(StoreError::Closed)?;
            let sequence_number = queue.is_fifo.then(|| sequence_number(message.number));
            Ok(Sent { message_id: message.message_id, sequence_number })
        };
        Ok(checked.into_iter().map(answer).collect())
    }

    /// Receives messages, and waits for some if there are none. They stay in the queue until they
    /// are deleted.
    pub async fn receive(
        &self,
        name: &str,
        receive: &Receive,
    ) -> Result<Vec<Received>, QueueError> {
        let queue = self.find(name)?;
        receive.check(queue.is_fifo)?;
        let wait = receive.wait_seconds.map_or(queue.settings.wait, i64::unsigned_abs);
        self.poll(&queue, receive, wait).await
    }

    /// Receives what is there now.
    pub(crate) async fn take(
        &self,
        queue: &Queue,
        receive: &Receive,
    ) -> Result<Vec<Received>, QueueError> {
        let store = &self.shared.store;
        let now = self.now();
        let settings = &queue.settings;
        let is_there = self.next_visible(queue).await?.is_some_and(|at| at <= now);
        // What another attempt received is in flight.
        if !is_there && receive.attempt.is_none() {
            return Ok(Vec::new());
        }
        let visibility =
            receive.visibility_seconds.map_or(settings.visibility_timeout, i64::unsigned_abs);
        let target = settings
            .redrive
            .as_ref()
            .and_then(|redrive| Some((self.find_arn(&redrive.target)?, redrive.most_receives)));
        let take = Take {
            now,
            limit: u32::try_from(receive.limit).unwrap_or(1),
            visible_at: now + visibility * 1000,
            expired: now.saturating_sub(settings.retention * 1000),
            redrive: target.as_ref().map(|(target, most_receives)| Redrive {
                most_receives: *most_receives,
                queue: target.key(),
                source_arn: queue.arn.clone(),
            }),
            attempt: receive.attempt.clone().map(|name| (name, now + MEMORY_MILLIS)),
        };
        let reception = store.queues().receive(queue.key(), take).await?;
        if let Some((target, _)) = target.filter(|_| reception.dead_lettered > 0) {
            target.signal.changed.notify_one();
        }
        queue.signal.changed.notify_one();
        let messages = reception.messages.into_iter();
        Ok(messages.map(|message| Received::of(queue, message)).collect::<Result<_, _>>()?)
    }

    /// Deletes messages by their receipt handles, for good. A handle of a standard queue that is not
    /// the message's latest does nothing, and says nothing.
    pub async fn delete_messages(
        &self,
        name: &str,
        handles: &[String],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let queue = self.find(name)?;
        let receipts: Vec<Option<Receipt>> =
            handles.iter().map(|handle| receipt(queue.id, handle)).collect();
        let known = receipts.iter().copied().flatten().collect();
        let settled = self.shared.store.queues().remove(queue.key(), self.now(), known).await?;
        queue.signal.changed.notify_one();
        let answer = |handle: &String, settled: Settled| match settled {
            Settled::Stale | Settled::Visible if queue.is_fifo => {
                Err(QueueError::value(handle, "ReceiptHandle", "The receipt handle has expired."))
            }
            _ => Ok(()),
        };
        Ok(answers(handles, &receipts, settled, answer))
    }

    /// Changes for how many seconds from now messages in flight stay invisible, by their receipt
    /// handles.
    pub async fn change_visibility(
        &self,
        name: &str,
        changes: &[(String, i64)],
    ) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let queue = self.find(name)?;
        let now = self.now();
        let checked: Vec<Result<(Receipt, u64), QueueError>> = changes
            .iter()
            .map(|(handle, seconds)| {
                check_visibility(*seconds)?;
                let receipt = receipt(queue.id, handle);
                let receipt = receipt.ok_or_else(|| QueueError::ReceiptHandle(handle.clone()))?;
                Ok((receipt, now + seconds.unsigned_abs() * 1000))
            })
            .collect();
        let good = checked.iter().filter_map(|row| row.clone().ok()).collect();
        let longest = LONGEST_FLIGHT_SECONDS * 1000;
        let store = self.shared.store.queues();
        let settled = store.change_visibility(queue.key(), now, longest, good).await?;
        queue.signal.changed.notify_one();
        let mut settled = settled.into_iter();
        let mut answer = |handle: &String, row: Result<(Receipt, u64), QueueError>| {
            row?;
            let reason =
                "Message does not exist or is not available for visibility timeout change.";
            match settled.next() {
                Some(Settled::Done) => Ok(()),
                Some(Settled::Visible) => Err(QueueError::NotInFlight),
                Some(Settled::TooLong) => Err(QueueError::Parameter(format!(
                    "Total VisibilityTimeout for the message is beyond the limit \
                     [{LONGEST_FLIGHT_SECONDS} seconds]"
                ))),
                _ => Err(QueueError::value(handle, "ReceiptHandle", reason)),
            }
        };
        let handles = changes.iter().map(|(handle, _)| handle);
        Ok(handles.zip(checked).map(|(handle, row)| answer(handle, row)).collect())
    }
}

/// What each handle came to: those that are none never reached the store.
fn answers(
    handles: &[String],
    receipts: &[Option<Receipt>],
    settled: Vec<Settled>,
    answer: impl Fn(&String, Settled) -> Result<(), QueueError>,
) -> Vec<Result<(), QueueError>> {
    let mut settled = settled.into_iter();
    let one = |(handle, receipt): (&String, &Option<Receipt>)| match receipt {
        Some(_) => settled.next().map_or(Ok(()), |settled| answer(handle, settled)),
        None => Err(QueueError::ReceiptHandle(handle.clone())),
    };
    handles.iter().zip(receipts).map(one).collect()
}

impl Receive {
    fn check(&self, is_fifo: bool) -> Result<(), QueueError> {
        if !(1..=10).contains(&self.limit) {
            let reason = "Must be between 1 and 10, if provided.";
            return Err(QueueError::value(self.limit, "MaxNumberOfMessages", reason));
        }
        if let Some(seconds) = self.visibility_seconds {
            check_visibility(seconds)?;
        }
        if let Some(seconds) = self.wait_seconds.filter(|seconds| !(0..=20).contains(seconds)) {
            let reason = "Must be >= 0 and <= 20, if provided.";
            return Err(QueueError::value(seconds, "WaitTimeSeconds", reason));
        }
        match &self.attempt {
            Some(attempt) if is_fifo => check_token(attempt, "ReceiveRequestAttemptId"),
            Some(attempt) => Err(not_of_this_kind(attempt, "ReceiveRequestAttemptId")),
            None => Ok(()),
        }
    }
}

fn check_visibility(seconds: i64) -> Result<(), QueueError> {
    if (0..=LONGEST_FLIGHT_SECONDS as i64).contains(&seconds) {
        return Ok(());
    }
    let reason = "VisibilityTimeout must be an integer between 0 and 43200.";
    Err(QueueError::value(seconds, "VisibilityTimeout", reason))
}

fn not_of_this_kind(value: impl std::fmt::Display, parameter: &str) -> QueueError {
    let reason = "The request include parameter that is not valid for this queue type.";
    QueueError::value(value, parameter, reason)
}

/// Checks a message and gives it its id, its group and its times.
fn new_message(queue: &Queue, message: Message, now: u64) -> Result<NewMessage, QueueError> {
    let settings = &queue.settings;
    message.check(settings.maximum_message_size)?;
    if let Some(group) = &message.group {
        check_token(group, "MessageGroupId")?;
    }
    if let Some(id) = &message.deduplication_id {
        check_token(id, "MessageDeduplicationId")?;
    }
    let delay = match message.delay_seconds {
        // FIFO queues have one delay for all messages.
        Some(delay) if queue.is_fifo && delay != 0 => {
            return Err(not_of_this_kind(delay, "DelaySeconds"));
        }
        Some(delay) if !(0..=900).contains(&delay) => {
            let reason = "DelaySeconds must be >= 0 and <= 900.";
            return Err(QueueError::value(delay, "DelaySeconds", reason));
        }
        Some(delay) if !queue.is_fifo => delay.unsigned_abs(),
        _ => settings.delay,
    };
    let mut deduplication = None;
    if queue.is_fifo {
        let group = message.group.clone().ok_or(QueueError::Missing("MessageGroupId"))?;
        let name =
            message.deduplication(settings.content_based_deduplication).ok_or_else(|| {
                QueueError::Parameter(
                    "The queue should either have ContentBasedDeduplication enabled or \
                 MessageDeduplicationId provided explicitly"
                        .to_owned(),
                )
            })?;
        let scope = if settings.deduplication_by_group { group } else { String::new() };
        deduplication = Some(Deduplication { scope, name, until: now + MEMORY_MILLIS });
    } else if let Some(id) = &message.deduplication_id {
        return Err(not_of_this_kind(id, "MessageDeduplicationId"));
    }
    let details = Details {
        sender: message.sender,
        attributes: message.attributes,
        trace_header: message.trace_header,
        group: message.group.clone(),
        deduplication_id: deduplication.as_ref().map(|deduplication| deduplication.name.clone()),
        dead_letter_source: None,
    };
    Ok(NewMessage {
        message_id: message_id(),
        body: message.body,
        details: json!(details).to_string(),
        group: message.group.filter(|_| queue.is_fifo),
        deduplication,
        visible_at: now + delay * 1000,
    })
}

/// A number that grows with a message's, in twenty digits.
fn sequence_number(number: i64) -> String {
    format!("1{number:019}")
}

/// A random UUID.
pub(crate) fn message_id() -> String {
    let bits: u128 = rand::random();
    let bits = bits & !(0xf << 76) & !(0b11 << 62) | (4 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
