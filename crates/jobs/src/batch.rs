//! Jobs of Batch: many put in place at once, held while they depend on others, and ended on request.
//! What is to be done about them stands in the database with the change that it follows from; here it
//! is done, until nothing is left.

use std::sync::Arc;

use bessemer_domain::{Asked, BatchToDo, JobId};
use bessemer_store::{NewBatchBody, NewBatchJob, StoreError};
use futures::{StreamExt, stream};

use crate::{error::JobsError, handle::Jobs, shared::Shared};

/// Jobs that are seen to at once: as many as share a commit.
const AT_ONCE: u32 = 256;

impl Jobs {
    /// Puts jobs of Batch in place, all or none; when this returns, they are on disk. Each gets what
    /// the operator has set for it, as in [`Jobs::submit`]. All that run are alike but for their names.
    pub async fn submit_batch(&self, mut jobs: Vec<NewBatchJob>) -> Result<(), JobsError> {
        let mut within = Vec::new();
        for (index, job) in jobs.iter_mut().enumerate() {
            let NewBatchBody::Job(job, _) = &mut job.body else { continue };
            self.prepare(job)?;
            if index == 0 {
                within = self.shared.policies.checks(job)?;
            }
        }
        Ok(self.shared.submit_batch(jobs, within).await?)
    }

    /// Has job `id` of Batch, and its children, end: [`Asked::Cancel`] those that have not begun,
    /// [`Asked::Terminate`] all. Returns when those that wait have ended and the others were told;
    /// nothing is done about those that have ended.
    pub async fn end_batch(&self, id: &str, asked: Asked, reason: &str) -> Result<bool, JobsError> {
        if self.shared.store.batch().ask(id, asked, reason).await?.is_none() {
            return Ok(false);
        }
        see_to_all(&self.shared).await?;
        Ok(true)
    }

    /// Gives a share of the machine its weight, from now on.
    pub fn set_share_weight(&self, share: &str, weight: f64) {
        self.shared.board().queue.set_weight(share, weight);
    }
}

/// Sees to jobs of Batch for as long as the server runs, whenever one changes.
pub(crate) async fn serve(shared: Arc<Shared>) {
    loop {
        // Listened for first and looked at then, so that no change is missed.
        let changed = shared.batch_changed.notified();
        match see_to_all(&shared).await {
            Ok(()) => changed.await,
            Err(StoreError::Closed) => return,
            Err(error) => shared.pause(&error).await,
        }
    }
}

/// Does what is to be done, and what follows from that.
async fn see_to_all(shared: &Arc<Shared>) -> Result<(), StoreError> {
    loop {
        let to_do = shared.store.batch().to_do(AT_ONCE).await?;
        if to_do.is_empty() {
            return Ok(());
        }
        let each = stream::iter(to_do).map(|(job, to_do)| see_to(shared, job, to_do));
        let mut done = each.buffer_unordered(AT_ONCE as usize);
        while let Some(done) = done.next().await {
            done?;
        }
    }
}

async fn see_to(shared: &Arc<Shared>, job: JobId, to_do: BatchToDo) -> Result<(), StoreError> {
    match shared.apply(job, to_do.event()).await {
        // It has changed meanwhile, and so has what is to be done about it.
        Ok(_) | Err(StoreError::Refused(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
