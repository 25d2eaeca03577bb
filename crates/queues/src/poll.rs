//! Receives that wait. Of all that wait for a queue, one watches it: it sleeps until the next message
//! becomes visible or something changes. The others wait for its place, in their order.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bessemer_store::StoreError;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    error::QueueError,
    messages::{Receive, Received},
    queues::{Queue, Queues},
};

/// How long to leave a message to another receive that is about to take it.
const YIELD: Duration = Duration::from_millis(5);

impl Queues {
    /// Receives messages; waits for `wait` seconds if there are none.
    pub(crate) async fn poll(
        &self,
        queue: &Arc<Queue>,
        receive: &Receive,
        wait: u64,
    ) -> Result<Vec<Received>, QueueError> {
        let deadline = Instant::now() + Duration::from_secs(wait);
        let mut queue = Arc::clone(queue);
        loop {
            let messages = self.take(&queue, receive).await?;
            if !messages.is_empty() || wait == 0 {
                return Ok(messages);
            }
            if !self.watch(&queue, deadline).await? {
                return Ok(Vec::new());
            }
            // Its attributes may be others by now, or it may be gone.
            queue = self.find(&queue.name)?;
        }
    }

    /// Waits until there may be something to receive; false if that is not before `deadline`.
    async fn watch(&self, queue: &Queue, deadline: Instant) -> Result<bool, QueueError> {
        let mut shutdown = self.shared.shutdown.clone();
        let _waiting = Waiting::begin(&self.shared.waiting);
        let _turn = tokio::select! {
            turn = queue.signal.turn.lock() => turn,
            () = sleep_until(deadline) => return Ok(false),
            _ = shutdown.wait_for(|down| *down) => return Ok(false),
        };
        let mut first = true;
        while Instant::now() < deadline && !*shutdown.borrow() {
            self.find(&queue.name)?;
            let now = self.now();
            let wake = match self.next_visible(queue).await? {
                Some(at) if at <= now => {
                    if first {
                        sleep(YIELD).await;
                    }
                    return Ok(true);
                }
                Some(at) => deadline.min(Instant::now() + Duration::from_millis(at - now)),
                None => deadline,
            };
            first = false;
            tokio::select! {
                () = queue.signal.changed.notified() => {}
                () = sleep_until(wake) => {}
                _ = shutdown.wait_for(|down| *down) => {}
            }
        }
        Ok(false)
    }

    /// When the next message may be there to be received; `None` if the queue is empty. What is in
    /// flight keeps its group of a FIFO queue until it is too old.
    pub(crate) async fn next_visible(&self, queue: &Queue) -> Result<Option<u64>, StoreError> {
        let store = self.shared.store.queues();
        let next = store.next_visible(queue.key()).await?;
        if !queue.is_fifo || next.is_none_or(|next| next <= self.now()) {
            return Ok(next);
        }
        let retention = queue.settings.retention * 1000;
        let expires = store.oldest(queue.id).await?.map(|oldest| oldest + retention);
        Ok(next.into_iter().chain(expires).min())
    }
}

/// A receive that waits, as long as this lives: it ends when its client goes away, too.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
