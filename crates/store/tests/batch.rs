//! Jobs of Batch that depend on each other, through random lives.

use std::collections::HashMap;

use bessemer_domain::{
    Asked, BatchCounts, BatchStatus, FailureClass, JobEvent, JobId, JobKind, Limits, Moment,
    Outcome, RetryPolicy, StateName,
};
use bessemer_store::{
    BatchJob, BatchJobQuery, Job, NewBatchBody, NewBatchJob, NewJob, Store, StoreError,
    StoreOptions,
};
use proptest::prelude::*;

const SIZE: u32 = 3;

fn new_job(id: &str) -> NewJob {
    NewJob {
        kind: JobKind::Batch,
        name: id.to_owned(),
        arn: format!("arn:{id}"),
        request: "{}".to_owned(),
        tags: Vec::new(),
        priority: 0,
        share: String::new(),
        cores: 1,
        memory: 1,
        instance_type: String::new(),
        instance_count: 1,
        note: None,
        policy: RetryPolicy { attempts: 1, ..RetryPolicy::default() },
        requested_attempts: None,
        limits: Limits::default(),
    }
}

fn row(id: &str, parent: Option<(String, u32)>, after: Vec<String>) -> NewBatchJob {
    NewBatchJob {
        id: id.to_owned(),
        arn: format!("arn:{id}"),
        name: "job".to_owned(),
        queue: "queue".to_owned(),
        definition: "definition:1".to_owned(),
        parent,
        body: NewBatchBody::Job(Box::new(new_job(id)), 0),
        after,
    }
}

/// A submission that depends on earlier ones.
#[derive(Debug, Clone)]
struct Plan {
    is_array: bool,
    is_sequential: bool,
    /// Which earlier ones, and whether child by child.
    after: Vec<(prop::sample::Index, bool)>,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let after = proptest::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..3);
    let plan = (any::<bool>(), any::<bool>(), after)
        .prop_map(|(is_array, is_sequential, after)| Plan { is_array, is_sequential, after });
    proptest::collection::vec(plan, 1..6)
}

/// The rows of submission number `number`, as Batch's front makes them.
fn rows(number: usize, plans: &[Plan]) -> Vec<NewBatchJob> {
    let plan = &plans[number];
    let id = number.to_string();
    let earlier = |index: &prop::sample::Index| (number > 0).then(|| index.index(number));
    let after = |place: Option<u32>| {
        let mut after = Vec::new();
        for (index, is_pairwise) in &plan.after {
            let Some(other) = earlier(index) else { continue };
            match place.filter(|_| *is_pairwise && plans[other].is_array) {
                Some(place) => after.push(format!("{other}:{place}")),
                None => after.push(other.to_string()),
            }
        }
        if let Some(before) = place.filter(|_| plan.is_sequential).and_then(|at| at.checked_sub(1))
        {
            after.push(format!("{id}:{before}"));
        }
        after.sort();
        after.dedup();
        after
    };
    if !plan.is_array {
        return vec![row(&id, None, after(None))];
    }
    let mut rows = Vec::new();
    for place in 0..SIZE {
        rows.push(row(&format!("{id}:{place}"), Some((id.clone(), place)), after(Some(place))));
    }
    let body = NewBatchBody::Array("{}".to_owned());
    rows.push(NewBatchJob { body, ..row(&id, None, Vec::new()) });
    rows
}

struct World {
    store: Store,
    /// What each job that runs waits for.
    after: HashMap<String, Vec<String>>,
    now: u64,
}

impl World {
    async fn apply(&mut self, id: JobId, event: JobEvent) -> bool {
        self.now += 1;
        let at = Moment { now: self.now, unit: 0.5 };
        match self.store.jobs().advance(id, event, at).await {
            Ok(_) => true,
            Err(StoreError::Refused(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// Does all that is to be done. There is an end to it.
    async fn see_to_all(&mut self) {
        for _ in 0..200 {
            let to_do = self.store.batch().to_do(10).await.expect("it is read");
            if to_do.is_empty() {
                return;
            }
            for (id, to_do) in to_do {
                assert!(self.apply(id, to_do.event()).await, "{to_do} can't be done");
            }
        }
        panic!("something is always to be done");
    }

    async fn get(&self, id: &str) -> BatchJob {
        self.store.batch().get(id).await.expect("it is read").expect("it is there")
    }

    async fn row(&self, id: JobId) -> Job {
        self.store.jobs().get_by_id(id).await.expect("it is read").expect("it is there")
    }

    async fn queued(&self) -> Vec<(JobId, String)> {
        let waiting = self.store.jobs().waiting().await.expect("they are read");
        waiting.into_iter().map(|job| (job.id, job.name)).collect()
    }

    /// Runs a job to its end.
    async fn run(&mut self, (id, name): (JobId, String), succeeds: bool, terminated: bool) {
        for other in &self.after[&name] {
            assert_eq!(self.get(other).await.status, BatchStatus::Succeeded, "{name} on {other}");
        }
        let admitted = JobEvent::Admitted { owner: "me".to_owned(), lease_until: u64::MAX >> 1 };
        assert!(self.apply(id, admitted).await);
        let token = self.row(id).await.lifecycle.token;
        if terminated {
            self.store.batch().ask(&name, Asked::Terminate, "why").await.expect("it is kept");
            self.see_to_all().await;
        }
        let outcome = if succeeds {
            Outcome::Succeeded { result: None }
        } else {
            Outcome::failed(FailureClass::Algorithm, "boom")
        };
        assert!(self.apply(id, JobEvent::Ended { token, outcome }).await);
        let job = self.get(&name).await;
        let expected = succeeds && !terminated;
        assert_eq!(job.status == BatchStatus::Succeeded, expected, "{name}");
    }

    /// An array's counts and status are those of its children.
    async fn check(&self, plans: &[Plan]) {
        for (number, _) in plans.iter().enumerate().filter(|(_, plan)| plan.is_array) {
            let array = self.get(&number.to_string()).await;
            let parent = Some(number.to_string());
            let query = BatchJobQuery { parent, limit: 100, ..BatchJobQuery::default() };
            let children = self.store.batch().list(&query).await.expect("they are read").jobs;
            let mut counts = BatchCounts::default();
            for child in &children {
                counts.add(child.status);
                let job = child.job.expect("a child has a row");
                let job = self.row(job).await;
                assert_eq!(child.status, BatchStatus::of(job.lifecycle.state.name()));
            }
            assert_eq!(array.array.expect("it is one").counts, counts);
            assert_eq!(array.status, counts.status());
        }
    }
}

async fn live(plans: Vec<Plan>, steps: Vec<(u8, prop::sample::Index)>) {
    let directory = tempfile::tempdir().expect("a directory");
    let store = Store::open(&StoreOptions::new(directory.path())).await.expect("a store");
    let mut world = World { store, after: HashMap::new(), now: 1 };
    let mut submitted = 0;
    let mut steps = steps.into_iter();
    loop {
        world.see_to_all().await;
        world.check(&plans[..submitted]).await;
        let queued = world.queued().await;
        if submitted < plans.len() && (queued.is_empty() || submitted < 2) {
            let rows = rows(submitted, &plans);
            world.after.extend(rows.iter().map(|row| (row.id.clone(), row.after.clone())));
            world.store.batch().submit(rows, Vec::new(), world.now).await.expect("they are new");
            submitted += 1;
            continue;
        }
        if queued.is_empty() {
            break;
        }
        let step = steps.next();
        let pick = |count: usize| step.map_or(0, |(_, index)| index.index(count));
        let kind = step.map_or(0, |(kind, _)| kind);
        let one = queued[pick(queued.len())].clone();
        match kind {
            0..=5 => world.run(one, true, false).await,
            6 => world.run(one, false, false).await,
            7 => world.run(one, true, true).await,
            _ => {
                let id = pick(submitted).to_string();
                let asked = if kind == 8 { Asked::Cancel } else { Asked::Terminate };
                world.store.batch().ask(&id, asked, "why").await.expect("it is kept");
            }
        }
    }
    for number in 0..plans.len() {
        let job = world.get(&number.to_string()).await;
        assert!(job.status.is_final(), "{number} is {}", job.status);
        assert!(job.ended_at.is_some());
    }
    let open = world.store.jobs().waiting().await.expect("they are read");
    assert!(open.iter().all(|job| job.state == StateName::Held), "{open:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_job_ends_and_none_begins_before_what_it_depends_on(
        plans in plans(),
        steps in proptest::collection::vec((0_u8..10, any::<prop::sample::Index>()), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(live(plans, steps));
    }
}
