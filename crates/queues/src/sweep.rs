//! What goes on beside calls: messages past their retention, messages of deleted queues, and what
//! FIFO queues need to remember no longer are deleted, a little at a time.

use std::time::Duration;

use bessemer_store::StoreError;

use crate::queues::Queues;

/// How often to look.
const PERIOD: Duration = Duration::from_secs(30);

impl Queues {
    /// Sweeps now and then until the server ends.
    pub(crate) fn sweep_on(&self) {
        let queues = self.clone();
        let mut shutdown = self.shared.shutdown.clone();
        tokio::spawn(async move {
            loop {
                if let Err(error) = queues.sweep().await {
                    tracing::warn!(%error, "queues can't be swept now");
                }
                tokio::select! {
                    () = tokio::time::sleep(PERIOD) => {}
                    _ = shutdown.wait_for(|down| *down) => break,
                }
            }
        });
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let store = self.shared.store.queues();
        for queue in self.all() {
            let expired = self.now().saturating_sub(queue.settings.retention * 1000);
            while store.oldest(queue.id).await?.is_some_and(|oldest| oldest <= expired) {
                store.expire(queue.id, expired).await?;
            }
        }
        for orphan in store.orphaned().await? {
            self.clear(orphan).await?;
        }
        while store.has_forgettable(self.now()).await? {
            store.forget(self.now()).await?;
        }
        Ok(())
    }

    /// Deletes all messages that a queue holds now.
    pub(crate) async fn clear(&self, queue: i64) -> Result<(), StoreError> {
        let store = self.shared.store.queues();
        let last = store.latest().await?;
        while store.purge(queue, last).await? {}
        Ok(())
    }

    /// Deletes the messages of a queue that is deleted.
    pub(crate) async fn clear_orphan(&self, queue: i64) {
        if let Err(error) = self.clear(queue).await {
            tracing::warn!(%error, "a deleted queue's messages stay for now");
        }
    }
}
