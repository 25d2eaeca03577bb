//! [`Planner`]: what an execution would do, as far as it can be known before it begins.

use serde_json::json;

use super::{
    event::{Effect, Hit},
    resolve::Missing,
    settle::Settling,
    state::{Execution, Source, StepState},
};
use crate::definition::{Definition, Expression, Step, StepKind};

/// A step in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub step: String,
    /// What would become of it.
    pub prospect: Prospect,
}

/// What would become of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    /// It is run.
    Runs,
    /// It has the result of the execution of this ARN.
    Cached(String),
    /// It is run, unless an earlier result turns out to be as good when this step has ended.
    RunsUnlessCached(String),
    /// The condition holds, or not.
    Decides(bool),
    /// The condition can be judged when this step has ended.
    DecidesAfter(String),
    /// It fails for this reason.
    Fails(String),
    /// It does not belong to the execution: because of this condition, or like this step.
    Skipped(String),
    /// It belongs to the execution or not: this condition, or step, will show.
    Perhaps(String),
    /// It waits for this step, which fails or never begins.
    Never(String),
}

/// Judges one step after another, each after those that it waits for.
pub(crate) struct Planner<'d> {
    settling: Settling<'d>,
    planned: Vec<Planned>,
}

enum Judgement {
    Known(Prospect),
    Needs(Effect),
}

impl<'d> Planner<'d> {
    /// A plan of `execution`, were it begun now.
    pub(crate) fn new(definition: &'d Definition, execution: Execution, now: u64) -> Self {
        let settling = Settling { definition, next: execution, effects: Vec::new(), now };
        Self { settling, planned: Vec::new() }
    }

    /// Goes on until all is judged, or something has to be looked up or read first.
    pub(crate) fn advance(&mut self) -> Option<Effect> {
        loop {
            let step = self.next_step()?;
            match self.judge(step) {
                Judgement::Known(prospect) => self.note(&step.name, prospect),
                Judgement::Needs(effect) => return Some(effect),
            }
        }
    }

    /// An earlier result was looked for.
    pub(crate) fn looked_up(&mut self, step: &str, hit: Option<Hit>) {
        let Some(Hit { execution, properties, .. }) = hit else {
            return self.note(step, Prospect::Runs);
        };
        let source = Some(Source::Cache(execution.clone()));
        self.set(step, StepState::Succeeded { properties, source });
        self.note(step, Prospect::Cached(execution));
    }

    /// A property file was read, or could not be.
    pub(crate) fn read(&mut self, uri: String, content: Result<serde_json::Value, String>) {
        self.settling.next.documents.insert(uri, content);
    }

    /// The steps in an order in which they can be run.
    pub(crate) fn done(self) -> Vec<Planned> {
        self.planned
    }

    fn note(&mut self, step: &str, prospect: Prospect) {
        self.planned.push(Planned { step: step.to_owned(), prospect });
    }

    fn set(&mut self, step: &str, state: StepState) {
        if let Some(run) = self.settling.next.steps.get_mut(step) {
            run.state = state;
        }
    }

    fn prospect(&self, step: &str) -> Option<&Prospect> {
        self.planned.iter().find(|planned| planned.step == step).map(|planned| &planned.prospect)
    }

    fn next_step(&self) -> Option<&'d Step> {
        let is_judged = |name: &String| self.prospect(name).is_some();
        let mut left = self.settling.definition.steps.iter().filter(|step| !is_judged(&step.name));
        left.find(|step| step.waits_for.iter().all(is_judged))
    }

    fn judge(&mut self, step: &Step) -> Judgement {
        if let Some(prospect) = self.inherited(step) {
            return Judgement::Known(prospect);
        }
        let missing = match &step.kind {
            StepKind::Condition(_) => match self.settling.decide(step) {
                Ok(holds) => {
                    let outcome = if holds { "True" } else { "False" };
                    let properties = json!({ "Outcome": outcome });
                    self.set(&step.name, StepState::Succeeded { properties, source: None });
                    return Judgement::Known(Prospect::Decides(holds));
                }
                Err(missing) => missing,
            },
            kind => match self.settling.order_of(step, 1) {
                Ok(order) if *kind == StepKind::Fail => {
                    let message = crate::definition::text_of(&order.arguments["ErrorMessage"]);
                    return Judgement::Known(Prospect::Fails(message));
                }
                Ok(order) => {
                    let Some((key, valid)) = self.settling.cache_key(step, &order).zip(step.cache)
                    else {
                        return Judgement::Known(Prospect::Runs);
                    };
                    let since = self.settling.now.saturating_sub(valid);
                    let step = step.name.clone();
                    return Judgement::Needs(Effect::LookUp { step, key, since });
                }
                Err(missing) => missing,
            },
        };
        match missing {
            Missing::File(uri) => Judgement::Needs(Effect::Read { uri }),
            Missing::Never(reason) => Judgement::Known(self.without(step, reason)),
        }
    }

    /// What a step's conditions, and what it waits for, make of it.
    fn inherited(&self, step: &Step) -> Option<Prospect> {
        if let Some(branch) = &step.branch {
            match self.prospect(&branch.condition)? {
                Prospect::Decides(holds) if *holds != branch.if_true => {
                    return Some(Prospect::Skipped(branch.condition.clone()));
                }
                Prospect::DecidesAfter(_) => {
                    return Some(Prospect::Perhaps(branch.condition.clone()));
                }
                _ => {}
            }
        }
        let first = |is_so: fn(&Prospect) -> bool| {
            step.waits_for.iter().find(|name| self.prospect(name).is_some_and(is_so)).cloned()
        };
        let skipped = first(|prospect| matches!(prospect, Prospect::Skipped(_)));
        let failing = || first(|one| matches!(one, Prospect::Fails(_) | Prospect::Never(_)));
        let open = || first(|prospect| matches!(prospect, Prospect::Perhaps(_)));
        skipped
            .map(Prospect::Skipped)
            .or_else(|| failing().map(Prospect::Never))
            .or_else(|| open().map(Prospect::Perhaps))
    }

    /// What becomes of a step with arguments that can't be had yet, or never.
    fn without(&self, step: &Step, reason: String) -> Prospect {
        let is_to_come = |name: &String| {
            let prospect = self.prospect(name);
            !matches!(prospect, Some(Prospect::Cached(_) | Prospect::Decides(_)) | None)
        };
        let mut referred =
            step.expressions().into_iter().flatten().filter_map(Expression::into_step);
        match (referred.find(is_to_come), &step.kind) {
            (None, _) => Prospect::Fails(reason),
            (Some(other), StepKind::Condition(_)) => Prospect::DecidesAfter(other),
            (Some(other), StepKind::Fail) => {
                Prospect::Fails(format!("its message is known when `{other}` has ended"))
            }
            (Some(other), _) if step.cache.is_some() => Prospect::RunsUnlessCached(other),
            (Some(_), _) => Prospect::Runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, Value};

    use super::*;
    use crate::execution::Facts;

    fn plan(steps: &Value, results: &[(&str, Value)]) -> Vec<(String, Prospect)> {
        let text = json!({"Version": "2020-12-01", "Parameters": [], "Steps": steps}).to_string();
        let definition = Definition::parse(&text).expect("a definition");
        let facts = Facts {
            arn: "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/p/execution/abc".to_owned(),
            id: "abc".to_owned(),
            pipeline: "p".to_owned(),
            pipeline_arn: "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/p".to_owned(),
            started_at: 1_000,
            parameters: Map::new(),
            selection: None,
            timeout_millis: None,
        };
        let execution = Execution::new(&definition, facts, None, BTreeMap::new());
        let mut planner = Planner::new(&definition, execution, 1_000);
        while let Some(effect) = planner.advance() {
            match effect {
                Effect::LookUp { step, .. } => {
                    let found = results.iter().find(|(name, _)| *name == step);
                    let hit = found.map(|(_, properties)| Hit {
                        execution: "earlier".to_owned(),
                        properties: properties.clone(),
                        metadata: json!({}),
                    });
                    planner.looked_up(&step, hit);
                }
                Effect::Read { uri } => planner.read(uri, Ok(json!({"mse": 3}))),
                other => panic!("a plan has no {other:?}"),
            }
        }
        planner.done().into_iter().map(|planned| (planned.step, planned.prospect)).collect()
    }

    /// `Prepare`, `Train` on what it made, and `Check`, which decides by a file of `Train`'s.
    fn steps() -> Value {
        let outputs = json!({"Outputs": [{"OutputName": "o"}]});
        let made =
            json!({"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['o'].S3Output.S3Uri"});
        let mse = json!({"Std:JsonGet": {
            "PropertyFile": {"Get": "Steps.Train.PropertyFiles.F"}, "Path": "mse",
        }});
        json!([
            {"Name": "Check", "Type": "Condition", "Arguments": {
                "Conditions": [{"Type": "GreaterThan", "LeftValue": mse, "RightValue": 2}],
                "IfSteps": [{"Name": "Bad", "Type": "Fail", "Arguments": {"ErrorMessage": "large"}}],
                "ElseSteps": [{"Name": "Good", "Type": "Processing", "Arguments": {}}],
            }},
            {"Name": "After", "Type": "Processing", "DependsOn": ["Bad"], "Arguments": {}},
            {"Name": "Train", "Type": "Processing", "CacheConfig": {"Enabled": true},
             "PropertyFiles": [{"PropertyFileName": "F", "OutputName": "o", "FilePath": "f.json"}],
             "Arguments": {"Environment": {"IN": made}, "ProcessingOutputConfig": outputs}},
            {"Name": "Prepare", "Type": "Processing", "CacheConfig": {"Enabled": true},
             "Arguments": {"ProcessingOutputConfig": outputs}},
            {"Name": "Apart", "Type": "Processing", "DependsOn": ["Prepare"], "Arguments": {}},
        ])
    }

    fn named(step: &str, prospect: Prospect) -> (String, Prospect) {
        (step.to_owned(), prospect)
    }

    #[test]
    fn what_depends_on_a_step_that_runs_is_not_known() {
        let (prepare, train) = ("Prepare".to_owned(), "Train".to_owned());
        let check = || "Check".to_owned();
        assert_eq!(
            plan(&steps(), &[]),
            [
                named("Prepare", Prospect::Runs),
                named("Train", Prospect::RunsUnlessCached(prepare)),
                named("Check", Prospect::DecidesAfter(train)),
                named("Bad", Prospect::Perhaps(check())),
                named("Good", Prospect::Perhaps(check())),
                named("After", Prospect::Perhaps("Bad".to_owned())),
                named("Apart", Prospect::Runs),
            ]
        );
    }

    #[test]
    fn earlier_results_decide_what_follows() {
        let outputs = json!({"ProcessingOutputConfig": {"Outputs": [
            {"OutputName": "o", "S3Output": {"S3Uri": "s3://b/o"}},
        ]}});
        let cached = || Prospect::Cached("earlier".to_owned());
        assert_eq!(
            plan(&steps(), &[("Prepare", outputs.clone()), ("Train", outputs)]),
            [
                named("Prepare", cached()),
                named("Train", cached()),
                named("Check", Prospect::Decides(true)),
                named("Bad", Prospect::Fails("large".to_owned())),
                named("Good", Prospect::Skipped("Check".to_owned())),
                named("After", Prospect::Never("Bad".to_owned())),
                named("Apart", Prospect::Runs),
            ]
        );
    }
}
