//! Changing executions by events, and doing what follows.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use serde_json::Value;

use super::{
    backend::{StepStart, Task},
    handle::Shared,
    live::Live,
    records,
};
use crate::{
    definition::StepKind,
    error::PipelinesError,
    execution::{Advanced, Effect, Event, Hit, Outcome},
};

/// How long to wait before a write that the database refused for now is tried again.
const PAUSE: Duration = Duration::from_secs(1);

impl Shared {
    /// Changes an execution by `event`, even if the caller goes away meanwhile.
    pub(super) async fn apply(
        self: &Arc<Self>,
        arn: &str,
        event: Event,
    ) -> Result<(), PipelinesError> {
        let (shared, arn) = (Arc::clone(self), arn.to_owned());
        let task = tokio::spawn(async move { shared.change(&arn, event).await });
        task.await.unwrap_or(Err(PipelinesError::Closed))
    }

    /// The same, again and again while the database can't take it.
    async fn apply_surely(self: &Arc<Self>, arn: &str, event: Event) {
        loop {
            match self.apply(arn, event.clone()).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(execution = arn, %error, "a pipeline's change is tried again");
                    tokio::time::sleep(PAUSE).await;
                }
                // It may have gone on since, or be deleted.
                Err(
                    PipelinesError::Closed
                    | PipelinesError::Refused(_)
                    | PipelinesError::NoExecution(_),
                )
                | Ok(()) => return,
                Err(error) => {
                    tracing::error!(execution = arn, %error, "a pipeline's execution can't go on");
                    return;
                }
            }
        }
    }

    async fn change(self: &Arc<Self>, arn: &str, event: Event) -> Result<(), PipelinesError> {
        let mut live = loop {
            let live = self.live(arn).await?.lock_owned().await;
            if !live.is_gone {
                break live;
            }
        };
        let now = self.clock.now_millis();
        let first = match live.execution.advance(&live.definition, event, now) {
            Ok(first) => first,
            Err(refused) => {
                self.let_go(&mut live);
                return Err(refused.into());
            }
        };
        let Advanced { next, effects } = self.complete(&live, first, now).await?;
        if next != live.execution {
            let change = records::change(&live, &next, now);
            self.store.pipelines().change(change).await?;
        }
        live.execution = next;
        self.follow_up(&mut live, effects);
        Ok(())
    }

    /// Looks up and reads what an execution needs to go on, before its state is kept.
    pub(super) async fn complete(
        self: &Arc<Self>,
        live: &Live,
        first: Advanced,
        now: u64,
    ) -> Result<Advanced, PipelinesError> {
        let Advanced { mut next, effects } = first;
        let mut left = VecDeque::from(effects);
        let mut later = Vec::new();
        while let Some(effect) = left.pop_front() {
            let event = match effect {
                Effect::LookUp { step, key, since } => {
                    let hit = self.look_up(live.record.pipeline, &step, &key, since).await?;
                    Event::LookedUp { step, hit }
                }
                Effect::Read { uri } => {
                    let backend = self.backend().ok_or(PipelinesError::Closed)?;
                    let content = backend.read(uri.clone()).await;
                    Event::Read { uri, content }
                }
                other => {
                    later.push(other);
                    continue;
                }
            };
            let advanced = next.advance(&live.definition, event, now)?;
            next = advanced.next;
            left.extend(advanced.effects);
        }
        Ok(Advanced { next, effects: later })
    }

    /// The latest result of a step that was made from the same, at `since` or later.
    pub(super) async fn look_up(
        &self,
        pipeline: i64,
        step: &str,
        key: &str,
        since: u64,
    ) -> Result<Option<Hit>, PipelinesError> {
        let found = self.store.pipelines().result(pipeline, step, key, since).await?;
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
        Ok(found.map(|result| Hit {
            properties: json(&result.properties),
            metadata: json(&result.metadata),
            execution: result.execution,
        }))
    }

    /// Does what follows from a state that is kept.
    pub(super) fn follow_up(self: &Arc<Self>, live: &mut Live, effects: Vec<Effect>) {
        for effect in effects {
            let task = match &effect {
                Effect::Start { step } | Effect::Watch { step } => live.task(step),
                Effect::Stop { step, order } => live.task_of(step, order),
                Effect::LookUp { .. } | Effect::Read { .. } => None,
            };
            if let Some(task) = task {
                tokio::spawn(Arc::clone(self).perform(effect, task));
            }
        }
        self.set_alarm(live);
        self.let_go(live);
    }

    /// Keeps an execution that has ended no longer in memory.
    fn let_go(&self, live: &mut Live) {
        if live.execution.status.is_final() {
            live.is_gone = true;
            self.forget(&live.record.arn);
        }
    }

    fn set_alarm(self: &Arc<Self>, live: &mut Live) {
        let due = live.execution.due_at();
        if live.alarm.as_ref().map(|(at, _)| *at) == due {
            return;
        }
        if let Some((_, old)) = live.alarm.take() {
            old.abort();
        }
        let Some(due) = due else { return };
        let (shared, arn) = (Arc::clone(self), live.record.arn.clone());
        let wait = Duration::from_millis(due.saturating_sub(self.clock.now_millis()));
        let alarm: BoxFuture<'static, ()> = Box::pin(async move {
            tokio::time::sleep(wait).await;
            // Of its own, since the next alarm ends this one.
            tokio::spawn(async move { shared.apply_surely(&arn, Event::Tick).await });
        });
        live.alarm = Some((due, tokio::spawn(alarm).abort_handle()));
    }

    /// Has a step run, waited for or stopped. Boxed, since it leads back to itself.
    fn perform(self: Arc<Self>, effect: Effect, task: Task) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let Some(backend) = self.backend() else { return };
            let arn = task.facts.arn.clone();
            let (step, attempt) = (task.step.name.clone(), task.order.attempt);
            let ended = |outcome| Event::Ended { step: step.clone(), attempt, outcome };
            match effect {
                Effect::Stop { .. } => backend.stop(task).await,
                Effect::Start { .. } => match backend.start(task.clone()).await {
                    Ok(StepStart::Started(metadata)) => {
                        let event = Event::Started { step: step.clone(), attempt, metadata };
                        self.apply_surely(&arn, event).await;
                        self.watch(task).await;
                    }
                    Ok(StepStart::Ended(outcome)) => self.apply_surely(&arn, ended(outcome)).await,
                    Err(failure) => {
                        self.apply_surely(&arn, ended(Outcome::Failed(failure))).await;
                    }
                },
                Effect::Watch { .. } => self.watch(task).await,
                Effect::LookUp { .. } | Effect::Read { .. } => {}
            }
        })
    }

    async fn watch(self: &Arc<Self>, task: Task) {
        let Some(backend) = self.backend() else { return };
        if matches!(task.step.kind, StepKind::Callback(_)) {
            return;
        }
        let (arn, step) = (task.facts.arn.clone(), task.step.name.clone());
        let attempt = task.order.attempt;
        let outcome = backend.wait(task).await;
        self.apply_surely(&arn, Event::Ended { step, attempt, outcome }).await;
    }
}
