//! Executions under all that can happen to them, in random order.

use std::collections::{BTreeMap, VecDeque};

use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Map, Value, json};

use super::*;
use crate::definition::{Definition, Exception};

/// A pipeline of random steps, each of which may wait for any before it.
fn random_definition(random: &mut StdRng) -> Definition {
    let mut names: Vec<String> = Vec::new();
    let mut nested = 0;
    let mut steps: Vec<Value> = Vec::new();
    for index in 0..random.random_range(1..9) {
        let name = format!("S{index}");
        let depends: Vec<&String> = names.iter().filter(|_| random.random_bool(0.3)).collect();
        let mut step = random_step(random, &name, &json!(depends));
        if step["Type"] == "Condition" {
            for branch in ["IfSteps", "ElseSteps"] {
                let count = random.random_range(0..3);
                let inner: Vec<Value> = (0..count)
                    .map(|_| {
                        nested += 1;
                        names.push(format!("N{nested}"));
                        random_job(random, &format!("N{nested}"), &json!([]))
                    })
                    .collect();
                step["Arguments"][branch] = json!(inner);
            }
        }
        names.push(name);
        steps.push(step);
    }
    let text = json!({"Version": "2020-12-01", "Parameters": [], "Steps": steps}).to_string();
    Definition::parse(&text).expect("a definition")
}

fn random_step(random: &mut StdRng, name: &str, depends: &Value) -> Value {
    match random.random_range(0..10) {
        0 => json!({"Name": name, "Type": "Condition", "DependsOn": depends, "Arguments": {
            "Conditions": [{"Type": "Equals", "LeftValue": 1, "RightValue": random.random_range(1..3)}],
        }}),
        1 => {
            json!({"Name": name, "Type": "Callback", "DependsOn": depends, "SqsQueueUrl": "http://q",
            "Arguments": {"BESSEMER_STEP_TIMEOUT": random.random_range(5..200)}})
        }
        2 => {
            json!({"Name": name, "Type": "Fail", "DependsOn": depends, "Arguments": {"ErrorMessage": "m"}})
        }
        _ => random_job(random, name, depends),
    }
}

fn random_job(random: &mut StdRng, name: &str, depends: &Value) -> Value {
    let retries = if random.random_bool(0.4) {
        json!([{"ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR"], "MaxAttempts": 2, "IntervalSeconds": 3}])
    } else {
        json!([])
    };
    let cache = json!({"Enabled": random.random_bool(0.3), "ExpireAfter": "P1D"});
    let environment =
        if random.random_bool(0.2) { json!({"BESSEMER_STEP_TIMEOUT": "20"}) } else { json!({}) };
    json!({"Name": name, "Type": "Processing", "DependsOn": depends, "RetryPolicies": retries,
        "CacheConfig": cache, "Arguments": {"Environment": environment}})
}

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
}

impl Play {
    fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let definition = random_definition(&mut random);
        let facts = Facts {
            arn: "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/p/execution/abc".to_owned(),
            id: "abc".to_owned(),
            pipeline: "p".to_owned(),
            pipeline_arn: "arn:aws:sagemaker:eu-central-1:000000000000:pipeline/p".to_owned(),
            started_at: 1_000,
            parameters: Map::new(),
            selection: None,
            timeout_millis: random.random_bool(0.1).then_some(60_000),
        };
        let limit = random.random_bool(0.5).then(|| random.random_range(1..4));
        let execution = Execution::new(&definition, facts, limit, BTreeMap::new());
        let (world, pending) = (World::default(), VecDeque::new());
        Self { random, definition, execution, world, pending, now: 1_000 }
    }

    fn apply(&mut self, event: Event) {
        let (before, shown) = (self.execution.clone(), event.clone());
        let Ok(advanced) = before.advance(&self.definition, event, self.now) else {
            return;
        };
        self.execution = advanced.next;
        self.check(&before, &shown);
        for effect in advanced.effects {
            self.follow(effect);
        }
    }

    fn follow(&mut self, effect: Effect) {
        match effect {
            Effect::LookUp { step, .. } => {
                let hit = self.random.random_bool(0.3).then(|| Hit {
                    execution: "other".to_owned(),
                    properties: json!({}),
                    metadata: json!({}),
                });
                self.apply(Event::LookedUp { step, hit });
            }
            Effect::Read { .. } => unreachable!("nothing refers to a file"),
            Effect::Start { step } => {
                let order = self.execution.steps[&step].state.order().expect("an order").clone();
                let (attempt, is_callback) = (order.attempt, order.token.is_some());
                if !is_callback {
                    let entry = (step.clone(), attempt, None);
                    self.world.jobs.entry(order.name.clone()).or_insert(entry);
                }
                let metadata = json!({"Order": order.name});
                self.pending.push_back(Event::Started { step: step.clone(), attempt, metadata });
                self.tell_of_end(&order.name);
            }
            Effect::Watch { step } => {
                let name =
                    self.execution.steps[&step].state.order().expect("an order").name.clone();
                self.tell_of_end(&name);
            }
            Effect::Stop { order, .. } => self.world.told_to_stop.push(order.name),
        }
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
            _ if self.world.told_to_stop.contains(name) => Outcome::Stopped,
            0 => failed(Exception::Failure),
            1 | 2 => failed(Exception::JobInternalError),
            3 if self.random.random_bool(0.1) => Outcome::Stopped,
            _ => Outcome::Succeeded { properties: json!({}), metadata: None },
        };
        self.world.jobs.get_mut(name).expect("it is there").2 = Some(outcome);
        self.tell_of_end(name);
    }

    fn answer_one(&mut self) {
        let waiting = self
            .execution
            .steps
            .iter()
            .find(|(_, run)| run.state.order().is_some_and(|order| order.token.is_some()));
        let Some((step, _)) = waiting else { return };
        let step = step.clone();
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
        assert_eq!(next, self.execution, "nothing is lost on disk");
        self.execution = next;
        self.apply(Event::Resumed);
    }

    fn check(&self, before: &Execution, event: &Event) {
        let active = self.execution.steps.values().filter(|run| run.state.order().is_some());
        let limit = self.execution.parallelism.unwrap_or(50) as usize;
        assert!(active.count() <= limit, "more than {limit} steps run");
        for step in &self.definition.steps {
            let (was, is) = (&before.steps[&step.name], &self.execution.steps[&step.name]);
            if matches!(was.state, StepState::Succeeded { .. } | StepState::Skipped) {
                assert_eq!(was, is, "what is done stays done, after {event:?}");
            }
            let has_begun = was.state == StepState::Waiting && is.state.status().is_some();
            if has_begun {
                let well = step.waits_for.iter().all(|name| {
                    matches!(self.execution.steps[name].state, StepState::Succeeded { .. })
                });
                assert!(well, "`{}` begins before what it waits for", step.name);
                let is_retried = matches!(event, Event::Retry { .. });
                assert!(is_retried || before.ending.is_none(), "`{}` begins at the end", step.name);
            }
        }
        let succeeded = |name: &str| {
            let of_step = self.world.jobs.values().filter(|(step, ..)| step == name);
            of_step
                .filter(|(.., outcome)| matches!(outcome, Some(Outcome::Succeeded { .. })))
                .count()
        };
        for step in &self.definition.steps {
            assert!(succeeded(&step.name) <= 1, "`{}` is run twice to completion", step.name);
        }
        if self.execution.status.is_final() {
            let open = |run: &StepRun| run.state.order().is_some();
            assert!(!self.execution.steps.values().any(open), "it ended before its steps");
        }
    }

    /// Random moments, and then only what leads to an end.
    fn run(&mut self) {
        self.apply(Event::Resumed);
        for _ in 0..60 {
            self.now += self.random.random_range(0..3_000);
            match self.random.random_range(0..20) {
                0..8 => self.deliver(),
                8..13 => self.end_one(),
                13 | 14 => self.answer_one(),
                15 => self.kill(),
                16 | 17 => self.apply(Event::Tick),
                18 if self.random.random_bool(0.1) => self.apply(Event::Stop),
                19 => self.apply(Event::Retry { parallelism: None }),
                _ => {}
            }
        }
        for _ in 0..500 {
            if self.execution.status.is_final() && self.pending.is_empty() {
                return;
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

    fn deliver(&mut self) {
        if let Some(event) = self.pending.pop_front() {
            self.apply(event);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn executions_always_end_and_run_no_step_twice(seed in any::<u64>()) {
        Play::new(seed).run();
    }
}
