//! [`Queues`]: the handle on all queues, and what it knows of each.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bessemer_domain::Clock;
use bessemer_store::{MessageCounts, QueueKey, QueueRecord, Store, StoreError};
use tokio::sync::{Notify, watch};

use crate::{
    attributes::{self, Attributes, Settings},
    error::QueueError,
    names::name_of_arn,
};

/// What queues live on.
#[derive(Clone)]
pub struct QueuesOptions {
    /// Where queues and messages are kept.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Becomes true when the server ends: receives that wait come back then.
    pub shutdown: watch::Receiver<bool>,
}

/// The handle on all queues. Clones share them.
#[derive(Clone)]
pub struct Queues {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) shutdown: watch::Receiver<bool>,
    /// All queues by name, as the database has them.
    known: RwLock<BTreeMap<String, Arc<Queue>>>,
    /// Held by what changes queues themselves.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) purging: Mutex<BTreeSet<i64>>,
    pub(crate) waiting: AtomicUsize,
}

/// A queue as it is now.
#[derive(Debug)]
pub struct Queue {
    pub(crate) id: i64,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it is a FIFO queue.
    pub is_fifo: bool,
    /// What its attributes come to.
    pub settings: Settings,
    /// When it was made, in milliseconds since 1970.
    pub created_at: u64,
    /// When its attributes were last set.
    pub modified_at: u64,
    pub(crate) attributes: Attributes,
    pub(crate) signal: Arc<Signal>,
}

/// Tells receives that wait of changes.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// What can be received, or when, has changed.
    pub(crate) changed: Notify,
    /// Held by the one receive that watches the queue; the others wait for their turn.
    pub(crate) turn: tokio::sync::Mutex<()>,
}

impl Queue {
    fn of(record: QueueRecord, signal: Arc<Signal>) -> Result<Self, StoreError> {
        let attributes: Attributes = serde_json::from_str(&record.attributes).map_err(|_| {
            StoreError::BadRow { table: "queues", column: "attributes", id: record.id.to_string() }
        })?;
        Ok(Self {
            id: record.id,
            name: record.name,
            arn: record.arn,
            is_fifo: record.is_fifo,
            settings: Settings::of(&attributes),
            created_at: record.created_at,
            modified_at: record.modified_at,
            attributes,
            signal,
        })
    }

    pub(crate) fn key(&self) -> QueueKey {
        QueueKey { id: self.id, is_fifo: self.is_fifo }
    }

    /// All its attributes, with how many messages it holds.
    pub fn attributes(&self, counts: MessageCounts) -> Attributes {
        let mut all = attributes::shown(&self.attributes, self.is_fifo);
        for (name, value) in [
            ("QueueArn", self.arn.clone()),
            ("CreatedTimestamp", (self.created_at / 1000).to_string()),
            ("LastModifiedTimestamp", (self.modified_at / 1000).to_string()),
            ("ApproximateNumberOfMessages", counts.visible.to_string()),
            ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
            ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
        ] {
            all.insert(name.to_owned(), value);
        }
        all
    }
}

impl Queues {
    /// Takes up the queues that the store holds, and the message move tasks that are running. Has to
    /// be called in a tokio runtime, where what they do beside calls then goes on.
    pub async fn start(options: QueuesOptions) -> Result<Self, StoreError> {
        let QueuesOptions { store, clock, shutdown } = options;
        let mut known = BTreeMap::new();
        for record in store.queues().all().await? {
            let queue = Queue::of(record, Arc::default())?;
            known.insert(queue.name.clone(), Arc::new(queue));
        }
        let running = store.queues().running_moves().await?;
        let known = RwLock::new(known);
        let (changing, purging) = (tokio::sync::Mutex::default(), Mutex::default());
        let waiting = AtomicUsize::new(0);
        let shared = Shared { store, clock, shutdown, known, changing, purging, waiting };
        let queues = Self { shared: Arc::new(shared) };
        for task in running {
            queues.drive_move(task);
        }
        queues.sweep_on();
        Ok(queues)
    }

    /// The queue of that name.
    pub fn find(&self, name: &str) -> Result<Arc<Queue>, QueueError> {
        let known = self.shared.known.read().unwrap_or_else(PoisonError::into_inner);
        known.get(name).cloned().ok_or(QueueError::NoQueue)
    }

    /// The queue that an ARN names.
    pub(crate) fn find_arn(&self, arn: &str) -> Option<Arc<Queue>> {
        self.find(name_of_arn(arn)?).ok()
    }

    /// All queues, in the order of their names.
    pub(crate) fn all(&self) -> Vec<Arc<Queue>> {
        let known = self.shared.known.read().unwrap_or_else(PoisonError::into_inner);
        known.values().cloned().collect()
    }

    /// Lets calls see a queue as it is now.
    pub(crate) fn show(&self, record: QueueRecord) -> Result<Arc<Queue>, StoreError> {
        let mut known = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.get(&record.name);
        let signal = before.map(|queue| Arc::clone(&queue.signal)).unwrap_or_default();
        let queue = Arc::new(Queue::of(record, signal)?);
        known.insert(queue.name.clone(), Arc::clone(&queue));
        Ok(queue)
    }

    /// Lets calls see a queue no more.
    pub(crate) fn hide(&self, queue: &Queue) {
        let mut known = self.shared.known.write().unwrap_or_else(PoisonError::into_inner);
        known.remove(&queue.name);
    }

    /// The queue with that number, if calls see it.
    pub(crate) fn by_id(&self, id: i64) -> Option<Arc<Queue>> {
        self.all().into_iter().find(|queue| queue.id == id)
    }

    /// How many receives wait for a message.
    pub fn waiting(&self) -> usize {
        self.shared.waiting.load(Ordering::Relaxed)
    }

    pub(crate) fn now(&self) -> u64 {
        self.shared.clock.now_millis()
    }
}
