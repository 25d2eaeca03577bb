//! Queues of messages, as SQS has them: standard and FIFO, durable, with long polls.
//!
//! [`Queues`] is the handle. What a call changes is on disk before it returns; what a message may do
//! is decided in the database's transaction (`bessemer_store::QueueTable`). Here are the rules that
//! stand before it: attributes, limits, receipt handles, deduplication; and what goes on beside it:
//! polls that wait, retention, message move tasks.
#![warn(missing_docs)]

mod attributes;
mod contents;
mod definitions;
mod error;
mod messages;
mod moves;
mod names;
mod policy;
mod poll;
mod queues;
mod receipt;
mod sweep;

pub use attributes::{Attributes, RedriveAllow, RedrivePolicy, Settings};
pub use bessemer_store::{MessageCounts, MoveRecord};
pub use contents::{MOST_BYTES, Message, MessageAttribute, MessageAttributes};
pub use definitions::{CreateQueue, QueueList};
pub use error::QueueError;
pub use messages::{Receive, Received, Sent};
pub use names::{name_of_arn, name_of_url};
pub use queues::{Queue, Queues, QueuesOptions};
