//! The loop that gives room to jobs, renews leases and sees to what is due.

use std::{future, sync::Arc};

use bessemer_domain::{JobEvent, JobId, StateName};
use bessemer_store::{Job, StoreError};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use crate::{attempt, batch, board::Entered, queue::Entry, shared::Shared};

/// Asks the dispatcher to end: attempts that run on at that instant (milliseconds since 1970) are
/// dropped. The answer comes when it has ended.
pub(crate) struct Shutdown {
    pub(crate) deadline: u64,
    pub(crate) done: oneshot::Sender<()>,
}

/// What the last server left.
pub(crate) struct Left {
    attempts: Vec<(Entry, Entered, Job)>,
}

/// Reads what waits and what the last server left.
pub(crate) async fn recover(shared: &Arc<Shared>) -> Result<Left, StoreError> {
    let leased = shared.store.jobs().leased().await?;
    let waiting = shared.store.jobs().waiting().await?;
    let mut board = shared.board();
    board.queue.pass(shared.now());
    let mut attempts = Vec::new();
    for job in leased {
        let mut entry = shared.policies.entry(&job);
        entry.need = entry.need.clamped_to(shared.machine).0;
        board.queue.occupy(&entry);
        attempts.push((entry, board.enter(job.id), job));
    }
    for job in waiting {
        if let Some(due) = job.due_at {
            board.set_alarm(due, job.id);
        }
        if job.state == StateName::Queued {
            board.queue.push(shared.policies.waiting(&job));
        }
    }
    Ok(Left { attempts })
}

/// Runs until it is asked to end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    left: Left,
    mut shutdowns: mpsc::Receiver<Shutdown>,
) {
    let mut tasks = JoinSet::new();
    let mut beside = JoinSet::new();
    beside.spawn(batch::serve(Arc::clone(&shared)));
    for (entry, entered, job) in left.attempts {
        tasks.spawn(attempt::take_over(Arc::clone(&shared), entry, entered, job));
    }
    let mut renew_at = next_renewal(&shared);
    let mut ending: Option<Shutdown> = None;
    loop {
        start_all(&shared, &mut tasks);
        let now = shared.now();
        let due = shared.board().due(now);
        for job in due {
            tasks.spawn(see_to(Arc::clone(&shared), job));
        }
        if now >= renew_at {
            if shared.board().has_live() {
                tasks.spawn(renew(Arc::clone(&shared)));
            }
            renew_at = next_renewal(&shared);
        }
        let is_over = |ending: &Shutdown| tasks.is_empty() || now >= ending.deadline;
        if let Some(ending) = ending.take_if(|ending| is_over(ending)) {
            tasks.shutdown().await;
            beside.shutdown().await;
            // Whoever asked may have gone away.
            let _ = ending.done.send(());
            return;
        }
        let wake_at = {
            let board = shared.board();
            let renewal = board.has_live().then_some(renew_at);
            let ending = ending.as_ref().map(|ending| ending.deadline);
            board.next_alarm().into_iter().chain(renewal).chain(ending).min()
        };
        let due = async {
            match wake_at {
                Some(at) => shared.timer.sleep_until(at).await,
                None => future::pending().await,
            }
        };
        tokio::select! {
            () = shared.changed.notified() => {}
            () = due => {}
            Some(_) = tasks.join_next() => {}
            Some(asked) = shutdowns.recv() => {
                shared.board().closing = true;
                ending = Some(asked);
            }
        }
    }
}

/// Starts attempts while there are jobs that find room.
fn start_all(shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
    loop {
        let next = {
            let now = shared.now();
            shared.board().next_job(now)
        };
        let Some((entry, entered)) = next else { return };
        tasks.spawn(attempt::run(Arc::clone(shared), entry, entered));
    }
}

/// Leases are renewed three times before they run out.
fn next_renewal(shared: &Shared) -> u64 {
    shared.now().saturating_add((shared.lease_millis / 3).max(1))
}

async fn renew(shared: Arc<Shared>) {
    let renewed = shared.store.jobs().renew_leases(&shared.owner, shared.lease_until()).await;
    if let Err(error) = renewed {
        tracing::warn!(%error, "leases are not renewed and will be tried again");
    }
}

/// Something may be due for `job`; if it has changed meanwhile, nothing is.
async fn see_to(shared: Arc<Shared>, job: JobId) {
    attempt::end_overdue(&shared, job).await;
    match shared.apply_surely(job, JobEvent::Due).await {
        Ok(_) | Err(StoreError::Refused(_) | StoreError::Closed) => {}
        Err(error) => tracing::error!(%job, %error, "what is due for a job can't be done"),
    }
}
