//! What the server remembers, in one SQLite database: jobs with their attempts and history, the
//! outbox of events, models, pipelines, model packages, tags, settings. One file an aggregate.
//!
//! Writes go through one task that gathers what is waiting into one transaction, so that a thousand
//! callers share an fsync; each is answered when its write is on disk. Reads run beside it on
//! connections of their own, and see what has been committed.

mod batch;
mod error;
mod functions;
mod history;
mod jobs;
mod migrations;
mod models;
mod outbox;
mod packages;
mod pipelines;
mod queues;
mod reserve;
mod row;
mod settings;
mod store;
mod tags;
mod tuning;
mod writer;

pub use batch::{
    BatchArray, BatchDefinition, BatchDefinitionQuery, BatchJob, BatchJobPage, BatchJobQuery,
    BatchResource, BatchResourceKind, BatchServiceJob, BatchTable, NewBatchBody, NewBatchJob,
};
pub use error::StoreError;
pub use functions::{FunctionDocument, FunctionTable, Invocation, InvocationTable, NewInvocation};
pub use history::HistoryEntry;
pub use jobs::{
    Advanced, AttemptRecord, Documents, EndedJob, Job, JobPage, JobQuery, JobSort, JobTable,
    NewJob, QuotaCheck, WaitingJob,
};
pub use models::{Model, ModelPage, ModelQuery, ModelTable};
pub use outbox::{Outbox, OutboxEvent};
pub use packages::{Package, PackageGroup, PackageQuery, PackageTable};
pub use pipelines::{
    ExecutionChange, ExecutionQuery, ExecutionRecord, NewEvent, NewExecution, NewPipeline, Page,
    PipelineChange, PipelineQuery, PipelineRecord, PipelineTable, ResultRow, StepRow,
    VersionChange, VersionRecord,
};
pub use queues::{
    Deduplication, MessageCounts, MoveRecord, MoveStep, NewMessage, NewMove, NewQueue, QueueKey,
    QueueRecord, QueueTable, Receipt, ReceivedMessage, Reception, Redrive, SentMessage, Settled,
    Take,
};
pub use settings::Settings;
pub use store::{Store, StoreOptions};
pub use tags::{Tag, Tags};
pub use tuning::{TuningQuery, TuningRecord, TuningSort, TuningTable};
