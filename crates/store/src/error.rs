//! What can go wrong with the database, as far as callers can do something about it.

use std::{io, path::PathBuf, sync::Arc};

use bessemer_domain::{JobId, Refused};

/// Why the database did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is something of that name already.
    #[error("{what} `{name}` exists already")]
    AlreadyExists {
        /// What it is, such as `transform job`.
        what: String,
        /// Its name.
        name: String,
    },
    /// It is in use.
    #[error("{what} `{name}` is in use")]
    InProgress {
        /// What it is, such as `pipeline`.
        what: String,
        /// Its name.
        name: String,
    },
    /// A quota has no room for a job.
    #[error(
        "`{label}` is limited to {limit} instances; there are {current}, and {delta} are asked for"
    )]
    LimitExceeded {
        /// What the quota is called.
        label: String,
        /// How many instances it allows.
        limit: u32,
        /// How many there are.
        current: u32,
        /// How many more the job asks for.
        delta: u32,
    },
    /// There is no job of that number.
    #[error("job number `{0}` does not exist")]
    NoJob(JobId),
    /// The job can't do that now.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A text is not the token of a next page of this list.
    #[error(
        "`{0}` is not a page token of this list; pass on the one of the last answer, with the same sort order"
    )]
    BadPageToken(String),
    /// Others kept the database locked for too long.
    #[error("failed to write to the database: it is locked by another process")]
    Busy,
    /// There is no room left on the disk.
    #[error("failed to write to the database: the disk is full")]
    DiskFull,
    /// The database or its file system can't be written to.
    #[error("failed to write to the database: it is read-only")]
    ReadOnly,
    /// The disk refused a write or a read.
    #[error("failed to access the database: the disk reports an error")]
    Disk(#[source] Arc<sqlx::Error>),
    /// What was written can't be put on disk for sure. Nothing more is written by this process.
    #[error("failed to put the database on disk; restart once the disk is in order")]
    Fatal,
    /// The store is shut down.
    #[error("failed to write to the database: the store is shut down")]
    Closed,
    /// Another process uses the data directory.
    #[error("the data directory `{}` is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The database was written by a later release.
    #[error(
        "the database `{}` is of version {found}, and this release knows versions up to {known}; \
         use the release that wrote it, or a later one", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The latest version that this release knows.
        known: i64,
    },
    /// A setting that durability rests on did not take.
    #[error("the database's `{setting}` is `{found}` and must be `{wanted}`")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A row holds what no release writes.
    #[error("row `{id}` of table `{table}` is damaged in column `{column}`")]
    BadRow {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
    },
    /// The data directory can't be used.
    #[error("failed to open `{}`", path.display())]
    Open {
        /// What can't be opened.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// Anything else that SQLite reports.
    #[error("the database failed")]
    Sqlite(#[source] Arc<sqlx::Error>),
}

impl StoreError {
    /// Whether the same call may succeed later, with nothing changed by the caller: the answer is
    /// the protocol's throttling or 503 error.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy | Self::DiskFull | Self::ReadOnly | Self::Disk(_) | Self::Closed)
    }

    pub(crate) fn open(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Open { path: path.into(), source: Arc::new(source) }
    }
}

impl From<sqlx::Error> for StoreError {
    /// By SQLite's result codes (<https://www.sqlite.org/rescode.html>).
    fn from(error: sqlx::Error) -> Self {
        const FSYNC: u32 = 0x40a;
        const DIR_FSYNC: u32 = 0x50a;
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        match code {
            Some(FSYNC | DIR_FSYNC) => Self::Fatal,
            Some(code) => match code & 0xff {
                5 | 6 => Self::Busy,
                8 => Self::ReadOnly,
                10 => Self::Disk(Arc::new(error)),
                13 => Self::DiskFull,
                _ => Self::Sqlite(Arc::new(error)),
            },
            None => match error {
                sqlx::Error::PoolTimedOut => Self::Busy,
                sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Self::Closed,
                error => Self::Sqlite(Arc::new(error)),
            },
        }
    }
}
