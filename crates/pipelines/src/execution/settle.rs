//! After each event: steps that can begin begin, until no more do, and then the execution ends.

use serde_json::{Value, json};

use super::{
    cache,
    event::{Effect, Failure, Outcome},
    names,
    resolve::{Missing, Scope},
    settings,
    state::{Execution, Order, Status, StepState},
};
use crate::definition::{Definition, Exception, Step, StepKind};

/// Steps that run at once if nobody says how many, as AWS has it.
const PARALLELISM: u32 = 50;

/// An execution that is changed by an event.
pub(super) struct Settling<'d> {
    pub(super) definition: &'d Definition,
    pub(super) next: Execution,
    pub(super) effects: Vec<Effect>,
    pub(super) now: u64,
}

/// Whether a step can begin.
enum Readiness {
    Ready,
    NotYet,
    Never,
}

impl Settling<'_> {
    pub(super) fn settle(&mut self) {
        let definition = self.definition;
        loop {
            self.end_backoffs();
            let mut is_changed = false;
            for step in &definition.steps {
                let is_waiting = self
                    .next
                    .steps
                    .get(&step.name)
                    .is_some_and(|run| run.state == StepState::Waiting);
                if !is_waiting || self.next.status.is_final() {
                    continue;
                }
                match self.readiness(step) {
                    Readiness::Never => {
                        self.set(step, StepState::Skipped);
                        is_changed = true;
                    }
                    Readiness::Ready if self.may_begin() => is_changed |= self.begin(step),
                    Readiness::Ready | Readiness::NotYet => {}
                }
            }
            if !is_changed {
                break;
            }
        }
        self.conclude();
    }

    fn set(&mut self, step: &Step, state: StepState) {
        if let Some(run) = self.next.steps.get_mut(&step.name) {
            run.state = state;
        }
    }

    fn readiness(&self, step: &Step) -> Readiness {
        let state = |name: &str| self.next.steps.get(name).map(|run| &run.state);
        let mut readiness = Readiness::Ready;
        if let Some(branch) = &step.branch
            && let Some(StepState::Succeeded { properties, .. }) = state(&branch.condition)
            && (properties["Outcome"] == "True") != branch.if_true
        {
            return Readiness::Never;
        }
        for name in &step.waits_for {
            match state(name) {
                Some(StepState::Succeeded { .. }) => {}
                Some(StepState::Skipped) => return Readiness::Never,
                _ => readiness = Readiness::NotYet,
            }
        }
        readiness
    }

    fn may_begin(&self) -> bool {
        let active = self.next.steps.values().filter(|run| run.state.order().is_some()).count();
        let limit = self.next.parallelism.unwrap_or(PARALLELISM);
        self.next.ending.is_none() && active < limit as usize
    }

    /// Begins a step. Returns whether that changed anything: it may have to wait for a file.
    fn begin(&mut self, step: &Step) -> bool {
        let attempt = self.next.steps.get(&step.name).map_or(0, |run| run.attempts) + 1;
        let begun = self.order_of(step, attempt).and_then(|order| match &step.kind {
            StepKind::Condition(_) => self.decide(step).map(Begun::Decided),
            _ => Ok(Begun::Ordered(Box::new(order))),
        });
        match begun {
            Err(Missing::File(uri)) => {
                if self.next.reading.insert(uri.clone()) {
                    self.effects.push(Effect::Read { uri });
                }
                return false;
            }
            Err(Missing::Never(reason)) => {
                self.count(step, attempt);
                let reason = format!("ClientError: {reason}");
                self.fail(&step.name, Failure { exception: Exception::Failure, reason });
            }
            Ok(Begun::Decided(holds)) => {
                self.count(step, attempt);
                let outcome = if holds { "True" } else { "False" };
                let metadata = Some(json!({ "Condition": { "Outcome": outcome } }));
                let properties = json!({ "Outcome": outcome });
                self.ended(&step.name, Outcome::Succeeded { properties, metadata });
            }
            Ok(Begun::Ordered(order)) if step.kind == StepKind::Fail => {
                self.count(step, attempt);
                let message = &order.arguments["ErrorMessage"];
                let reason = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
                if let Some(run) = self.next.steps.get_mut(&step.name) {
                    run.metadata = json!({ "Fail": { "ErrorMessage": reason } });
                }
                self.fail(&step.name, Failure { exception: Exception::Failure, reason });
            }
            Ok(Begun::Ordered(order)) => self.look_up(step, *order),
        }
        true
    }

    /// Counts an attempt at a step.
    fn count(&mut self, step: &Step, attempt: u32) {
        let now = self.now;
        if let Some(run) = self.next.steps.get_mut(&step.name) {
            run.attempts = attempt;
            run.started_at = run.started_at.or(Some(now));
            run.ended_at = None;
        }
    }

    fn scope<'s>(&'s self, job_name: &'s str) -> Scope<'s> {
        Scope { definition: self.definition, execution: &self.next, now: self.now, job_name }
    }

    pub(super) fn order_of(&self, step: &Step, attempt: u32) -> Result<Order, Missing> {
        let facts = &self.next.facts;
        let name = names::of_attempt(facts, &step.name, attempt);
        let scope = self.scope(&name);
        let (target, token) = match &step.kind {
            StepKind::Lambda(target) => (Some(scope.resolve(target)?), None),
            StepKind::Callback(target) => {
                (Some(scope.resolve(target)?), Some(names::token(facts, &step.name, attempt)))
            }
            _ => (None, None),
        };
        let mut order = Order {
            attempt,
            arguments: scope.resolve(&step.arguments)?,
            target: target.map(|target| target.as_str().unwrap_or_default().to_owned()),
            token,
            is_taken: false,
            since: self.now,
            heard_at: self.now,
            timeout_millis: None,
            heartbeat_millis: None,
            retries: None,
            name,
        };
        settings::take(&mut order)?;
        Ok(order)
    }

    pub(super) fn decide(&self, step: &Step) -> Result<bool, Missing> {
        let StepKind::Condition(conditions) = &step.kind else { return Ok(true) };
        let scope = self.scope("");
        let mut value_of = |value: &Value| scope.resolve(value);
        for condition in conditions {
            if !condition.holds(&mut value_of)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What the result of `order` is found by, if the step is cached.
    pub(super) fn cache_key(&self, step: &Step, order: &Order) -> Option<String> {
        cache::key(step, order, self.model_of(order))
    }

    /// What was described of the model that `order` names, if this execution has made it.
    fn model_of(&self, order: &Order) -> Option<&Value> {
        let name = &order.arguments["ModelName"];
        let models = self.definition.steps.iter().filter(|step| step.kind == StepKind::Model);
        let states = models.filter_map(|step| Some(&self.next.steps.get(&step.name)?.state));
        let mut made = states.filter_map(|state| match state {
            StepState::Succeeded { properties, .. } => Some(properties),
            _ => None,
        });
        made.find(|model| name.is_string() && model["ModelName"] == *name)
    }

    /// Begins a step, or has an earlier result looked for.
    fn look_up(&mut self, step: &Step, order: Order) {
        let key = self.cache_key(step, &order);
        let Some(run) = self.next.steps.get_mut(&step.name) else { return };
        run.cache_key.clone_from(&key);
        let Some((key, valid)) = key.zip(step.cache) else {
            self.start(&step.name, order);
            return;
        };
        run.state = StepState::LookingUp(order);
        let since = self.now.saturating_sub(valid);
        self.effects.push(Effect::LookUp { step: step.name.clone(), key, since });
    }

    /// Hands a step to what runs it.
    pub(super) fn start(&mut self, name: &str, order: Order) {
        let now = self.now;
        let Some(run) = self.next.steps.get_mut(name) else { return };
        run.attempts = order.attempt;
        run.started_at = run.started_at.or(Some(now));
        run.ended_at = None;
        run.state = match self.next.status {
            Status::Stopping => StepState::Stopped,
            _ => StepState::Starting(order),
        };
        if self.next.status == Status::Executing {
            self.effects.push(Effect::Start { step: name.to_owned() });
        }
    }
}

enum Begun {
    Decided(bool),
    Ordered(Box<Order>),
}
