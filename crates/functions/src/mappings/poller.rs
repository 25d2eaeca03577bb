//! Receives the messages of queues and calls functions with them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::sleep,
};

use super::{
    Mapping, Pattern,
    batch::{Batch, Step, is_wanted},
    mapping::AT_ONCE,
};
use crate::{Functions, FunctionsError, Invoke, Invoked, Message, QueueError, version::new_id};

/// How long a call waits for messages.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time until a queue that could not be read is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a call for which there is no place is tried again, each time after twice the time.
const TRIES: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What receives messages.
#[derive(Default)]
pub(crate) struct Pollers {
    running: Mutex<HashMap<String, Running>>,
}

struct Running {
    /// When this is dropped, the poller ends.
    _stop: watch::Sender<()>,
    last_result: Arc<Mutex<String>>,
}

/// One that receives the messages of a mapping.
struct Poller {
    functions: Functions,
    mapping: Arc<Mapping>,
    patterns: Vec<Pattern>,
    last_result: Arc<Mutex<String>>,
}

impl Pollers {
    /// Receives messages as `mapping` says now.
    pub(crate) fn follow(&self, functions: &Functions, mapping: &Arc<Mapping>) {
        let mut running = self.running();
        let known = running.remove(&mapping.uuid).map(|running| running.last_result);
        let none = || Arc::new(Mutex::new("No records processed".to_owned()));
        let last_result = known.unwrap_or_else(none);
        let (stop, stopped) = watch::channel(());
        if mapping.settings.enabled {
            let poller = Poller {
                functions: functions.clone(),
                patterns: mapping.settings.patterns(),
                mapping: Arc::clone(mapping),
                last_result: Arc::clone(&last_result),
            };
            tokio::spawn(Arc::new(poller).run(stopped));
        }
        running.insert(mapping.uuid.clone(), Running { _stop: stop, last_result });
    }

    /// Receives no messages for the mapping of that name any more.
    pub(crate) fn forget(&self, uuid: &str) {
        self.running().remove(uuid);
    }

    /// Receives no messages any more.
    pub(crate) fn stop(&self) {
        self.running().clear();
    }

    /// What came of the last batch.
    pub(crate) fn last_result(&self, uuid: &str) -> String {
        let running = self.running();
        let last = running.get(uuid).map(|running| Arc::clone(&running.last_result));
        drop(running);
        last.map(|last| last.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .unwrap_or_default()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Poller {
    async fn run(self: Arc<Self>, mut stopped: watch::Receiver<()>) {
        let at_once = self.mapping.settings.concurrency.unwrap_or(AT_ONCE);
        let places = Arc::new(Semaphore::new(at_once as usize));
        loop {
            let place = tokio::select! {
                // No more is received than there are places for.
                place = Arc::clone(&places).acquire_owned() => place,
                _ = stopped.changed() => return,
            };
            let Ok(place) = place else { return };
            let mut batch = Batch::default();
            let filled = tokio::select! {
                filled = self.fill(&mut batch) => filled,
                _ = stopped.changed() => {
                    self.release(batch.messages).await;
                    return;
                }
            };
            match filled {
                Ok(()) => {
                    tokio::spawn(Arc::clone(&self).deliver(batch, place));
                }
                Err(error) => {
                    self.release(batch.messages).await;
                    self.note(&format!("PROBLEM: {error}"));
                    tokio::select! {
                        () = sleep(PAUSE) => {}
                        _ = stopped.changed() => return,
                    }
                }
            }
        }
    }

    /// Receives messages until the batch is to be sent.
    async fn fill(&self, batch: &mut Batch) -> Result<(), QueueError> {
        let limits = self.mapping.settings.limits(PATIENCE);
        loop {
            let (most, wait) = match batch.step(limits, self.functions.now()) {
                Step::Send => return Ok(()),
                Step::Receive(most, wait) => (most, Duration::from_millis(wait)),
            };
            let queue = &self.mapping.queue;
            let received = self.functions.queues().receive(queue, most, wait).await?;
            let (wanted, others): (Vec<Message>, Vec<Message>) =
                received.into_iter().partition(|message| is_wanted(message, &self.patterns));
            if !others.is_empty() {
                self.delete(others.into_iter().map(|message| message.receipt).collect()).await;
            }
            let rest = batch.add(wanted, self.functions.now());
            self.release(rest).await;
        }
    }

    /// Calls the function, and deletes the messages that are done. The others are received again when
    /// their visibility timeout is over, and get into a dead-letter queue by the queue's own rule.
    async fn deliver(self: Arc<Self>, batch: Batch, _place: OwnedSemaphorePermit) {
        let settings = &self.mapping.settings;
        let invoke = Invoke {
            function: settings.function.clone(),
            qualifier: settings.qualifier.clone(),
            payload: Bytes::from(batch.event(&self.mapping.queue)),
            client_context: None,
            request_id: new_id(),
        };
        match self.invoke(invoke).await {
            Ok(Invoked { is_error: false, payload, .. }) => {
                let done = batch.done(&payload, settings.tells_failures);
                let is_whole = done.len() == batch.messages.len();
                if !done.is_empty() {
                    self.delete(done).await;
                }
                self.note(if is_whole { "OK" } else { "PROBLEM: Some records were not processed" });
            }
            Ok(_) => self.note("PROBLEM: Function call failed"),
            Err(error) => {
                self.note(&format!("PROBLEM: {error}"));
                // Not at once: they would be received again at once.
                sleep(PAUSE).await;
                self.release(batch.messages).await;
            }
        }
    }

    /// Calls the function, and again if there is no place for it.
    async fn invoke(&self, invoke: Invoke) -> Result<Invoked, FunctionsError> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..TRIES {
            match self.functions.invoke(invoke.clone()).await {
                Err(FunctionsError::Throttled(_)) => sleep(pause).await,
                answer => return answer,
            }
            pause *= 2;
        }
        self.functions.invoke(invoke).await
    }

    async fn delete(&self, receipts: Vec<String>) {
        if let Err(error) = self.functions.queues().delete(&self.mapping.queue, receipts).await {
            let queue = &self.mapping.queue;
            tracing::warn!(queue, %error, "messages that are done can't be deleted");
        }
    }

    async fn release(&self, messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        let receipts = messages.into_iter().map(|message| message.receipt).collect();
        if let Err(error) = self.functions.queues().release(&self.mapping.queue, receipts).await {
            let queue = &self.mapping.queue;
            tracing::warn!(queue, %error, "messages can't be given back");
        }
    }

    fn note(&self, result: &str) {
        result.clone_into(&mut self.last_result.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
