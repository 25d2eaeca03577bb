//! Messages ten at a time. Each entry has its own answer.

use std::collections::BTreeSet;

use bessemer_queues::QueueError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Site,
    error::Error,
    messages::{WireMessage, tell_sent},
    name,
};

/// Entries of a batch, at most.
const MOST: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
struct Entry<T> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(flatten)]
    rest: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deletion {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Change {
    receipt_handle: String,
    #[serde(default)]
    visibility_timeout: i64,
}

impl<T> Batch<T> {
    /// Checks what makes the whole batch wrong.
    fn check(&self, entry_name: &'static str) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Err(Error::EmptyBatch(entry_name));
        }
        if self.entries.len() > MOST {
            return Err(Error::TooManyEntries(self.entries.len()));
        }
        let mut ids = BTreeSet::new();
        for Entry { id, .. } in &self.entries {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            if id.is_empty() || id.len() > 80 || !id.bytes().all(plain) {
                return Err(Error::EntryId);
            }
            if !ids.insert(id) {
                return Err(Error::RepeatedId(id.clone()));
            }
        }
        Ok(())
    }
}

/// The answer to a batch: what was done, and what was not.
#[derive(Default)]
struct Answer {
    successful: Vec<Value>,
    failed: Vec<Value>,
}

impl Answer {
    fn add(&mut self, id: &str, result: Result<Value, Error>) {
        match result {
            Ok(mut value) => {
                value["Id"] = json!(id);
                self.successful.push(value);
            }
            Err(error) => self.failed.push(error.entry(id)),
        }
    }

    /// The lists that aren't empty; clients take the others as missing.
    fn value(self) -> Value {
        let mut value = json!({});
        for (name, list) in [("Successful", self.successful), ("Failed", self.failed)] {
            if !list.is_empty() {
                value[name] = json!(list);
            }
        }
        value
    }
}

pub(super) async fn send(site: &Site<'_>, batch: Batch<WireMessage>) -> Result<Value, Error> {
    batch.check("SendMessageBatchRequestEntry")?;
    let mut read = Vec::new();
    let mut messages = Vec::new();
    for entry in batch.entries {
        let one = entry.rest.read(site).map(|(message, answer)| {
            messages.push(message);
            answer
        });
        read.push((entry.id, one));
    }
    let mut sent = site.queues.send(name(&batch.queue_url)?, messages).await?.into_iter();
    let mut answer = Answer::default();
    for (id, one) in read {
        let result = one.and_then(|mut one| {
            if let Some(sent) = sent.next() {
                tell_sent(&mut one, sent?);
            }
            Ok(one)
        });
        // What a FIFO queue lacks of one, it lacks of the call.
        if let Err(Error::Queue(QueueError::Missing("MessageGroupId"))) = &result {
            let message = QueueError::Missing("MessageGroupId").to_string();
            answer.add(&id, Err(QueueError::Parameter(message).into()));
        } else {
            answer.add(&id, result);
        }
    }
    Ok(answer.value())
}

pub(super) async fn delete(site: &Site<'_>, batch: Batch<Deletion>) -> Result<Value, Error> {
    batch.check("DeleteMessageBatchRequestEntry")?;
    let (ids, handles): (Vec<String>, Vec<String>) =
        batch.entries.into_iter().map(|entry| (entry.id, entry.rest.receipt_handle)).unzip();
    let done = site.queues.delete_messages(name(&batch.queue_url)?, &handles).await?;
    Ok(answer(&ids, done))
}

pub(super) async fn change_visibility(
    site: &Site<'_>,
    batch: Batch<Change>,
) -> Result<Value, Error> {
    batch.check("ChangeMessageVisibilityBatchRequestEntry")?;
    let (ids, changes): (Vec<String>, Vec<(String, i64)>) = batch
        .entries
        .into_iter()
        .map(|entry| (entry.id, (entry.rest.receipt_handle, entry.rest.visibility_timeout)))
        .unzip();
    let done = site.queues.change_visibility(name(&batch.queue_url)?, &changes).await?;
    Ok(answer(&ids, done))
}

fn answer(ids: &[String], done: Vec<Result<(), QueueError>>) -> Value {
    let mut answer = Answer::default();
    for (id, done) in ids.iter().zip(done) {
        answer.add(id, done.map(|()| json!({})).map_err(Error::from));
    }
    answer.value()
}
