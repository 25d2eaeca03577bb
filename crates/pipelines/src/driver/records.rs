//! Executions as the database has them.

use std::collections::BTreeMap;

use bessemer_store::{ExecutionChange, ExecutionRecord, ResultRow, StepRow, Store};

use super::{events, live::Live};
use crate::{
    definition::StepKind,
    error::PipelinesError,
    execution::{Execution, StepRun, StepState},
};

/// An execution as it is on disk.
pub(super) async fn read(
    store: &Store,
    record: &ExecutionRecord,
) -> Result<Execution, PipelinesError> {
    let damaged = |_| PipelinesError::Damaged(record.arn.clone());
    let mut execution: Execution = serde_json::from_str(&record.state).map_err(damaged)?;
    let mut steps = BTreeMap::new();
    for row in store.pipelines().steps(record).await? {
        let run: StepRun = serde_json::from_str(&row.state).map_err(damaged)?;
        steps.insert(row.name, run);
    }
    execution.steps = steps;
    Ok(execution)
}

pub(super) fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("states are JSON")
}

/// The rows of the steps that are not as they were.
pub(super) fn rows(live: &Live, before: Option<&Execution>, next: &Execution) -> Vec<StepRow> {
    let changed = next.steps.iter().filter(|(name, run)| {
        before.and_then(|execution| execution.steps.get(*name)) != Some(*run)
    });
    let row = |(name, run): (&String, &StepRun)| {
        let step = live.definition.step(name);
        let is_callback = step.is_some_and(|step| matches!(step.kind, StepKind::Callback(_)));
        let order = run.state.order().filter(|_| is_callback);
        StepRow {
            name: name.clone(),
            state: text(run),
            callback: order.and_then(|order| order.token.clone()),
        }
    };
    changed.map(row).collect()
}

/// What has to be kept of the change from `live` to `next`.
pub(super) fn change(live: &Live, next: &Execution, now: u64) -> ExecutionChange {
    let before = Some(&live.execution);
    ExecutionChange {
        id: live.record.id,
        pipeline: live.record.pipeline,
        status: next.status.as_str().to_owned(),
        is_final: next.status.is_final(),
        state: text(next),
        steps: rows(live, before, next),
        results: results(live, next, now),
        events: events::of_change(&live.definition, before, next, live.names(), now),
        at: now,
    }
}

/// The results that later executions may use again.
fn results(live: &Live, next: &Execution, now: u64) -> Vec<ResultRow> {
    let mut results = Vec::new();
    for (name, run) in &next.steps {
        let was = live.execution.steps.get(name).map(|run| &run.state);
        let (Some(key), StepState::Succeeded { properties, source: None }) =
            (&run.cache_key, &run.state)
        else {
            continue;
        };
        if !matches!(was, Some(StepState::Succeeded { .. })) {
            results.push(ResultRow {
                step: name.clone(),
                hash: key.clone(),
                execution: next.facts.arn.clone(),
                properties: properties.to_string(),
                metadata: run.metadata.to_string(),
                ended_at: now,
            });
        }
    }
    results
}
