//! The one task that writes: it gathers waiting writes into one transaction, and answers each when
//! the transaction is on disk.

use std::{
    collections::VecDeque,
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use sqlx::{Connection, SqliteConnection};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};

use crate::error::StoreError;

/// Writes that share a transaction, at most: it bounds how long the first of them waits.
const BATCH: usize = 256;
/// How long a write that nobody waits for is kept for another to share the transaction with.
const LINGER: Duration = Duration::from_millis(20);

/// Tells a caller how its write went, given how the transaction did.
type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// A write that waits for its turn.
trait Work: Send {
    /// Does it. The error, if it failed, is also in the answer.
    fn run(
        self: Box<Self>,
        conn: &mut SqliteConnection,
    ) -> BoxFuture<'_, (Option<StoreError>, Answer)>;

    /// Answers without doing it.
    fn refuse(self: Box<Self>, error: StoreError);

    /// Whether somebody waits for the answer.
    fn is_urgent(&self) -> bool;
}

struct Write<T, F> {
    work: F,
    tell: oneshot::Sender<Result<T, StoreError>>,
    answers: PhantomData<fn() -> T>,
}

impl<T, F> Work for Write<T, F>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>
        + Send
        + 'static,
{
    fn run(
        self: Box<Self>,
        conn: &mut SqliteConnection,
    ) -> BoxFuture<'_, (Option<StoreError>, Answer)> {
        Box::pin(async move {
            let result = (self.work)(conn).await;
            let failed = result.as_ref().err().cloned();
            let tell = self.tell;
            let answer: Answer = Box::new(move |committed| {
                // Whoever asked may have gone away; the write stands all the same.
                let _ = tell.send(committed.and(result));
            });
            (failed, answer)
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        let _ = self.tell.send(Err(error));
    }

    fn is_urgent(&self) -> bool {
        true
    }
}

/// A write that nobody waits for.
struct Later<F>(F);

impl<F> Work for Later<F>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>>
        + Send
        + 'static,
{
    fn run(
        self: Box<Self>,
        conn: &mut SqliteConnection,
    ) -> BoxFuture<'_, (Option<StoreError>, Answer)> {
        Box::pin(async move {
            let failed = (self.0)(conn).await.err();
            if let Some(error) = &failed {
                tracing::warn!(%error, "a write that nobody waits for is left out");
            }
            let answer: Answer = Box::new(|_| {});
            (failed, answer)
        })
    }

    fn refuse(self: Box<Self>, error: StoreError) {
        tracing::warn!(%error, "a write that nobody waits for is left out");
    }

    fn is_urgent(&self) -> bool {
        false
    }
}

/// Hands writes to the task.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Box<dyn Work>>,
    /// No write is taken any more.
    fatal: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the task. `committed` gets the number of the latest outbox event on disk.
    pub(crate) fn start(conn: SqliteConnection, committed: watch::Sender<i64>) -> Self {
        let (queue, waiting) = mpsc::channel(1024);
        let fatal = Arc::new(AtomicBool::new(false));
        tokio::spawn(serve(conn, waiting, committed, Arc::clone(&fatal)));
        Self { queue, fatal }
    }

    /// Whether writes are taken, until the next start of the server.
    pub(crate) fn is_alive(&self) -> bool {
        !self.queue.is_closed() && !self.fatal.load(Ordering::Relaxed)
    }

    /// Does `work` in a transaction, and returns when that is on disk. If `work` fails, nothing of
    /// it stays. Dropping the future does not call the write back once it is queued.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        let (tell, told) = oneshot::channel();
        let write = Box::new(Write { work, tell, answers: PhantomData });
        self.queue.send(write).await.map_err(|_| StoreError::Closed)?;
        told.await.map_err(|_| StoreError::Closed)?
    }

    /// Does `work` with the next write, or a moment later, and after all writes that were asked for
    /// before. Returns at once; whoever has to know that it is on disk asks for a [`Self::write`].
    pub(crate) async fn write_later<F>(&self, work: F) -> Result<(), StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>>
            + Send
            + 'static,
    {
        self.queue.send(Box::new(Later(work))).await.map_err(|_| StoreError::Closed)
    }
}

async fn serve(
    mut conn: SqliteConnection,
    mut waiting: mpsc::Receiver<Box<dyn Work>>,
    committed: watch::Sender<i64>,
    fatal: Arc<AtomicBool>,
) {
    while let Some(first) = waiting.recv().await {
        if fatal.load(Ordering::Relaxed) {
            first.refuse(StoreError::Fatal);
            continue;
        }
        let works = gather(first, &mut waiting).await;
        match batch(&mut conn, works, &mut waiting).await {
            Ok(latest) => {
                committed.send_if_modified(|known| std::mem::replace(known, latest) != latest);
            }
            Err(error) => {
                tracing::error!(%error, "writes to the database were rolled back");
                fatal.store(matches!(error, StoreError::Fatal), Ordering::Relaxed);
            }
        }
    }
    // The last connection to go takes the log into the database.
    if let Err(error) = conn.close().await {
        tracing::warn!(%error, "the database was not closed cleanly");
    }
}

/// `first`, and if nobody waits for it, what comes after it until somebody does.
async fn gather(
    first: Box<dyn Work>,
    waiting: &mut mpsc::Receiver<Box<dyn Work>>,
) -> VecDeque<Box<dyn Work>> {
    let until = Instant::now() + LINGER;
    let mut is_urgent = first.is_urgent();
    let mut works = VecDeque::from([first]);
    while !is_urgent && works.len() < BATCH {
        let Ok(Some(next)) = timeout_at(until, waiting.recv()).await else { break };
        is_urgent = next.is_urgent();
        works.push_back(next);
    }
    works
}

/// One transaction: `works` and what else waits. Returns the number of the latest outbox event.
async fn batch(
    conn: &mut SqliteConnection,
    mut works: VecDeque<Box<dyn Work>>,
    waiting: &mut mpsc::Receiver<Box<dyn Work>>,
) -> Result<i64, StoreError> {
    if let Err(error) = execute(conn, "BEGIN IMMEDIATE").await {
        for work in works {
            work.refuse(error.clone());
        }
        while let Ok(other) = waiting.try_recv() {
            other.refuse(error.clone());
        }
        return Err(error);
    }
    let mut answers = Vec::new();
    let done = fill(conn, &mut works, waiting, &mut answers).await;
    let committed = match done {
        Ok(latest) => execute(conn, "COMMIT").await.map(|()| latest),
        Err(error) => Err(error),
    };
    if committed.is_err() {
        // SQLite may have rolled it back already; then this fails, and says nothing.
        let _ = execute(conn, "ROLLBACK").await;
    }
    if let Err(error) = &committed {
        for work in works {
            work.refuse(error.clone());
        }
    }
    for answer in answers {
        answer(committed.as_ref().map(|_| ()).map_err(Clone::clone));
    }
    committed
}

/// Does writes, each in a savepoint of its own, until none waits.
async fn fill(
    conn: &mut SqliteConnection,
    works: &mut VecDeque<Box<dyn Work>>,
    waiting: &mut mpsc::Receiver<Box<dyn Work>>,
    answers: &mut Vec<Answer>,
) -> Result<i64, StoreError> {
    while let Some(work) = works.pop_front() {
        if let Err(error) = execute(conn, "SAVEPOINT one").await {
            work.refuse(error.clone());
            return Err(error);
        }
        let (failed, answer) = work.run(conn).await;
        answers.push(answer);
        if let Some(error) = failed {
            // A full disk ends the whole transaction; the savepoint is gone then.
            execute(conn, "ROLLBACK TO one").await.map_err(|_| error)?;
        }
        execute(conn, "RELEASE one").await?;
        if works.is_empty() && answers.len() < BATCH {
            works.extend(waiting.try_recv().ok());
        }
    }
    let latest = "SELECT coalesce(max(seq), 0) FROM outbox";
    Ok(sqlx::query_scalar(latest).fetch_one(conn).await?)
}

async fn execute(conn: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    sqlx::query(sql).execute(conn).await?;
    Ok(())
}
