//! [`Execution::advance`]: every transition of an execution.

use serde_json::Value;

use super::{
    event::{Advanced, Effect, Event, Failure, Hit, Outcome, Refused},
    settle::Settling,
    state::{Ending, Execution, Order, Source, Status, StepState, StopCause},
};
use crate::definition::{Definition, Exception, StepKind};

impl Execution {
    /// What becomes of the execution by `event`. Events of steps that have gone on since change
    /// nothing.
    pub fn advance(
        &self,
        definition: &Definition,
        event: Event,
        now: u64,
    ) -> Result<Advanced, Refused> {
        let mut settling = Settling { definition, next: self.clone(), effects: Vec::new(), now };
        settling.apply(event)?;
        settling.settle();
        let Settling { next, effects, .. } = settling;
        Ok(Advanced { next, effects })
    }
}

impl Settling<'_> {
    fn apply(&mut self, event: Event) -> Result<(), Refused> {
        match event {
            Event::Resumed => self.resume(),
            Event::LookedUp { step, hit } => self.looked_up(&step, hit),
            Event::Read { uri, content } => {
                if self.next.reading.remove(&uri) {
                    self.next.documents.insert(uri, content);
                }
            }
            Event::Started { step, attempt, metadata } => self.started(&step, attempt, metadata),
            Event::Ended { step, attempt, outcome } => {
                if self.order(&step).is_some_and(|order| order.attempt == attempt) {
                    self.ended(&step, outcome);
                }
            }
            Event::Answered { step, answer } => self.answered(&step, answer)?,
            Event::Tick => self.tick(),
            Event::Stop => self.stop()?,
            Event::Retry { parallelism } => self.retry(parallelism)?,
            Event::Limit(limit) => {
                if self.next.status.is_final() {
                    return Err(Refused::Ended(self.next.status));
                }
                self.next.parallelism = Some(limit);
            }
        }
        Ok(())
    }

    fn order(&self, step: &str) -> Option<&Order> {
        self.next.steps.get(step).and_then(|run| run.state.order())
    }

    fn resume(&mut self) {
        self.next.reading.clear();
        let (mut effects, mut stopped) = (Vec::new(), Vec::new());
        for (name, run) in &self.next.steps {
            let step = || name.clone();
            match &run.state {
                // A function has ended with the server that it was waited for by.
                StepState::Stopping(..) if !self.can_be_stopped(name) => stopped.push(step()),
                StepState::Starting(order) | StepState::Executing(order) if !order.is_taken => {
                    effects.push(Effect::Start { step: step() });
                }
                StepState::Stopping(order, _) if !order.is_taken => {
                    effects.push(Effect::Start { step: step() });
                }
                StepState::Starting(_) | StepState::Executing(_) => {
                    effects.push(Effect::Watch { step: step() });
                }
                StepState::Stopping(order, _) => {
                    effects.extend([Effect::Watch { step: step() }, stop(name, order)]);
                }
                _ => {}
            }
        }
        self.effects.extend(effects);
        for name in stopped {
            self.ended(&name, Outcome::Stopped);
        }
    }

    fn looked_up(&mut self, name: &str, hit: Option<Hit>) {
        let now = self.now;
        let Some(run) = self.next.steps.get_mut(name) else { return };
        let StepState::LookingUp(order) = &run.state else { return };
        if let Some(hit) = hit {
            run.metadata = hit.metadata;
            run.started_at = run.started_at.or(Some(now));
            run.ended_at = Some(now);
            let source = Some(Source::Cache(hit.execution));
            run.state = StepState::Succeeded { properties: hit.properties, source };
        } else {
            let order = order.clone();
            self.start(name, order);
        }
    }

    fn started(&mut self, name: &str, attempt: u32, metadata: Value) {
        let can_be_stopped = self.can_be_stopped(name);
        let Some(run) = self.next.steps.get_mut(name) else { return };
        let Some(order) = run.state.order_mut().filter(|order| order.attempt == attempt) else {
            return;
        };
        order.is_taken = true;
        let order = order.clone();
        run.metadata = metadata;
        match &run.state {
            StepState::Starting(_) => run.state = StepState::Executing(order),
            StepState::Stopping(..) if can_be_stopped => {
                self.effects.push(stop(name, &order));
            }
            _ => {}
        }
    }

    /// How an attempt that is under way has ended.
    pub(super) fn ended(&mut self, name: &str, outcome: Outcome) {
        let now = self.now;
        let Some(run) = self.next.steps.get_mut(name) else { return };
        let cause = match &run.state {
            StepState::Stopping(_, cause) => Some(*cause),
            _ => None,
        };
        match (outcome, cause) {
            (Outcome::Succeeded { properties, metadata }, _) => {
                if let Some(metadata) = metadata {
                    run.metadata = metadata;
                }
                run.ended_at = Some(now);
                run.state = StepState::Succeeded { properties, source: None };
            }
            (Outcome::Stopped, Some(StopCause::Requested)) => {
                run.ended_at = Some(now);
                run.state = StepState::Stopped;
            }
            (Outcome::Failed(_) | Outcome::Stopped, Some(StopCause::TimedOut)) => {
                let reason = took_too_long(run.state.order());
                self.fail(name, Failure { exception: Exception::Timeout, reason });
            }
            (Outcome::Failed(failure), _) => self.fail(name, failure),
            (Outcome::Stopped, None) => {
                let reason = "ClientError: it was stopped, and not by the execution".to_owned();
                self.fail(name, Failure { exception: Exception::Failure, reason });
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        let is_late = self.next.deadline.is_some_and(|deadline| deadline <= now);
        if is_late && !self.next.status.is_final() && self.next.ending != Some(Ending::TimedOut) {
            self.next.ending = Some(Ending::TimedOut);
            self.stop_steps();
            self.give_up();
        }
        let names: Vec<String> = self.next.steps.keys().cloned().collect();
        for name in names {
            let Some(run) = self.next.steps.get_mut(&name) else { continue };
            match &run.state {
                StepState::Backoff { until, .. } if *until <= now => run.state = StepState::Waiting,
                StepState::Backoff { .. } => {}
                state => {
                    if state.order().and_then(Order::due_at).is_some_and(|due| due <= now) {
                        self.time_out(&name);
                    }
                }
            }
        }
    }

    /// A step took too long, or was silent for too long.
    fn time_out(&mut self, name: &str) {
        let is_job = self
            .definition
            .step(name)
            .is_some_and(|step| !matches!(step.kind, StepKind::Lambda(_) | StepKind::Callback(_)));
        let Some(run) = self.next.steps.get_mut(name) else { return };
        if !is_job {
            let reason = took_too_long(run.state.order());
            self.fail(name, Failure { exception: Exception::Timeout, reason });
            return;
        }
        if let StepState::Starting(order) | StepState::Executing(order) = &run.state {
            let mut order = order.clone();
            // It is told once.
            (order.timeout_millis, order.heartbeat_millis) = (None, None);
            if order.is_taken {
                self.effects.push(stop(name, &order));
            }
            run.state = StepState::Stopping(order, StopCause::TimedOut);
        } else if let Some(order) = run.state.order_mut() {
            (order.timeout_millis, order.heartbeat_millis) = (None, None);
        }
    }

    fn stop(&mut self) -> Result<(), Refused> {
        match self.next.status {
            Status::Executing => {
                self.next.ending = self.next.ending.or(Some(Ending::StopRequested));
                self.stop_steps();
                Ok(())
            }
            Status::Stopping => Ok(()),
            status => Err(Refused::Ended(status)),
        }
    }

    /// Tells all that runs to end. Functions can't be told: they are waited for.
    fn stop_steps(&mut self) {
        self.next.status = Status::Stopping;
        for (name, run) in &mut self.next.steps {
            if let StepState::Starting(order) | StepState::Executing(order) = &run.state {
                let order = order.clone();
                let kind = self.definition.step(name).map(|step| &step.kind);
                let is_function = matches!(kind, Some(StepKind::Lambda(_)));
                if order.is_taken && !is_function {
                    self.effects.push(stop(name, &order));
                }
                run.state = StepState::Stopping(order, StopCause::Requested);
            }
        }
    }

    /// Waits no longer for what can't be made to end.
    fn give_up(&mut self) {
        let now = self.now;
        for (name, run) in &mut self.next.steps {
            let kind = self.definition.step(name).map(|step| &step.kind);
            let is_job = !matches!(kind, Some(StepKind::Lambda(_) | StepKind::Callback(_)));
            if matches!(run.state, StepState::Stopping(..)) && !is_job {
                run.ended_at = Some(now);
                run.state = StepState::Stopped;
            }
        }
    }

    fn can_be_stopped(&self, name: &str) -> bool {
        let step = self.definition.step(name);
        step.is_some_and(|step| !matches!(step.kind, StepKind::Lambda(_)))
    }
}

fn stop(step: &str, order: &Order) -> Effect {
    Effect::Stop { step: step.to_owned(), order: Box::new(order.clone()) }
}

fn took_too_long(order: Option<&Order>) -> String {
    let seconds = |millis: u64| millis as f64 / 1_000.0;
    match order.map(|order| (order.timeout_millis, order.heartbeat_millis)) {
        Some((timeout, Some(heartbeat))) if timeout.is_none_or(|timeout| timeout > heartbeat) => {
            let seconds = seconds(heartbeat);
            format!("ClientError: no heartbeat came for {seconds} s (BESSEMER_STEP_HEARTBEAT)")
        }
        Some((Some(timeout), _)) => {
            let seconds = seconds(timeout);
            format!("ClientError: it took longer than {seconds} s (BESSEMER_STEP_TIMEOUT)")
        }
        _ => "ClientError: it took longer than it may (BESSEMER_STEP_TIMEOUT)".to_owned(),
    }
}
