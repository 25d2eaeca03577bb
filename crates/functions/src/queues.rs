//! [`MessageQueues`]: what functions need of queues.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

/// Message queues, named by their ARNs.
pub trait MessageQueues: Send + Sync {
    /// Whether there is such a queue; then its visibility timeout.
    fn find<'a>(&'a self, queue: &'a str) -> BoxFuture<'a, Result<Option<Duration>, QueueError>>;

    /// Receives up to `most` messages, 10 at most, waiting for the first for `wait` at most.
    fn receive<'a>(
        &'a self,
        queue: &'a str,
        most: usize,
        wait: Duration,
    ) -> BoxFuture<'a, Result<Vec<Message>, QueueError>>;

    /// Deletes messages that were received.
    fn delete<'a>(
        &'a self,
        queue: &'a str,
        receipts: Vec<String>,
    ) -> BoxFuture<'a, Result<(), QueueError>>;

    /// Lets messages that were received be received again at once.
    fn release<'a>(
        &'a self,
        queue: &'a str,
        receipts: Vec<String>,
    ) -> BoxFuture<'a, Result<(), QueueError>>;

    /// Sends a message with attributes of type `String`. It is on disk when this returns.
    fn send<'a>(
        &'a self,
        queue: &'a str,
        body: String,
        attributes: Vec<(&'static str, String)>,
    ) -> BoxFuture<'a, Result<(), QueueError>>;
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// By which it is deleted.
    pub receipt: String,
    /// The message as the records of an event have it: `messageId`, `receiptHandle`, `body`,
    /// `attributes`, `messageAttributes`, `md5OfBody`.
    pub record: Value,
}

/// Why a queue did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// There is no such queue.
    #[error("the queue `{0}` does not exist")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}
