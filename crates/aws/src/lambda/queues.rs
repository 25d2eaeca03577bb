//! The queues of this server, as functions use them.

use std::time::Duration;

use bessemer_functions::{Message as Event, MessageQueues, QueueError as Failure};
use bessemer_queues::{
    Message, MessageAttribute, QueueError, Queues, Receive, Received, name_of_arn,
};
use futures::future::{BoxFuture, FutureExt};
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

/// Who sends what functions tell of.
const SENDER: &str = "lambda";
/// Messages that one call changes.
const BATCH: usize = 10;

/// The queues of this server.
#[derive(Clone)]
pub struct FunctionQueues(pub Queues);

impl MessageQueues for FunctionQueues {
    fn find<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<Option<Duration>, Failure>> {
        let found = name_of_arn(queue).and_then(|name| self.0.find(name).ok());
        let timeout = found.map(|queue| Duration::from_secs(queue.settings.visibility_timeout));
        futures::future::ready(Ok(timeout)).boxed()
    }

    fn receive<'a>(
        &'a self,
        queue: &'a str,
        most: usize,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Vec<Event>, Failure>> {
        async move {
            let receive = Receive {
                limit: most.clamp(1, BATCH) as i64,
                wait_seconds: Some(wait.as_millis().div_ceil(1000).min(20) as i64),
                ..Receive::default()
            };
            let received = self.0.receive(name_of(queue)?, &receive).await;
            let received = received.map_err(|error| failed(queue, &error))?;
            Ok(received.into_iter().map(event).collect())
        }
        .boxed()
    }

    fn delete<'a>(
        &'a self,
        queue: &'a str,
        receipts: Vec<String>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            for some in receipts.chunks(BATCH) {
                let deleted = self.0.delete_messages(name_of(queue)?, some).await;
                check(queue, deleted)?;
            }
            Ok(())
        }
        .boxed()
    }

    fn release<'a>(
        &'a self,
        queue: &'a str,
        receipts: Vec<String>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            for some in receipts.chunks(BATCH) {
                let now: Vec<(String, i64)> = some.iter().map(|one| (one.clone(), 0)).collect();
                let changed = self.0.change_visibility(name_of(queue)?, &now).await;
                check(queue, changed)?;
            }
            Ok(())
        }
        .boxed()
    }

    fn send<'a>(
        &'a self,
        queue: &'a str,
        body: String,
        attributes: Vec<(&'static str, String)>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let text = |value: String| MessageAttribute {
            data_type: "String".to_owned(),
            string_value: Some(value),
            binary_value: None,
        };
        let attributes =
            attributes.into_iter().map(|(name, value)| (name.to_owned(), text(value))).collect();
        let message = Message { body, attributes, sender: SENDER.to_owned(), ..Message::default() };
        async move {
            let sent = self.0.send(name_of(queue)?, vec![message]).await;
            check(queue, sent)
        }
        .boxed()
    }
}

fn name_of(queue: &str) -> Result<&str, Failure> {
    name_of_arn(queue).ok_or_else(|| Failure::Missing(queue.to_owned()))
}

fn failed(queue: &str, error: &QueueError) -> Failure {
    match error {
        QueueError::NoQueue => Failure::Missing(queue.to_owned()),
        error => Failure::Failed(error.to_string()),
    }
}

/// The first failure of a batch.
fn check<T>(
    queue: &str,
    done: Result<Vec<Result<T, QueueError>>, QueueError>,
) -> Result<(), Failure> {
    let done = done.map_err(|error| failed(queue, &error))?;
    let error = done.into_iter().find_map(Result::err);
    error.map_or(Ok(()), |error| Err(failed(queue, &error)))
}

/// A message as the records of an event have it.
fn event(message: Received) -> Event {
    let attribute = |attribute: &MessageAttribute| {
        let mut value = json!({
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": attribute.data_type,
        });
        if let Some(text) = &attribute.string_value {
            value["stringValue"] = text.clone().into();
        }
        if let Some(bytes) = &attribute.binary_value {
            value["binaryValue"] = bytes.clone().into();
        }
        value
    };
    let attributes: Map<String, Value> =
        message.attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
    let record = json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": message.system_attributes(),
        "messageAttributes": attributes,
        "md5OfBody": bessemer_domain::hex(&Md5::digest(message.body.as_bytes())),
    });
    Event { id: message.message_id, receipt: message.receipt_handle, record }
}
