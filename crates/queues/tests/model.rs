//! A queue held to a model over random calls, times and restarts: what a call gives has to be what the
//! model allows, as many messages as there are, and each in its order.
#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use bessemer_domain::{Clock, ManualClock};
use bessemer_queues::{Attributes, CreateQueue, Message, Queues, QueuesOptions, Receive, Received};
use bessemer_store::{Store, StoreOptions};
use proptest::prelude::*;
use tokio::sync::watch;

const LONGEST_FLIGHT: u64 = 43_200_000;
const MEMORY: u64 = 300_000;

/// How a queue is set up.
#[derive(Debug, Clone)]
struct Setup {
    is_fifo: bool,
    by_group: bool,
    most_receives: Option<u32>,
    retention: u64,
    delay: u64,
}

#[derive(Debug, Clone)]
enum Step {
    Send(Vec<(u8, u8)>),
    Receive { limit: i64, seconds: i64, attempt: Option<u8> },
    Delete(usize),
    Change(usize, i64),
    Wait(u64),
    Purge,
    Restart,
}

fn setup() -> impl Strategy<Value = Setup> {
    let most = proptest::option::of(1..3_u32);
    let retention = prop_oneof![Just(60_000_u64), Just(345_600_000)];
    (any::<bool>(), any::<bool>(), most, retention, prop_oneof![Just(0_u64), Just(5_000)]).prop_map(
        |(is_fifo, by_group, most_receives, retention, delay)| Setup {
            is_fifo,
            by_group,
            most_receives,
            retention,
            delay,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let receive = (1..=10_i64, 0..40_i64, proptest::option::weighted(0.2, 0..2_u8));
    let wait = prop_oneof![6 => 0..9_000_u64, 3 => 9_000..40_000_u64, 1 => 290_000..310_000_u64];
    prop_oneof![
        6 => proptest::collection::vec((0..3_u8, 0..12_u8), 1..6).prop_map(Step::Send),
        6 => receive.prop_map(|(limit, seconds, attempt)| Step::Receive { limit, seconds, attempt }),
        4 => any::<usize>().prop_map(Step::Delete),
        3 => (any::<usize>(), prop_oneof![5 => 0..60_i64, 1 => Just(43_200)])
            .prop_map(|(which, seconds)| Step::Change(which, seconds)),
        4 => wait.prop_map(Step::Wait),
        1 => Just(Step::Purge),
        1 => Just(Step::Restart),
    ]
}

#[derive(Debug, Clone)]
struct Known {
    body: String,
    group: u8,
    sent_at: u64,
    visible_at: u64,
    receives: u32,
    received_at: u64,
}

/// What the queue has to hold.
struct Model {
    setup: Setup,
    now: u64,
    /// In the order in which they were sent.
    messages: Vec<Known>,
    /// Names of messages by scope, with their ids and when they are forgotten.
    remembered: BTreeMap<(u8, u8), (String, u64)>,
    /// Handles with their messages and which of its receives they are of.
    handles: Vec<(String, String, u32)>,
    /// Attempts with their messages' handles, and when they are forgotten.
    attempts: BTreeMap<u8, (Vec<String>, u64)>,
}

impl Model {
    fn is_expired(&self, message: &Known) -> bool {
        message.sent_at + self.setup.retention <= self.now
    }

    fn is_dead(&self, message: &Known) -> bool {
        self.setup.most_receives.is_some_and(|most| message.receives >= most)
    }

    /// What can be received or become a dead letter, in the order of each group.
    fn available(&self) -> Vec<&Known> {
        let alive: Vec<&Known> =
            self.messages.iter().filter(|message| !self.is_expired(message)).collect();
        if !self.setup.is_fifo {
            return alive.into_iter().filter(|message| message.visible_at <= self.now).collect();
        }
        let mut available = Vec::new();
        for group in 0..3 {
            let of_group: Vec<&Known> =
                alive.iter().copied().filter(|message| message.group == group).collect();
            let in_flight =
                |message: &&Known| message.receives > 0 && message.visible_at > self.now;
            if !of_group.iter().any(in_flight) {
                let visible = |message: &&Known| message.visible_at <= self.now;
                available.extend(of_group.into_iter().take_while(visible));
            }
        }
        available
    }

    fn message(&mut self, body: &str) -> Option<&mut Known> {
        self.messages.iter_mut().find(|message| message.body == body)
    }

    /// The handles of an attempt that can be repeated.
    fn repeatable(&self, attempt: Option<u8>) -> Option<Vec<String>> {
        let (handles, until) = self.attempts.get(&attempt?)?;
        let untouched = |handle: &String| {
            let (_, body, receives) =
                self.handles.iter().find(|(known, ..)| known == handle).unwrap();
            self.messages.iter().any(|message| {
                message.body == *body
                    && message.receives == *receives
                    && message.visible_at > self.now
                    && !self.is_expired(message)
            })
        };
        (*until > self.now && handles.iter().all(untouched)).then(|| handles.clone())
    }
}

/// The queue, and what it is held to.
struct Trial {
    open: Option<Queues>,
    clock: Arc<ManualClock>,
    shutdown: watch::Sender<bool>,
    name: String,
    dead: String,
    model: Model,
    sent: u64,
}

async fn open(folder: &Path, clock: &Arc<ManualClock>) -> (Queues, watch::Sender<bool>) {
    let store = loop {
        // The server before may hold it for a moment still.
        match Store::open(&StoreOptions::new(folder)).await {
            Ok(store) => break store,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let (shutdown, ended) = watch::channel(false);
    let clock: Arc<dyn Clock> = Arc::clone(clock) as Arc<dyn Clock>;
    let options = QueuesOptions { store, clock, shutdown: ended };
    (Queues::start(options).await.unwrap(), shutdown)
}

impl Trial {
    async fn begin(folder: &Path, setup: Setup) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(1_000_000_000_000);
        let (queues, shutdown) = open(folder, &clock).await;
        let end = if setup.is_fifo { ".fifo" } else { "" };
        let (name, dead) = (format!("q{end}"), format!("dead{end}"));
        let mut attributes = Attributes::new();
        let mut set = |name: &str, value: String| attributes.insert(name.to_owned(), value);
        if setup.is_fifo {
            set("FifoQueue", "true".to_owned());
        }
        let plain = CreateQueue { name: dead.clone(), arn: arn(&dead), ..CreateQueue::default() };
        let dead_attributes: Attributes = setup
            .is_fifo
            .then(|| ("FifoQueue".to_owned(), "true".to_owned()))
            .into_iter()
            .collect();
        queues.create(CreateQueue { attributes: dead_attributes, ..plain }).await.unwrap();
        set("DelaySeconds", (setup.delay / 1000).to_string());
        set("MessageRetentionPeriod", (setup.retention / 1000).to_string());
        if setup.is_fifo && setup.by_group {
            set("DeduplicationScope", "messageGroup".to_owned());
        }
        if let Some(most) = setup.most_receives {
            let target = arn(&dead);
            set(
                "RedrivePolicy",
                format!(r#"{{"deadLetterTargetArn":"{target}","maxReceiveCount":{most}}}"#),
            );
        }
        let queue =
            CreateQueue { name: name.clone(), arn: arn(&name), attributes, tags: Vec::new() };
        queues.create(queue).await.unwrap();
        let model = Model {
            setup,
            now: clock.now_millis(),
            messages: Vec::new(),
            remembered: BTreeMap::new(),
            handles: Vec::new(),
            attempts: BTreeMap::new(),
        };
        Self { open: Some(queues), clock, shutdown, name, dead, model, sent: 0 }
    }

    async fn take(&mut self, folder: &Path, step: Step) {
        match step {
            Step::Send(messages) => self.send(messages).await,
            Step::Receive { limit, seconds, attempt } => {
                self.receive(limit, seconds, attempt.filter(|_| self.model.setup.is_fifo)).await;
            }
            Step::Delete(which) => self.delete(which).await,
            Step::Change(which, seconds) => self.change(which, seconds).await,
            Step::Wait(millis) => {
                self.clock.advance(millis);
                self.model.now += millis;
            }
            Step::Purge => {
                self.queues().purge(&self.name).await.unwrap();
                self.model.messages.clear();
            }
            Step::Restart => {
                self.shutdown.send_replace(true);
                self.open = None;
                let (queues, shutdown) = open(folder, &self.clock).await;
                (self.open, self.shutdown) = (Some(queues), shutdown);
            }
        }
        self.compare_counts().await;
    }

    fn queues(&self) -> &Queues {
        self.open.as_ref().unwrap()
    }

    async fn send(&mut self, messages: Vec<(u8, u8)>) {
        let is_fifo = self.model.setup.is_fifo;
        let mut sent = Vec::new();
        for (group, name) in &messages {
            self.sent += 1;
            sent.push(Message {
                body: self.sent.to_string(),
                group: Some(group.to_string()),
                deduplication_id: is_fifo.then(|| name.to_string()),
                ..Message::default()
            });
        }
        let answers = self.queues().send(&self.name, sent.clone()).await.unwrap();
        for ((answer, message), (group, name)) in answers.into_iter().zip(sent).zip(messages) {
            let answer = answer.unwrap();
            let model = &mut self.model;
            if is_fifo {
                let scope = if model.setup.by_group { group } else { 0 };
                let known = model.remembered.get(&(scope, name));
                if let Some((id, _)) = known.filter(|(_, until)| *until > model.now) {
                    assert_eq!(*id, answer.message_id, "a second one is the first");
                    continue;
                }
                let until = model.now + MEMORY;
                model.remembered.insert((scope, name), (answer.message_id, until));
            }
            model.messages.push(Known {
                body: message.body,
                group,
                sent_at: model.now,
                visible_at: model.now + model.setup.delay,
                receives: 0,
                received_at: 0,
            });
        }
    }

    async fn receive(&mut self, limit: i64, seconds: i64, attempt: Option<u8>) {
        let receive = Receive {
            limit,
            visibility_seconds: Some(seconds),
            wait_seconds: Some(0),
            attempt: attempt.map(|attempt| attempt.to_string()),
        };
        let received = self.queues().receive(&self.name, &receive).await.unwrap();
        let visible_at = self.model.now + seconds.unsigned_abs() * 1000;
        if let Some(handles) = self.model.repeatable(attempt) {
            let found: Vec<String> =
                received.iter().map(|one| one.receipt_handle.clone()).collect();
            assert_eq!(found, handles, "an attempt is repeated");
            for one in received {
                self.model.message(&one.body).unwrap().visible_at = visible_at;
            }
            return;
        }
        self.check_order(&received, limit);
        self.bury().await;
        let now = self.model.now;
        for one in &received {
            let message = self.model.message(&one.body).expect("it is in the queue");
            message.receives += 1;
            message.visible_at = visible_at;
            message.received_at = now;
            assert_eq!(one.receive_count, message.receives);
            let receives = message.receives;
            let handle = (one.receipt_handle.clone(), one.body.clone(), receives);
            self.model.handles.push(handle);
        }
        if let Some(attempt) = attempt.filter(|_| !received.is_empty()) {
            let handles = received.into_iter().map(|one| one.receipt_handle).collect();
            self.model.attempts.insert(attempt, (handles, now + MEMORY));
        }
    }

    /// That these are messages which can be received now, as many as there are and in their order.
    fn check_order(&self, received: &[Received], limit: i64) {
        let model = &self.model;
        let alive: Vec<&Known> =
            model.available().into_iter().filter(|message| !model.is_dead(message)).collect();
        let expected = alive.len().min(usize::try_from(limit).unwrap());
        assert_eq!(received.len(), expected, "as many as there are: {alive:?}");
        let bodies: BTreeSet<&String> = received.iter().map(|one| &one.body).collect();
        assert_eq!(bodies.len(), received.len(), "none twice");
        for group in 0..3 {
            let label = Some(group.to_string());
            let found: Vec<&String> =
                received.iter().filter(|one| one.group == label).map(|one| &one.body).collect();
            let possible = alive.iter().filter(|message| message.group == group);
            let possible: Vec<&String> = possible.map(|message| &message.body).collect();
            if model.setup.is_fifo {
                assert_eq!(found, possible[..found.len()], "the first of their group");
            } else {
                assert!(found.iter().all(|body| possible.contains(body)), "visible ones");
            }
        }
    }

    /// Takes note of what has become a dead letter.
    async fn bury(&mut self) {
        let receive = Receive { limit: 10, wait_seconds: Some(0), ..Receive::default() };
        loop {
            let letters = self.queues().receive(&self.dead, &receive).await.unwrap();
            if letters.is_empty() {
                return;
            }
            let handles: Vec<String> =
                letters.iter().map(|letter| letter.receipt_handle.clone()).collect();
            self.queues().delete_messages(&self.dead, &handles).await.unwrap();
            for letter in letters {
                let available = self.model.available();
                let found = available.iter().find(|message| message.body == letter.body);
                let found = found.expect("a dead letter was to be received");
                assert!(self.model.is_dead(found), "a dead letter was received often enough");
                assert_eq!(letter.receive_count, found.receives + 1);
                self.model.messages.retain(|message| message.body != letter.body);
            }
        }
    }

    async fn delete(&mut self, which: usize) {
        let Some((handle, body, receives)) = self.pick(which) else { return };
        let answers = self.queues().delete_messages(&self.name, &[handle]).await.unwrap();
        let is_fifo = self.model.setup.is_fifo;
        let now = self.model.now;
        let Some(message) = self.model.message(&body) else {
            answers[0].as_ref().expect("what is gone is gone");
            return;
        };
        let is_latest = message.receives == receives;
        let is_visible = message.visible_at <= now;
        if is_fifo && (!is_latest || is_visible) {
            let message = message.clone();
            let is_gone = self.model.is_expired(&message);
            assert!(answers[0].is_err() || is_gone, "its handle has expired");
            return;
        }
        answers[0].as_ref().expect("it is deleted, or the handle is passed over");
        if is_latest {
            self.model.messages.retain(|message| message.body != body);
        }
    }

    async fn change(&mut self, which: usize, seconds: i64) {
        let Some((handle, body, receives)) = self.pick(which) else { return };
        let changes = [(handle, seconds)];
        let answers = self.queues().change_visibility(&self.name, &changes).await.unwrap();
        let now = self.model.now;
        let visible_at = now + seconds.unsigned_abs() * 1000;
        let changed = match self.model.message(&body) {
            None => false,
            Some(message) => {
                message.receives == receives
                    && message.visible_at > now
                    && visible_at <= message.received_at + LONGEST_FLIGHT
            }
        };
        let expired = self.model.message(&body).cloned();
        if expired.is_some_and(|message| self.model.is_expired(&message)) {
            return;
        }
        assert_eq!(answers[0].is_ok(), changed, "{:?}", answers[0]);
        if changed {
            self.model.message(&body).unwrap().visible_at = visible_at;
        }
    }

    fn pick(&self, which: usize) -> Option<(String, String, u32)> {
        let handles = &self.model.handles;
        handles.get(which.checked_rem(handles.len())?).cloned()
    }

    async fn compare_counts(&self) {
        let model = &self.model;
        // What is too old may be there until it is in somebody's way.
        if model.messages.iter().any(|message| model.is_expired(message)) {
            return;
        }
        let attributes = self.queues().attributes(&self.name).await.unwrap();
        let count = |of: &dyn Fn(&&Known) -> bool| model.messages.iter().filter(of).count();
        let hidden = |message: &&Known| message.visible_at > model.now;
        for (name, expected) in [
            ("", count(&|message| !hidden(message))),
            ("NotVisible", count(&|message| hidden(message) && message.receives > 0)),
            ("Delayed", count(&|message| hidden(message) && message.receives == 0)),
        ] {
            let name = format!("ApproximateNumberOfMessages{name}");
            assert_eq!(attributes[&name], expected.to_string(), "{name}");
        }
    }
}

fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

#[tokio::test]
async fn a_message_in_flight_that_is_too_old_frees_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let setup =
        Setup { is_fifo: true, by_group: false, most_receives: None, retention: 60_000, delay: 0 };
    let mut trial = Trial::begin(folder.path(), setup).await;
    let receive = Step::Receive { limit: 10, seconds: 40, attempt: None };
    for step in [
        Step::Send(vec![(0, 0)]),
        Step::Wait(50_000),
        receive.clone(),
        Step::Send(vec![(0, 1)]),
        Step::Wait(11_000),
        receive,
    ] {
        trial.take(folder.path(), step).await;
    }
    assert_eq!(trial.model.handles.len(), 2, "both were received");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_queue_does_what_its_model_allows(
        setup in setup(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let mut trial = Trial::begin(folder.path(), setup).await;
            for step in steps {
                trial.take(folder.path(), step).await;
            }
        });
    }
}
