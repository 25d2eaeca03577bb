//! Opening the database, and the connections to it.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};
use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::sync::watch;

use crate::{
    batch::BatchTable,
    error::StoreError,
    functions::{FunctionTable, InvocationTable},
    jobs::JobTable,
    migrations,
    models::ModelTable,
    outbox::Outbox,
    packages::PackageTable,
    pipelines::PipelineTable,
    queues::QueueTable,
    reserve::Reserve,
    settings::Settings,
    tags::Tags,
    tuning::TuningTable,
    writer::Writer,
};

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The data directory; made if it is missing. The database is `bessemer.db` in it.
    pub directory: PathBuf,
    /// Connections that read, at most.
    pub readers: u32,
    /// How long to wait for a lock that another process holds before [`StoreError::Busy`].
    pub busy_timeout: Duration,
}

impl StoreOptions {
    /// The usual options for a data directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), readers: 4, busy_timeout: Duration::from_secs(5) }
    }
}

/// The open database. Clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    writer: Writer,
    readers: SqlitePool,
    committed: watch::Receiver<i64>,
    reserve: Reserve,
    /// Held as long as the store is open: one server a data directory.
    _lock: File,
}

impl Store {
    /// Opens the data directory's database: takes the directory's lock, makes the database or
    /// brings it to this release's form, and checks the settings that durability rests on. Has to
    /// be called in a tokio runtime, which the store's tasks then live in.
    pub async fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let directory = &options.directory;
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|source| StoreError::open(directory, source))?;
        let lock = lock(directory)?;
        let reserve = Reserve::open(directory);
        let reserve = reserve.map_err(|source| StoreError::open(directory, source))?;
        let path = directory.join("bessemer.db");
        // SQLite gives the log beside the database the same rights.
        let touched = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
        touched.map_err(|source| StoreError::open(&path, source))?;
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(options.busy_timeout);
        let mut conn = connect.connect().await?;
        migrations::migrate(&mut conn, &path).await?;
        check_durability(&mut conn).await?;
        let latest = "SELECT coalesce(max(seq), 0) FROM outbox";
        let latest: i64 = sqlx::query_scalar(latest).fetch_one(&mut conn).await?;
        let (committed, seen) = watch::channel(latest);
        let readers = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .test_before_acquire(false)
            .connect_lazy_with(
                SqliteConnectOptions::new()
                    .filename(&path)
                    .read_only(true)
                    .busy_timeout(options.busy_timeout),
            );
        let writer = Writer::start(conn, committed);
        let shared = Shared { writer, readers, committed: seen, reserve, _lock: lock };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Jobs, their attempts and history.
    pub fn jobs(&self) -> JobTable<'_> {
        JobTable(self)
    }

    /// What Batch keeps: environments, queues, policies, definitions, and its jobs.
    pub fn batch(&self) -> BatchTable<'_> {
        BatchTable(self)
    }

    /// SageMaker models.
    pub fn models(&self) -> ModelTable<'_> {
        ModelTable(self)
    }

    /// Functions, layers and event source mappings.
    pub fn functions(&self) -> FunctionTable<'_> {
        FunctionTable(self)
    }

    /// Asynchronous invocations of functions.
    pub fn invocations(&self) -> InvocationTable<'_> {
        InvocationTable(self)
    }

    /// Events for whoever reacts to them.
    pub fn outbox(&self) -> Outbox<'_> {
        Outbox(self)
    }

    /// Pipelines, their versions and executions.
    pub fn pipelines(&self) -> PipelineTable<'_> {
        PipelineTable(self)
    }

    /// Tuning jobs.
    pub fn tuning(&self) -> TuningTable<'_> {
        TuningTable(self)
    }

    /// The model registry.
    pub fn packages(&self) -> PackageTable<'_> {
        PackageTable(self)
    }

    /// Queues and their messages.
    pub fn queues(&self) -> QueueTable<'_> {
        QueueTable(self)
    }

    /// The server's own settings.
    pub fn settings(&self) -> Settings<'_> {
        Settings(self)
    }

    /// Tags of everything that has an ARN.
    pub fn tags(&self) -> Tags<'_> {
        Tags(self)
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.shared.readers
    }

    /// The number of the latest outbox event on disk, whenever it changes.
    pub(crate) fn committed(&self) -> watch::Receiver<i64> {
        self.shared.committed.clone()
    }

    /// Whether it takes writes; if not, it has to be opened anew.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.shared.writer.is_alive()
    }

    /// See [`Writer::write`]. On a full disk, room is kept for [`Self::write_surely`].
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Send
            + 'static,
    {
        if self.shared.reserve.is_held() {
            self.shared.writer.write(work).await
        } else {
            Err(StoreError::DiskFull)
        }
    }

    /// The same for what makes room in the end, such as how jobs come to theirs: on a full disk, the
    /// reserve is given up for it.
    pub(crate) async fn write_surely<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, StoreError>>
            + Clone
            + Send
            + 'static,
    {
        let written = self.shared.writer.write(work.clone()).await;
        if !matches!(written, Err(StoreError::DiskFull)) {
            self.shared.reserve.is_held(); // what was written may have made room
            return written;
        }
        tracing::warn!("the disk is full; only how jobs end is written until there is room");
        self.shared.reserve.give_up();
        self.shared.writer.write(work).await
    }

    /// See [`Writer::write_later`].
    pub(crate) async fn write_later<F>(&self, work: F) -> Result<(), StoreError>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<(), StoreError>>
            + Send
            + 'static,
    {
        self.shared.writer.write_later(work).await
    }
}

/// A record lock, which ends with the process that took it: one of `flock` would live on in a child
/// that a killed server had just forked.
fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("bessemer.lock");
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let file = opened.map_err(|source| StoreError::open(&path, source))?;
    match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(Errno::AGAIN | Errno::ACCESS) => Err(StoreError::InUse(directory.to_owned())),
        Err(error) => Err(StoreError::open(path, error.into())),
    }
}

/// NORMAL could lose the last commits at a power cut.
async fn check_durability(conn: &mut SqliteConnection) -> Result<(), StoreError> {
    let journal: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *conn).await?;
    if journal != "wal" {
        let (setting, wanted) = ("journal_mode", "wal");
        return Err(StoreError::Setting { setting, found: journal, wanted });
    }
    let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *conn).await?;
    if synchronous != 2 {
        let (setting, wanted) = ("synchronous", "2 (FULL)");
        return Err(StoreError::Setting { setting, found: synchronous.to_string(), wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    async fn set_and_pad(store: &Store, name: &str, bytes: usize) -> Result<(), StoreError> {
        store.settings().set(name, &"x".repeat(bytes)).await
    }

    #[tokio::test]
    async fn a_full_disk_refuses_writes_and_recovers_alone() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
        let limit = |sql: &'static str| {
            store.write(move |conn| {
                Box::pin(async move {
                    sqlx::raw_sql(sql).execute(conn).await?;
                    Ok(())
                })
            })
        };
        limit("PRAGMA max_page_count = 60").await.expect("it is limited");
        set_and_pad(&store, "small", 10).await.expect("there is room");
        let names: Vec<String> = (0..8).map(|index| format!("large-{index}")).collect();
        let writes = names.iter().map(|name| set_and_pad(&store, name, 100_000));
        let results = join_all(writes).await;
        let full = results.iter().filter_map(|result| result.as_ref().err());
        let full: Vec<&StoreError> = full.collect();
        assert!(!full.is_empty());
        assert!(full.iter().all(|error| matches!(error, StoreError::DiskFull)), "{full:?}");
        for (name, result) in names.iter().zip(&results) {
            let kept = store.settings().get(name).await.expect("it can be read").is_some();
            assert_eq!(kept, result.is_ok(), "{name} was answered wrongly");
        }
        limit("PRAGMA max_page_count = 1000000").await.expect("there is room again");
        set_and_pad(&store, "large-0", 100_000).await.expect("there is room again");
    }
}
