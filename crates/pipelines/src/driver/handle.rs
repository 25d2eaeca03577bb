//! [`Pipelines`]: the handle on all executions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use bessemer_domain::Clock;
use bessemer_store::{ExecutionRecord, NewExecution, PipelineRecord, Store, VersionRecord};
use serde_json::Value;

use super::{backend::Backend, events, live::Live, records};
use crate::{
    definition::Definition,
    error::PipelinesError,
    execution::{Advanced, Answer, Event, Execution, Facts, Hit},
};

/// What pipelines are run with.
pub struct PipelinesOptions {
    /// Where they are kept.
    pub store: Store,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// An execution to be started.
pub struct NewRun {
    /// Of this pipeline.
    pub pipeline: PipelineRecord,
    /// Of this version.
    pub version: VersionRecord,
    /// Its definition.
    pub definition: Definition,
    /// What never changes about it.
    pub facts: Facts,
    /// Steps that may run at once.
    pub parallelism: Option<u32>,
    /// The call that starts it, as JSON; its token makes it unique.
    pub request: Value,
    /// The results that a selective execution builds on.
    pub taken: BTreeMap<String, Hit>,
}

/// All executions. Clones are of the same.
#[derive(Clone)]
pub struct Pipelines {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    backend: Mutex<Option<Arc<dyn Backend>>>,
    lives: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Live>>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn backend(&self) -> Option<Arc<dyn Backend>> {
        locked(&self.backend).clone()
    }

    pub(super) fn forget(&self, arn: &str) {
        locked(&self.lives).remove(arn);
    }

    /// The execution of that ARN, taken up from disk if it is not under way.
    pub(super) async fn live(
        &self,
        arn: &str,
    ) -> Result<Arc<tokio::sync::Mutex<Live>>, PipelinesError> {
        if let Some(live) = locked(&self.lives).get(arn) {
            return Ok(Arc::clone(live));
        }
        let missing = || PipelinesError::NoExecution(arn.to_owned());
        let pipelines = self.store.pipelines();
        let record = pipelines.execution(arn).await?.ok_or_else(missing)?;
        let pipeline = pipelines.of_execution(&record).await?.ok_or_else(missing)?;
        let version = pipelines.version(&pipeline, record.version).await?.ok_or_else(missing)?;
        let definition = Arc::new(Definition::parse(&version.definition)?);
        let execution = records::read(&self.store, &record).await?;
        let request = serde_json::from_str(&record.request).unwrap_or_default();
        let live = Live { record, request, definition, execution, is_gone: false, alarm: None };
        Ok(self.enter(arn, live))
    }

    /// Enters an execution, unless somebody else did first.
    fn enter(&self, arn: &str, live: Live) -> Arc<tokio::sync::Mutex<Live>> {
        let mut lives = locked(&self.lives);
        let entry = lives.entry(arn.to_owned());
        Arc::clone(entry.or_insert_with(|| Arc::new(tokio::sync::Mutex::new(live))))
    }
}

impl Pipelines {
    /// A handle on executions that do not run yet.
    pub fn new(options: PipelinesOptions) -> Self {
        let PipelinesOptions { store, clock } = options;
        let (backend, lives) = (Mutex::new(None), Mutex::new(HashMap::new()));
        Self { shared: Arc::new(Shared { store, clock, backend, lives }) }
    }

    /// Takes up what the last server left, and has steps run by `backend` from now on.
    pub async fn run(&self, backend: Arc<dyn Backend>) -> Result<(), PipelinesError> {
        *locked(&self.shared.backend) = Some(backend);
        for record in self.shared.store.pipelines().open_executions().await? {
            if let Err(error) = self.shared.apply(&record.arn, Event::Resumed).await {
                tracing::error!(execution = record.arn, %error, "an execution can't be taken up");
            }
        }
        Ok(())
    }

    /// Has no more steps run.
    pub fn shutdown(&self) {
        *locked(&self.shared.backend) = None;
    }

    /// Starts an execution. Returns its ARN, or that of the one that the same call has started.
    pub async fn start(&self, new: NewRun) -> Result<String, PipelinesError> {
        let shared = Arc::clone(&self.shared);
        let task = tokio::spawn(async move { start(&shared, new).await });
        task.await.unwrap_or(Err(PipelinesError::Closed))
    }

    /// An execution as it is on disk.
    pub async fn read(&self, record: &ExecutionRecord) -> Result<Execution, PipelinesError> {
        records::read(&self.shared.store, record).await
    }

    /// Asks for an execution's end.
    pub async fn stop(&self, arn: &str) -> Result<(), PipelinesError> {
        self.shared.apply(arn, Event::Stop).await
    }

    /// Has the steps run again that failed or were stopped.
    pub async fn retry(&self, arn: &str, parallelism: Option<u32>) -> Result<(), PipelinesError> {
        self.shared.apply(arn, Event::Retry { parallelism }).await
    }

    /// Has another number of steps run at once.
    pub async fn limit(&self, arn: &str, parallelism: u32) -> Result<(), PipelinesError> {
        self.shared.apply(arn, Event::Limit(parallelism)).await
    }

    /// Answers the callback of that token. Returns the ARN of its execution.
    pub async fn answer(&self, token: &str, answer: Answer) -> Result<String, PipelinesError> {
        let found = self.shared.store.pipelines().callback(token).await?;
        let (arn, step) = found.ok_or_else(|| PipelinesError::NoToken(token.to_owned()))?;
        self.shared.apply(&arn, Event::Answered { step, answer }).await?;
        Ok(arn)
    }
}

async fn start(shared: &Arc<Shared>, new: NewRun) -> Result<String, PipelinesError> {
    let now = shared.clock.now_millis();
    let token = new.request["ClientRequestToken"].as_str().unwrap_or_default().to_owned();
    let arn = new.facts.arn.clone();
    let execution = Execution::new(&new.definition, new.facts, new.parallelism, new.taken);
    let record = ExecutionRecord {
        id: 0,
        arn: arn.clone(),
        pipeline: new.pipeline.id,
        version: new.version.version,
        token,
        request: new.request.to_string(),
        status: String::new(),
        state: String::new(),
        created_at: now,
        modified_at: now,
        ended_at: None,
    };
    let definition = Arc::new(new.definition);
    let mut live =
        Live { record, request: new.request, definition, execution, is_gone: false, alarm: None };
    let first = live.execution.advance(&live.definition, Event::Resumed, now)?;
    let Advanced { next, effects } = shared.complete(&live, first, now).await?;
    (live.record.status, live.record.state) =
        (next.status.as_str().to_owned(), records::text(&next));
    live.record.ended_at = next.status.is_final().then_some(now);
    let kept = NewExecution {
        execution: live.record.clone(),
        steps: records::rows(&live, None, &next),
        events: events::of_change(&live.definition, None, &next, live.names(), now),
    };
    // Entered before it is on disk, so that nobody else takes it up from there.
    let entered = {
        live.execution = next;
        shared.enter(&arn, live)
    };
    let mut live = entered.lock().await;
    match shared.store.pipelines().start(kept).await {
        Ok((record, true)) => {
            live.record = record;
            shared.follow_up(&mut live, effects);
            Ok(arn)
        }
        Ok((known, false)) => {
            shared.forget(&arn);
            Ok(known.arn)
        }
        Err(error) => {
            shared.forget(&arn);
            Err(error.into())
        }
    }
}
