//! Queues and their messages. What a call decides, it decides in the transaction that keeps it, so
//! that what is in the database is all there is to know.
//!
//! Times are milliseconds since 1970. A message is visible from its `visible_at`; it is in flight
//! while that is ahead and it has been received, and delayed while that is ahead and it hasn't.

mod candidates;
mod definitions;
mod groups;
mod moves;
mod receive;
mod send;
mod settle;
mod sweep;

pub use definitions::{NewQueue, QueueRecord};
pub use moves::{MoveRecord, MoveStep, NewMove};
pub use receive::{ReceivedMessage, Reception, Redrive, Take};
pub use send::{Deduplication, NewMessage, SentMessage};
pub use settle::{Receipt, Settled};
pub use sweep::MessageCounts;

use crate::store::Store;

/// The tables of queues.
pub struct QueueTable<'s>(pub(crate) &'s Store);

/// A queue, as far as its messages are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueKey {
    /// Its number.
    pub id: i64,
    /// Whether its messages keep the order of their groups.
    pub is_fifo: bool,
}
