//! [`Platform`]: the managers that handlers call.

use std::sync::Arc;

use bessemer_compute::logs::LogFolder;
use bessemer_domain::Clock;
use bessemer_functions::Functions;
use bessemer_jobs::Jobs;
use bessemer_objects::storage::Storage;
use bessemer_pipelines::Pipelines;
use bessemer_queues::Queues;
use bessemer_store::Store;

use crate::key_ring::KeyRing;

/// The account that every ARN is of. There is one to a server.
pub const ACCOUNT: &str = "000000000000";

/// What the services are made of. Clones share it.
#[derive(Clone)]
pub struct Platform {
    /// Models, tags, and the jobs' documents.
    pub store: Store,
    /// Jobs, from submission to their end.
    pub jobs: Jobs,
    /// Functions, their code and their invocations.
    pub functions: Functions,
    /// Pipelines' executions.
    pub pipelines: Pipelines,
    /// What SQS holds.
    pub queues: Queues,
    /// Where objects are.
    pub storage: Storage,
    /// What jobs wrote.
    pub logs: LogFolder,
    /// Who may call.
    pub keys: Arc<KeyRing>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}
