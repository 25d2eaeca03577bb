//! Executions under all that can happen to them, in random order.

mod random;

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, json};

use super::*;
use crate::definition::{Definition, Exception, StepKind};

/// What runs steps, outside of the server: it lives through kills.
#[derive(Default)]
struct World {
    /// By the names of orders: the step, the attempt, and how it ended.
    jobs: BTreeMap<String, (String, u32, Option<Outcome>)>,
    told_to_stop: Vec<String>,
}

struct Play {
    random: StdRng,
    definition: Definition,
    execution: Execution,
    world: World,
    /// What the server is about to hear. A kill loses it.
    pending: VecDeque<Event>,
    now: u64,
    /// Whether the server may die at any moment.
    is_deadly: bool,
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let definition = random::definition(&mut random);
        let execution = random::execution(&mut random, &definition);
        let (world, pending) = (World::default(), VecDeque::new());
        Self { random, definition, execution, world, pending, now: 1_000, is_deadly: true }
    }

    /// An event, as the driver takes it: looked up, kept, and then followed. The server may die before it
    /// is kept, and before anything that follows.
    fn apply(&mut self, event: Event) {
        let (before, shown) = (self.execution.clone(), event.clone());
        let Ok(Advanced { mut next, effects }) = before.advance(&self.definition, event, self.now)
        else {
            return;
        };
        let (mut left, mut later) = (VecDeque::from(effects), Vec::new());
        while let Some(effect) = left.pop_front() {
            let event = match effect {
                Effect::LookUp { step, .. } => {
                    let hit = self.random.random_bool(0.3).then(|| random::hit(&step));
                    Event::LookedUp { step, hit }
                }
                Effect::Read { uri } => Event::Read { content: random::content(&uri), uri },
                other => {
                    later.push(other);
                    continue;
                }
            };
            let advanced = next.advance(&self.definition, event, self.now).expect("it is taken");
            next = advanced.next;
            left.extend(advanced.effects);
        }
        if self.dies() {
            return self.kill();
        }
        self.execution = next;
        self.check(&before, &shown);
        for effect in later {
            if self.dies() {
                return self.kill();
            }
            self.follow(effect);
        }
    }

    fn dies(&mut self) -> bool {
        self.is_deadly && self.random.random_bool(0.02)
    }

    fn follow(&mut self, effect: Effect) {
        match effect {
            Effect::LookUp { .. } | Effect::Read { .. } => unreachable!("done before"),
            Effect::Start { step } => {
                // It may have been ended by what came before.
                let Some(order) = self.execution.steps[&step].state.order().cloned() else {
                    return;
                };
                if order.token.is_none() {
                    self.begin(&step, &order);
                }
                let (attempt, metadata) = (order.attempt, json!({"Order": order.name}));
                self.pending.push_back(Event::Started { step, attempt, metadata });
                self.tell_of_end(&order.name);
            }
            Effect::Watch { step } => {
                let order = self.execution.steps[&step].state.order();
                let name = order.map(|order| order.name.clone()).unwrap_or_default();
                self.tell_of_end(&name);
            }
            Effect::Stop { step, order } => {
                assert!(order.is_taken, "`{step}` is stopped before it is there");
                assert!(!self.is_function(&step), "nobody can stop the function of `{step}`");
                self.world.told_to_stop.push(order.name);
            }
        }
    }

    fn begin(&mut self, step: &str, order: &Order) {
        let entry = (step.to_owned(), order.attempt, None);
        let open = self.world.jobs.iter().filter(|(name, (of, _, outcome))| {
            **name != order.name && of == step && outcome.is_none()
        });
        let is_alone = open.count() == 0 || self.is_function(step);
        assert!(is_alone, "`{step}` runs twice at once");
        self.world.jobs.entry(order.name.clone()).or_insert(entry);
    }

    fn kind(&self, step: &str) -> &StepKind {
        &self.definition.step(step).expect("a step").kind
    }

    /// Functions can't be stopped, and may do their work though nobody waits any more.
    fn is_function(&self, step: &str) -> bool {
        matches!(self.kind(step), StepKind::Lambda(_))
    }

    fn tell_of_end(&mut self, name: &str) {
        if let Some((step, attempt, Some(outcome))) = self.world.jobs.get(name).cloned() {
            self.pending.push_back(Event::Ended { step, attempt, outcome });
        }
    }

    /// A job of the world comes to its end.
    fn end_one(&mut self) {
        let open: Vec<String> = self
            .world
            .jobs
            .iter()
            .filter(|(_, (.., outcome))| outcome.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        let Some(name) = open.get(self.random.random_range(0..open.len().max(1))) else { return };
        let failed = |exception| Outcome::Failed(Failure { exception, reason: "why".to_owned() });
        let outcome = match self.random.random_range(0..10) {
            // A stop may come too late.
            0..9 if self.world.told_to_stop.contains(name) => Outcome::Stopped,
            0 => failed(Exception::Failure),
            1 | 2 => failed(Exception::JobInternalError),
            3 if self.random.random_bool(0.1) => Outcome::Stopped,
            _ => Outcome::Succeeded { properties: random::properties(name), metadata: None },
        };
        self.world.jobs.get_mut(name).expect("it is there").2 = Some(outcome);
        self.tell_of_end(name);
    }

    fn answer_one(&mut self) {
        let is_callback = |run: &StepRun| run.state.order().is_some_and(|one| one.token.is_some());
        let waiting = self.execution.steps.iter().filter(|(_, run)| is_callback(run));
        let waiting: Vec<String> = waiting.map(|(step, _)| step.clone()).collect();
        let at = self.random.random_range(0..waiting.len().max(1));
        let Some(step) = waiting.get(at).cloned() else { return };
        let answer = match self.random.random_range(0..4) {
            0 => Answer::Failure("no".to_owned()),
            1 => Answer::Heartbeat,
            _ => Answer::Success(Map::new()),
        };
        self.apply(Event::Answered { step, answer });
    }

    /// The server dies, and the next takes up what is on disk.
    fn kill(&mut self) {
        self.pending.clear();
        let text = serde_json::to_string(&self.execution).expect("a state");
        let steps = serde_json::to_string(&self.execution.steps).expect("states");
        let mut next: Execution = serde_json::from_str(&text).expect("the state");
        next.steps = serde_json::from_str(&steps).expect("the states");
        // What was read is read again.
        self.execution.documents.clear();
        self.execution.reading.clear();
        assert_eq!(next, self.execution, "nothing is lost on disk");
        self.execution = next;
        if !self.execution.status.is_final() {
            self.apply(Event::Resumed);
        }
    }

    fn check(&self, before: &Execution, event: &Event) {
        let active = |execution: &Execution| {
            execution.steps.values().filter(|run| run.state.order().is_some()).count()
        };
        let limit = self.execution.parallelism.unwrap_or(50) as usize;
        let most = limit.max(active(before));
        assert!(active(&self.execution) <= most, "more than {limit} steps run");
        let way = (before.status, self.execution.status);
        assert!(is_way_of_execution(way, event), "{way:?} by {event:?}");
        for step in &self.definition.steps {
            self.check_step(&step.name, before, event);
        }
        if self.execution.status.is_final() {
            self.check_end();
        }
    }

    fn check_step(&self, name: &str, before: &Execution, event: &Event) {
        let (was, is) = (&before.steps[name], &self.execution.steps[name]);
        let way = (word(&was.state), word(&is.state));
        assert!(is_way_of_step(way, event), "`{name}` goes {way:?} by {event:?}");
        if matches!(was.state, StepState::Succeeded { .. } | StepState::Skipped) {
            assert_eq!(was, is, "what is done stays done, after {event:?}");
        }
        assert!(was.attempts <= is.attempts && is.attempts <= was.attempts + 1);
        let has_begun = was.attempts < is.attempts
            || (matches!(is.state, StepState::Succeeded { .. }) && was.state == StepState::Waiting);
        if has_begun {
            let step = self.definition.step(name).expect("a step");
            let state = |name: &String| &self.execution.steps[name].state;
            let is_well = |name: &String| matches!(state(name), StepState::Succeeded { .. });
            let well = step.waits_for.iter().all(is_well);
            assert!(well, "`{name}` begins before what it waits for");
            let is_retried = matches!(event, Event::Retry { .. });
            assert!(is_retried || before.ending.is_none(), "`{name}` begins at the end");
        }
        let of_step = self.world.jobs.values().filter(|(step, ..)| step == name);
        let well =
            of_step.clone().filter(|(.., end)| matches!(end, Some(Outcome::Succeeded { .. })));
        match &is.state {
            _ if self.is_function(name) => {}
            StepState::Skipped | StepState::Succeeded { source: Some(Source::Selected(_)), .. } => {
                assert_eq!(of_step.count(), 0, "`{name}` is run though it does not belong to it");
            }
            StepState::Succeeded { source: Some(Source::Cache(_)), .. } => {
                assert_eq!(well.count(), 0, "`{name}` is run though it has a result");
            }
            _ => assert!(well.count() <= 1, "`{name}` is run twice to completion"),
        }
    }

    fn check_end(&self) {
        let execution = &self.execution;
        let any =
            |is_so: fn(&StepState) -> bool| execution.steps.values().any(|run| is_so(&run.state));
        assert!(!any(|state| state.order().is_some()), "it ended before its steps");
        assert_eq!(execution.due_at(), None, "something is due after its end");
        let has_failed = any(|state| matches!(state, StepState::Failed(_)));
        match execution.status {
            Status::Succeeded => {
                let is_done = |run: &StepRun| matches!(word(&run.state), "Succeeded" | "Skipped");
                assert!(execution.steps.values().all(is_done), "it succeeded before its end");
            }
            Status::Failed => {
                assert!(has_failed || execution.ending == Some(Ending::TimedOut));
                assert!(execution.failure.is_some(), "nobody says why it failed");
            }
            _ => assert!(!has_failed, "it failed, and says that it was stopped"),
        }
    }

    /// Random moments, and then only what leads to an end.
    fn run(&mut self) {
        self.apply(Event::Resumed);
        for _ in 0..80 {
            self.now += self.random.random_range(0..3_000);
            match self.random.random_range(0..40) {
                0..16 => self.deliver(),
                16..26 => self.end_one(),
                26..30 => self.answer_one(),
                30 | 31 => self.kill(),
                32..35 => self.apply(Event::Tick),
                35 if self.random.random_bool(0.3) => self.apply(Event::Stop),
                36 => self.retry(),
                37 => self.limit(),
                _ => {}
            }
        }
        self.is_deadly = false;
        for _ in 0..5_000 {
            if self.execution.status.is_final() && self.pending.is_empty() {
                return self.nothing_changes();
            }
            self.now += 1_000;
            self.deliver();
            self.end_one();
            self.answer_one();
            if self.execution.due_at().is_some_and(|due| due <= self.now) {
                self.apply(Event::Tick);
            }
        }
        panic!("it does not end: {:#?}", self.execution);
    }

    fn retry(&mut self) {
        let parallelism = self.random.random_bool(0.3).then(|| self.random.random_range(1..4));
        self.apply(Event::Retry { parallelism });
    }

    fn limit(&mut self) {
        let limit = self.random.random_range(1..4);
        self.apply(Event::Limit(limit));
    }

    /// What comes after the end comes to nothing.
    fn nothing_changes(&mut self) {
        let end = self.execution.clone();
        for (step, attempt, outcome) in self.world.jobs.clone().into_values() {
            let outcome = outcome.unwrap_or(Outcome::Stopped);
            self.apply(Event::Started { step: step.clone(), attempt, metadata: json!({}) });
            self.apply(Event::Ended { step, attempt, outcome });
        }
        self.now += 1_000_000;
        self.apply(Event::Tick);
        self.apply(Event::Stop);
        assert_eq!(self.execution, end, "it goes on after its end");
    }

    /// Something is heard: of one step in its order, of several in any; now and then twice.
    fn deliver(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let of = |event: &Event| match event {
            Event::Started { step, .. } | Event::Ended { step, .. } => step.clone(),
            other => panic!("nobody says {other:?}"),
        };
        let any = of(&self.pending[self.random.random_range(0..self.pending.len())]);
        let first = self.pending.iter().position(|event| of(event) == any).expect("it is there");
        let event = self.pending.remove(first).expect("it is there");
        if self.random.random_bool(0.05) {
            self.pending.push_back(event.clone());
        }
        self.apply(event);
    }
}

fn word(state: &StepState) -> &'static str {
    match state {
        StepState::Waiting => "Waiting",
        StepState::LookingUp(_) => "LookingUp",
        StepState::Starting(_) => "Starting",
        StepState::Executing(_) => "Executing",
        StepState::Stopping(..) => "Stopping",
        StepState::Backoff { .. } => "Backoff",
        StepState::Succeeded { .. } => "Succeeded",
        StepState::Failed(_) => "Failed",
        StepState::Stopped => "Stopped",
        StepState::Skipped => "Skipped",
    }
}

/// Whether a step may go from one state to another between two states that are kept.
fn is_way_of_step((was, is): (&str, &str), event: &Event) -> bool {
    let ends = ["Succeeded", "Failed", "Backoff", "Stopped"];
    let begins = ["Starting", "Succeeded", "Failed", "Backoff", "Skipped"];
    was == is
        || match was {
            "Waiting" => begins.contains(&is),
            "Starting" => is == "Executing" || is == "Stopping" || ends.contains(&is),
            "Executing" => is == "Stopping" || ends.contains(&is),
            "Stopping" => ends.contains(&is),
            "Backoff" => is == "Waiting" || is == "Stopped" || begins[..4].contains(&is),
            "Failed" | "Stopped" => {
                matches!(event, Event::Retry { .. }) && (is == "Waiting" || begins.contains(&is))
            }
            _ => false,
        }
}

/// The same for executions.
fn is_way_of_execution((was, is): (Status, Status), event: &Event) -> bool {
    match (was, is) {
        (Status::Executing, _) => true,
        (Status::Stopping, next) => {
            matches!(next, Status::Stopping | Status::Stopped | Status::Failed)
        }
        (Status::Failed | Status::Stopped, next) if next != was => {
            matches!(event, Event::Retry { .. })
        }
        (_, next) => next == was,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(2_000),
        ..ProptestConfig::default()
    })]

    #[test]
    fn executions_always_end_and_run_no_step_twice(seed in any::<u64>()) {
        Play::new(seed).run();
    }
}
