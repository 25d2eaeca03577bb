//! What an execution would do.

use std::collections::BTreeMap;

use super::handle::Pipelines;
use crate::{
    definition::Definition,
    error::PipelinesError,
    execution::{Effect, Execution, Facts, Planned, Planner},
};

impl Pipelines {
    /// What would become of each step of an execution with these facts, in an order in which they can
    /// be run. Earlier results are those of pipeline number `pipeline`.
    pub async fn plan(
        &self,
        definition: &Definition,
        facts: Facts,
        pipeline: Option<i64>,
    ) -> Result<Vec<Planned>, PipelinesError> {
        let execution = Execution::new(definition, facts, None, BTreeMap::new());
        let now = execution.facts.started_at;
        let mut planner = Planner::new(definition, execution, now);
        while let Some(effect) = planner.advance() {
            match effect {
                Effect::LookUp { step, key, since } => {
                    let hit = match pipeline {
                        Some(pipeline) => self.shared.look_up(pipeline, &step, &key, since).await?,
                        None => None,
                    };
                    planner.looked_up(&step, hit);
                }
                Effect::Read { uri } => {
                    let backend = self.shared.backend().ok_or(PipelinesError::Closed)?;
                    let content = backend.read(uri.clone()).await;
                    planner.read(uri, content);
                }
                Effect::Start { .. } | Effect::Watch { .. } | Effect::Stop { .. } => {}
            }
        }
        Ok(planner.done())
    }
}
