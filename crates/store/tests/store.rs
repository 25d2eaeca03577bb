//! The store as its callers see it.

use std::{collections::HashSet, time::Duration};

use bessemer_domain::{
    FailureClass, JobEvent, JobKind, JobState, Limits, Moment, Outcome, Phase, ProcessId, Refused,
    RetryPolicy, StateName, Token,
};
use bessemer_store::{
    Job, JobQuery, JobSort, Model, ModelQuery, NewJob, Store, StoreError, StoreOptions, Tag,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

async fn open(directory: &TempDir) -> Store {
    Store::open(&StoreOptions::new(directory.path())).await.expect("a store")
}

/// Opens the directory again, as soon as the last holder's tasks have let go of it.
async fn reopen(directory: &TempDir) -> Store {
    loop {
        match Store::open(&StoreOptions::new(directory.path())).await {
            Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
            opened => return opened.expect("a store"),
        }
    }
}

async fn beside(directory: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(directory.path().join("bessemer.db"));
    options.connect().await.expect("a connection")
}

fn new_job(name: &str) -> NewJob {
    NewJob {
        kind: JobKind::Training,
        name: name.into(),
        arn: format!("arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"),
        request: r#"{"a": 1}"#.into(),
        tags: vec![Tag::new("team", "search")],
        priority: 0,
        share: "search".into(),
        cores: 1,
        memory: 1 << 20,
        instance_type: "ml.m5.large".into(),
        instance_count: 1,
        note: None,
        policy: RetryPolicy { attempts: 2, ..RetryPolicy::default() },
        requested_attempts: None,
        limits: Limits::default(),
    }
}

fn at(now: u64) -> Moment {
    Moment { now, unit: 1.0 }
}

async fn advance(store: &Store, job: &Job, event: JobEvent, now: u64) -> Job {
    store.jobs().advance(job.id, event, at(now)).await.expect("the event is accepted").job
}

fn admitted(owner: &str) -> JobEvent {
    JobEvent::Admitted { owner: owner.into(), lease_until: 30_000 }
}

#[tokio::test]
async fn a_job_with_all_it_went_through_is_there_after_a_restart() {
    let directory = directory();
    let process = ProcessId { pid: 42, started_ticks: 4_711, boot: "b".into() };
    let job = {
        let store = open(&directory).await;
        let job = store.jobs().submit(new_job("churn"), 1_000).await.expect("it is new");
        let job = advance(&store, &job, admitted("first"), 1_010).await;
        let token = job.lifecycle.token;
        let launched = JobEvent::Launched { token, process: Some(process.clone()) };
        let job = advance(&store, &job, launched, 1_020).await;
        let outcome = Outcome::Failed {
            class: FailureClass::Infrastructure,
            message: "killed".into(),
            result: Some(r#"{"exit": 137}"#.into()),
        };
        advance(&store, &job, JobEvent::Ended { token, outcome }, 1_500).await
    };
    let store = reopen(&directory).await;
    let found = store.jobs().get(JobKind::Training, "churn").await.expect("it can be read");
    assert_eq!(found.as_ref(), Some(&job));
    let (class, message) = (FailureClass::Infrastructure, "killed".to_owned());
    assert_eq!(job.lifecycle.state, JobState::Backoff { until: 2_500, class, message });
    assert_eq!((job.started_at, job.ended_at, job.modified_at), (Some(1_020), None, 1_500));
    let documents = store.jobs().documents(job.id).await.expect("they are there");
    assert_eq!(documents.result.as_deref(), Some(r#"{"exit": 137}"#));
    let attempts = store.jobs().attempts(job.id).await.expect("they can be read");
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0].process, Some(process));
    assert_eq!((attempts[0].owner.as_str(), attempts[0].ended_at), ("first", Some(1_500)));
    assert_eq!(attempts[0].class, Some(FailureClass::Infrastructure));
    let history = store.jobs().history(job.id).await.expect("it can be read");
    let told: Vec<_> = history.iter().map(|entry| (entry.event.as_str(), entry.state)).collect();
    let expected = [
        ("submitted", StateName::Queued),
        ("admitted", StateName::Starting),
        ("launched", StateName::Running),
        ("ended", StateName::Backoff),
    ];
    assert_eq!(told, expected);
    let events = store.outbox().after(0, 100).await.expect("they can be read");
    assert_eq!(events.len(), history.len());
    assert!(events[3].body.contains(r#""class":"infrastructure""#), "{}", events[3].body);
    assert_eq!(*store.outbox().latest().borrow(), events[3].seq);
    assert_eq!(store.tags().list(&job.arn).await.expect("tags").len(), 1);
}

#[tokio::test]
async fn a_refused_event_leaves_nothing_behind() {
    let directory = directory();
    let store = open(&directory).await;
    let job = store.jobs().submit(new_job("a"), 1).await.expect("it is new");
    let job = advance(&store, &job, admitted("first"), 2).await;
    let old = job.lifecycle.token;
    let adopt = JobEvent::Adopted { token: old, owner: "second".into(), lease_until: 9 };
    let adopted = advance(&store, &job, adopt, 3).await;
    let late = JobEvent::Ended { token: old, outcome: Outcome::Succeeded { result: None } };
    let refused = store.jobs().advance(job.id, late, at(4)).await;
    let stale = Refused::StaleToken { given: old, current: Token(old.0 + 1) };
    assert!(matches!(refused, Err(StoreError::Refused(found)) if found == stale));
    let found = store.jobs().get(JobKind::Training, "a").await.expect("it can be read");
    assert_eq!(found, Some(adopted));
    assert_eq!(store.jobs().history(job.id).await.expect("it can be read").len(), 3);
    assert_eq!(store.outbox().after(0, 9).await.expect("they can be read").len(), 3);
}

#[tokio::test]
async fn of_many_writes_at_once_the_failing_ones_fail_alone() {
    let directory = directory();
    let store = open(&directory).await;
    // Each name twice: of each pair one is refused, and its history and event with it.
    let submit = |index: usize| {
        let store = store.clone();
        async move { store.jobs().submit(new_job(&format!("job-{}", index / 2)), 1).await }
    };
    let results = futures::future::join_all((0..400).map(submit)).await;
    let made = results.iter().filter(|result| result.is_ok()).count();
    let exist = results
        .iter()
        .filter(|result| matches!(result, Err(StoreError::AlreadyExists { .. })))
        .count();
    assert_eq!((made, exist), (200, 200));
    let events = store.outbox().after(0, 1_000).await.expect("they can be read");
    assert_eq!(events.len(), 200);
}

#[tokio::test]
async fn leases_are_renewed_for_their_owner_only() {
    let directory = directory();
    let store = open(&directory).await;
    for (name, owner) in [("a", "me"), ("b", "other")] {
        let job = store.jobs().submit(new_job(name), 1).await.expect("it is new");
        advance(&store, &job, admitted(owner), 2).await;
    }
    store.jobs().submit(new_job("c"), 1).await.expect("it is new");
    store.jobs().renew_leases("me", 50_000).await.expect("they are renewed");
    let leased = store.jobs().leased().await.expect("they can be read");
    let until: Vec<_> = leased.iter().map(|job| job.lifecycle.state.lease_until()).collect();
    assert_eq!(until, [Some(50_000), Some(30_000)]);
    let waiting = store.jobs().waiting().await.expect("they can be read");
    assert_eq!(waiting.len(), 1);
}

/// Walks through all pages, and lets `between` add jobs after each.
async fn walk(store: &Store, query: &JobQuery, added: &mut u64) -> Vec<Job> {
    let mut seen = Vec::new();
    let mut query = query.clone();
    loop {
        let page = store.jobs().list(&query).await.expect("the page can be read");
        seen.extend(page.jobs);
        let Some(next) = page.next else { return seen };
        query.page = Some(next);
        for _ in 0..3 {
            *added += 1;
            let new = new_job(&format!("{}-added-{added}", *added % 7));
            store.jobs().submit(new, *added * 37 % 1_000).await.expect("it is new");
        }
    }
}

#[tokio::test]
async fn pages_stay_right_while_jobs_are_added() {
    let directory = directory();
    let store = open(&directory).await;
    let mut first = HashSet::new();
    for index in 0..60_u64 {
        let mut new = new_job(&format!("{:02}-job", index * 7 % 60));
        new.kind = if index % 3 == 0 { JobKind::Transform } else { JobKind::Training };
        let job = store.jobs().submit(new, 100 + index % 10).await.expect("it is new");
        if index % 4 == 0 {
            let stop = store.jobs().advance(job.id, JobEvent::StopRequested, at(200)).await;
            stop.expect("it can be stopped");
        }
        first.insert(job.name);
    }
    let mut added = 0;
    for sort in [JobSort::Created, JobSort::Name, JobSort::Status] {
        for descending in [false, true] {
            let query = JobQuery { sort, descending, limit: 7, ..JobQuery::default() };
            let seen = walk(&store, &query, &mut added).await;
            let names: Vec<&String> = seen.iter().map(|job| &job.name).collect();
            let unique: HashSet<&String> = names.iter().copied().collect();
            assert_eq!(unique.len(), names.len(), "{query:?} shows jobs twice");
            assert!(first.iter().all(|name| unique.contains(name)), "{query:?} loses jobs");
            let key = |job: &Job| {
                let phase = job.lifecycle.state.name().phase().as_str();
                match sort {
                    JobSort::Created => (String::new(), job.created_at, job.id),
                    JobSort::Name => (job.name.clone(), 0, job.id),
                    JobSort::Status => (phase.to_owned(), job.created_at, job.id),
                }
            };
            let in_order = |pair: &[Job]| (key(&pair[0]) < key(&pair[1])) != descending;
            assert!(seen.windows(2).all(in_order), "{query:?} is out of order");
        }
    }
}

#[tokio::test]
async fn filters_hold_together() {
    let directory = directory();
    let store = open(&directory).await;
    for (index, name) in ["churn-1", "churn-2", "spend-1", "spend-2"].into_iter().enumerate() {
        let mut new = new_job(name);
        new.kind = if index == 1 { JobKind::Processing } else { JobKind::Training };
        let job = store.jobs().submit(new, 100 + index as u64).await.expect("it is new");
        if index == 2 {
            let stop = store.jobs().advance(job.id, JobEvent::StopRequested, at(900)).await;
            stop.expect("it can be stopped");
        }
    }
    let names = async |query: JobQuery| {
        let page = store.jobs().list(&JobQuery { limit: 9, ..query }).await.expect("a page");
        page.jobs.into_iter().map(|job| job.name).collect::<Vec<_>>().join(" ")
    };
    let all = JobQuery::default;
    assert_eq!(
        names(JobQuery { name_contains: Some("rn".into()), ..all() }).await,
        "churn-1 churn-2"
    );
    let training = Some(JobKind::Training);
    assert_eq!(names(JobQuery { kind: training, ..all() }).await, "churn-1 spend-1 spend-2");
    let stopped = Some(Phase::Stopped);
    assert_eq!(names(JobQuery { phase: stopped, kind: training, ..all() }).await, "spend-1");
    let queued = Some(StateName::Queued);
    assert_eq!(names(JobQuery { state: queued, kind: training, ..all() }).await, "churn-1 spend-2");
    let (after, before) = (Some(101), Some(102));
    let created = JobQuery { created_after: after, created_before: before, ..all() };
    assert_eq!(names(created).await, "churn-2 spend-1");
    assert_eq!(names(JobQuery { modified_after: Some(500), ..all() }).await, "spend-1");
    assert_eq!(names(JobQuery { modified_before: Some(102), ..all() }).await, "churn-1 churn-2");
    let bad = JobQuery { page: Some("nonsense".into()), limit: 1, ..all() };
    assert!(matches!(store.jobs().list(&bad).await, Err(StoreError::BadPageToken(_))));
}

#[tokio::test]
async fn consumers_of_the_outbox_keep_their_own_places() {
    let directory = directory();
    let store = open(&directory).await;
    for name in ["a", "b", "c"] {
        store.jobs().submit(new_job(name), 10).await.expect("it is new");
    }
    let outbox = store.outbox();
    let seqs: Vec<i64> = outbox.after(0, 9).await.expect("events").iter().map(|e| e.seq).collect();
    outbox.done("mail", seqs[1]).await.expect("it is kept");
    outbox.done("mail", seqs[0]).await.expect("it is passed over");
    assert_eq!(outbox.position("mail").await.expect("it is there"), seqs[1]);
    assert_eq!(outbox.position("other").await.expect("it is new"), 0);
    assert_eq!(outbox.after(seqs[1], 9).await.expect("events").len(), 1);
    outbox.done("other", seqs[0]).await.expect("it is kept");
    assert_eq!(outbox.trim(100).await.expect("it is trimmed"), 1);
    assert_eq!(outbox.after(0, 9).await.expect("events").len(), 2);
}

#[tokio::test]
async fn models_and_their_tags_come_and_go_together() {
    let directory = directory();
    let store = open(&directory).await;
    let model = |name: &str, created_at| Model {
        name: name.into(),
        arn: format!("arn:{name}"),
        request: "{}".into(),
        created_at,
    };
    for (name, created) in [("b", 1), ("c", 2), ("a", 2)] {
        let tags = vec![Tag::new("team", name), Tag::new("stage", "test")];
        store.models().create(model(name, created), tags).await.expect("it is new");
    }
    let again = store.models().create(model("a", 3), vec![]).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists { .. })));
    for (by_name, descending, expected) in
        [(true, false, "abc"), (true, true, "cba"), (false, false, "bca"), (false, true, "acb")]
    {
        let mut query = ModelQuery { by_name, descending, limit: 1, ..ModelQuery::default() };
        let mut seen = String::new();
        loop {
            let page = store.models().list(&query).await.expect("a page");
            seen.extend(page.models.iter().map(|model| model.name.as_str()));
            query.page = page.next;
            if query.page.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected);
    }
    let tags = store.tags();
    tags.add("arn:a", vec![Tag::new("team", "new"), Tag::new("x", "y")]).await.expect("added");
    tags.remove("arn:a", vec!["stage".into(), "none".into()]).await.expect("removed");
    let expected = [Tag::new("team", "new"), Tag::new("x", "y")];
    assert_eq!(tags.list("arn:a").await.expect("tags"), expected);
    assert!(store.models().delete("a").await.expect("it is deleted"));
    assert!(!store.models().delete("a").await.expect("it is gone"));
    assert!(tags.list("arn:a").await.expect("tags").is_empty());
    assert_eq!(store.models().get("a").await.expect("it is gone"), None);
}

#[tokio::test]
async fn a_setting_is_the_last_that_was_set() {
    let directory = directory();
    let store = open(&directory).await;
    assert_eq!(store.settings().get("region").await.expect("it is absent"), None);
    for value in ["here", "there"] {
        store.settings().set("region", value).await.expect("it is set");
    }
    let value = store.settings().get("region").await.expect("it is there");
    assert_eq!(value.as_deref(), Some("there"));
}

#[tokio::test]
async fn a_database_of_a_later_release_is_left_alone() {
    let directory = directory();
    drop(open(&directory).await);
    let mut conn = beside(&directory).await;
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&mut conn).await.expect("it is set");
    conn.close().await.expect("it is closed");
    let refused = loop {
        match Store::open(&StoreOptions::new(directory.path())).await {
            Err(StoreError::InUse(_)) => tokio::task::yield_now().await,
            Err(error) => break error.to_string(),
            Ok(_) => panic!("a later release's database was opened"),
        }
    };
    assert!(refused.contains("is of version 99, and this release knows versions up to "));
}

#[tokio::test]
async fn a_locked_database_refuses_writes_and_takes_them_again() {
    let directory = directory();
    let options = StoreOptions {
        busy_timeout: Duration::from_millis(10),
        ..StoreOptions::new(directory.path())
    };
    let store = Store::open(&options).await.expect("a store");
    store.jobs().submit(new_job("before"), 1).await.expect("it is new");
    let mut conn = beside(&directory).await;
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut conn).await.expect("it is locked");
    let refused = store.jobs().submit(new_job("a"), 1).await.expect_err("it is locked");
    assert!(matches!(refused, StoreError::Busy) && refused.is_transient());
    let found = store.jobs().get(JobKind::Training, "before").await.expect("it can be read");
    assert!(found.is_some(), "reads go on");
    conn.close().await.expect("it is closed");
    store.jobs().submit(new_job("a"), 1).await.expect("nothing was left of it");
}

#[tokio::test]
async fn a_damaged_row_is_named() {
    let directory = directory();
    let store = open(&directory).await;
    let job = store.jobs().submit(new_job("a"), 1).await.expect("it is new");
    let mut conn = beside(&directory).await;
    let sql = "UPDATE jobs SET state = 'dancing'";
    sqlx::raw_sql(sql).execute(&mut conn).await.expect("it is written");
    let error = store.jobs().get(JobKind::Training, "a").await.expect_err("it is damaged");
    let expected = format!("row `{}` of table `jobs` is damaged in column `state`", job.id);
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_status_is_the_same_in_a_list_and_of_a_job() {
    let directory = directory();
    let store = open(&directory).await;
    for kind in JobKind::ALL {
        for class in FailureClass::ALL {
            let policy = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
            let limits = Limits { wait_millis: Some(10), ..Limits::default() };
            let new = NewJob { kind, policy, limits, ..new_job(class.as_str()) };
            let job = store.jobs().submit(new, 100).await.expect("it is new");
            if class == FailureClass::Capacity {
                advance(&store, &job, JobEvent::Due, 200).await;
                continue;
            }
            let admitted = JobEvent::Admitted { owner: "a".into(), lease_until: 500 };
            let token = advance(&store, &job, admitted, 101).await.lifecycle.token;
            let outcome = Outcome::failed(class, "it did");
            advance(&store, &job, JobEvent::Ended { token, outcome }, 102).await;
        }
    }
    for status in Phase::ALL {
        let query = JobQuery { status: Some(status), limit: 99, ..JobQuery::default() };
        let listed = store.jobs().list(&query).await.expect("a page").jobs;
        assert!(listed.iter().all(|job| job.status() == status), "{status}: {listed:?}");
        let count = match status {
            Phase::Stopped => 3,
            Phase::Failed => 21,
            _ => 0,
        };
        assert_eq!(listed.len(), count, "{status}");
    }
}
