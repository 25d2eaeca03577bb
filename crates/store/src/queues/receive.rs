//! Messages that are received.

use std::collections::BTreeSet;

use sqlx::{Row, SqliteConnection};

use super::{
    QueueKey, QueueTable, Receipt,
    candidates::{self, Candidate},
    groups,
    moves::{self, Relocation},
    sweep,
};
use crate::{error::StoreError, row::signed};

/// How often a receive makes room for messages that can be delivered by moving others to the
/// dead-letter queue: it bounds what one call does.
const ROUNDS: u32 = 32;

/// What is to be received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// The time.
    pub now: u64,
    /// Messages, at most.
    pub limit: u32,
    /// When they become visible again.
    pub visible_at: u64,
    /// Messages that were sent at this instant or before are gone.
    pub expired: u64,
    /// What becomes of messages that were received too often.
    pub redrive: Option<Redrive>,
    /// The name of this attempt: one of the same name before its end gives the same messages.
    pub attempt: Option<(String, u64)>,
}

/// Where messages go that were received too often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redrive {
    /// How often a message is received, at most.
    pub most_receives: u32,
    /// The dead-letter queue.
    pub queue: QueueKey,
    /// What its messages tell of where they came from.
    pub source_arn: String,
}

/// A message as it is received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// Its number.
    pub number: i64,
    /// Its id.
    pub message_id: String,
    /// Its text.
    pub body: String,
    /// All else that is told of it, as a JSON object.
    pub details: String,
    /// How often it was received from this queue, this time included.
    pub receives: u32,
    /// How often it was received before it came to this queue.
    pub earlier_receives: u32,
    /// When it was sent.
    pub sent_at: u64,
    /// When it was first received.
    pub first_received_at: u64,
}

/// What a receive gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reception {
    /// The messages.
    pub messages: Vec<ReceivedMessage>,
    /// How many went to the dead-letter queue.
    pub dead_lettered: u32,
}

impl QueueTable<'_> {
    /// Receives messages: they are in flight from now on.
    pub async fn receive(&self, queue: QueueKey, take: Take) -> Result<Reception, StoreError> {
        let write =
            self.0.write(move |conn| Box::pin(async move { receive(conn, queue, &take).await }));
        write.await
    }

    /// When the next message may be there to be received; `None` if the queue is empty.
    pub async fn next_visible(&self, queue: QueueKey) -> Result<Option<u64>, StoreError> {
        let sql = if queue.is_fifo {
            "SELECT min(free_at) FROM queue_groups WHERE queue_id = ?"
        } else {
            "SELECT min(visible_at) FROM queue_messages WHERE queue_id = ?"
        };
        let query = sqlx::query_scalar(sql).bind(queue.id);
        let next: Option<i64> = query.fetch_one(self.0.readers()).await?;
        Ok(next.map(|at| u64::try_from(at).unwrap_or_default()))
    }
}

async fn receive(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    take: &Take,
) -> Result<Reception, StoreError> {
    sweep::expire(conn, queue.id, take.expired).await?;
    if let Some((name, _)) = &take.attempt {
        let again = repeated(conn, queue, take, name).await?;
        if !again.is_empty() {
            return Ok(Reception { messages: again, dead_lettered: 0 });
        }
    }
    let mut reception = Reception::default();
    for _ in 0..ROUNDS {
        let candidates = candidates::visible(conn, queue, take.now, take.limit).await?;
        let is_dead = |candidate: &Candidate| {
            let redrive = take.redrive.as_ref();
            redrive.is_some_and(|redrive| candidate.message.receives >= redrive.most_receives)
        };
        let (dead, alive): (Vec<Candidate>, Vec<Candidate>) =
            candidates.into_iter().partition(is_dead);
        let Some(redrive) = take.redrive.as_ref().filter(|_| !dead.is_empty()) else {
            reception.messages = deliver(conn, queue, take, alive).await?;
            break;
        };
        bury(conn, queue, take.now, redrive, &dead).await?;
        reception.dead_lettered += dead.len() as u32;
    }
    if let Some((name, until)) = &take.attempt
        && !reception.messages.is_empty()
    {
        remember(conn, queue, name, *until, &reception.messages).await?;
    }
    Ok(reception)
}

async fn deliver(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    take: &Take,
    candidates: Vec<Candidate>,
) -> Result<Vec<ReceivedMessage>, StoreError> {
    let sql = "UPDATE queue_messages
               SET visible_at = ?1, receives = receives + 1, received_at = ?2,
                   first_received_at = coalesce(first_received_at, ?2)
               WHERE id = ?3";
    let mut received = Vec::new();
    let mut touched = BTreeSet::new();
    for Candidate { mut message, group, first_received_at, .. } in candidates {
        let query = sqlx::query(sql).bind(signed(take.visible_at)).bind(signed(take.now));
        query.bind(message.number).execute(&mut *conn).await?;
        message.receives += 1;
        message.first_received_at = first_received_at.unwrap_or(take.now);
        touched.extend(group);
        received.push(message);
    }
    groups::refresh(conn, queue.id, &touched).await?;
    Ok(received)
}

/// Takes messages to the dead-letter queue.
async fn bury(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    now: u64,
    redrive: &Redrive,
    dead: &[Candidate],
) -> Result<(), StoreError> {
    let mut touched = BTreeSet::new();
    for candidate in dead {
        let message = &candidate.message;
        let relocation = Relocation {
            to: redrive.queue,
            // The clock of a FIFO queue's retention begins again, that of others goes on.
            sent_at: if redrive.queue.is_fifo { now } else { message.sent_at },
            earlier_receives: message.receives + message.earlier_receives,
            first_received_at: candidate.first_received_at,
            message_id: message.message_id.clone(),
            dead_letter_source: Some(redrive.source_arn.clone()),
        };
        moves::relocate(conn, now, candidate, &relocation).await?;
        touched.extend(candidate.group.clone());
    }
    groups::refresh(conn, queue.id, &touched).await
}

/// The messages of an earlier attempt of this name, in flight anew, if nothing else has happened to
/// them since.
async fn repeated(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    take: &Take,
    name: &str,
) -> Result<Vec<ReceivedMessage>, StoreError> {
    let sql = "SELECT receipts FROM queue_attempts WHERE queue_id = ? AND name = ? AND until > ?";
    let query = sqlx::query(sql).bind(queue.id).bind(name).bind(signed(take.now));
    let Some(row) = query.fetch_optional(&mut *conn).await? else { return Ok(Vec::new()) };
    let receipts: Vec<Receipt> = serde_json::from_str(row.try_get("receipts")?).map_err(|_| {
        StoreError::BadRow { table: "queue_attempts", column: "receipts", id: name.to_owned() }
    })?;
    let mut found = Vec::new();
    for receipt in receipts {
        let one = candidates::one(conn, queue.id, receipt.number, receipt.receives).await?;
        match one.filter(|candidate| candidate.visible_at > take.now) {
            Some(candidate) => found.push(candidate),
            None => return Ok(Vec::new()),
        }
    }
    let mut touched = BTreeSet::new();
    let mut messages = Vec::new();
    for Candidate { message, group, .. } in found {
        let sql = "UPDATE queue_messages SET visible_at = ? WHERE id = ?";
        let query = sqlx::query(sql).bind(signed(take.visible_at)).bind(message.number);
        query.execute(&mut *conn).await?;
        touched.extend(group);
        messages.push(message);
    }
    groups::refresh(conn, queue.id, &touched).await?;
    Ok(messages)
}

async fn remember(
    conn: &mut SqliteConnection,
    queue: QueueKey,
    name: &str,
    until: u64,
    messages: &[ReceivedMessage],
) -> Result<(), StoreError> {
    let receipt =
        |message: &ReceivedMessage| Receipt { number: message.number, receives: message.receives };
    let receipts: Vec<Receipt> = messages.iter().map(receipt).collect();
    let receipts = serde_json::json!(receipts).to_string();
    let sql = "INSERT OR REPLACE INTO queue_attempts (queue_id, name, receipts, until)
               VALUES (?, ?, ?, ?)";
    let query = sqlx::query(sql).bind(queue.id).bind(name).bind(receipts);
    query.bind(signed(until)).execute(conn).await?;
    Ok(())
}
