//! Has searches go on: makes their training jobs, waits for them, and ends them.

use std::time::Duration;

use bessemer_domain::StateName;
use bessemer_jobs::JobsError;
use bessemer_store::{NewEvent, TuningRecord};
use futures::{FutureExt, future::select_all};
use serde_json::json;

use super::{
    super::{error::Error, training},
    KIND,
    children::{self, Child},
    decide::{Fate, Next, next},
    find,
    request::Search,
    request_of,
};
use crate::{caller::Caller, platform::Platform};

/// How long to wait before something is tried again that can't be met for now.
const PAUSE: Duration = Duration::from_secs(1);

/// What events of AWS's form are kept under.
const TOPIC: &str = "aws.sagemaker";

/// Takes up the searches that the last server left.
pub async fn resume_tuning(platform: &Platform) {
    match platform.store.tuning().open().await {
        Ok(open) => open.into_iter().for_each(|record| begin(platform, record)),
        Err(error) => tracing::error!(%error, "tuning jobs can't be taken up"),
    }
}

/// Has a search go on until its end, or that of the server.
pub(super) fn begin(platform: &Platform, record: TuningRecord) {
    let platform = platform.clone();
    tokio::spawn(async move {
        let name = record.name.clone();
        let read =
            request_of(&record).and_then(|input| Search::of(&input).map_err(Error::Validation));
        let done = match read {
            Ok(search) => drive(&platform, record, &search).await,
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            tracing::error!(tuning_job = name, %error, "a tuning job can't go on");
        }
    });
}

async fn drive(platform: &Platform, record: TuningRecord, search: &Search) -> Result<(), Error> {
    let mut known: Vec<Child> = Vec::new();
    let deadline = search.millis.map(|millis| record.created_at.saturating_add(millis));
    loop {
        match turn(platform, &record, search, deadline, &mut known).await {
            Ok(Turn::Over) => return Ok(()),
            Ok(Turn::Again) => {}
            Ok(Turn::Later) => tokio::time::sleep(PAUSE).await,
            Err(Error::Unavailable(why)) => {
                tracing::warn!(tuning_job = record.name, why, "a tuning job waits");
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

enum Turn {
    Again,
    Later,
    Over,
}

/// One decision, and what follows from it. The search is read anew each time: it may be told to stop
/// between the decision to make a training job and its making, and then stops that too.
async fn turn(
    platform: &Platform,
    record: &TuningRecord,
    search: &Search,
    deadline: Option<u64>,
    known: &mut Vec<Child>,
) -> Result<Turn, Error> {
    let Some(record) = platform.store.tuning().get(&record.name).await? else {
        return Ok(Turn::Over);
    };
    if record.ended_at.is_some() {
        return Ok(Turn::Over);
    }
    look(platform, &record, search, known).await?;
    let now = platform.clock.now_millis();
    let is_late = deadline.is_some_and(|deadline| deadline <= now);
    let fates: Vec<Fate> = known.iter().map(fate).collect();
    let open = known.iter().filter(|child| !child.has_ended());
    let open: Vec<String> = open.map(|child| child.job.name.clone()).collect();
    match next(search, &record.status, is_late, &fates) {
        Next::Launch(index) => launch(platform, &record, search, index, &open).await,
        Next::Wait => {
            let left = deadline.map(|deadline| deadline.saturating_sub(now));
            until_one_ends(platform, &open, left).await
        }
        Next::Stop => {
            for name in &open {
                stop_child(platform, name).await?;
            }
            until_one_ends(platform, &open, None).await
        }
        Next::End(status, failure) => {
            let end = Some((now, failure));
            let event = event(&record, status);
            platform.store.tuning().set_status(record.id, status, end, event, now).await?;
            Ok(Turn::Over)
        }
    }
}

/// Looks at the training jobs that may have gone on, and for those that are new.
async fn look(
    platform: &Platform,
    record: &TuningRecord,
    search: &Search,
    known: &mut Vec<Child>,
) -> Result<(), Error> {
    for index in 0..search.most {
        let at = index as usize;
        if known.get(at).is_some_and(Child::has_ended) {
            continue;
        }
        let Some(child) = children::find(platform, record, search, index).await? else { break };
        if at < known.len() {
            known[at] = child;
        } else {
            known.push(child);
        }
    }
    Ok(())
}

fn fate(child: &Child) -> Fate {
    match (child.score(), child.job.lifecycle.state.name()) {
        _ if !child.has_ended() => Fate::Open,
        (Some(value), _) => Fate::Scored(value),
        (None, StateName::Succeeded) => Fate::Silent,
        (None, _) => Fate::Failed,
    }
}

async fn launch(
    platform: &Platform,
    record: &TuningRecord,
    search: &Search,
    index: u32,
    open: &[String],
) -> Result<Turn, Error> {
    let mut input = search.training_job(record.seed, index);
    input["TrainingJobName"] = json!(children::name(record, index));
    input["TuningJobArn"] = json!(record.arn);
    let tags = platform.store.tags().list(&record.arn).await?;
    let tags = tags.iter().map(|tag| json!({ "Key": tag.key, "Value": tag.value }));
    input["Tags"] = tags.collect();
    match training::create(platform, &caller(record), &input).await {
        // By an earlier try of ours: nobody else makes this name.
        Ok(_) | Err(Error::TrainingJobExists(_)) => Ok(Turn::Again),
        // There is room when another job has ended.
        Err(Error::LimitExceeded(_)) if open.is_empty() => Ok(Turn::Later),
        Err(Error::LimitExceeded(_)) => until_one_ends(platform, open, Some(1_000)).await,
        Err(error @ (Error::Unavailable(_) | Error::Internal(_))) => Err(error),
        Err(error) => {
            let now = platform.clock.now_millis();
            let reason = format!("ClientError: Failed to create a training job: {error}");
            let end = Some((now, Some(reason)));
            let event = event(record, "Failed");
            platform.store.tuning().set_status(record.id, "Failed", end, event, now).await?;
            Ok(Turn::Over)
        }
    }
}

/// Who makes the training jobs: the search, in the region that it is of.
fn caller(record: &TuningRecord) -> Caller {
    let region = record.arn.split(':').nth(3).unwrap_or_default().to_owned();
    Caller { access_key: "tuning".to_owned(), read_only: false, region }
}

/// Returns when one of some training jobs has ended, or `millis` have gone by.
async fn until_one_ends(
    platform: &Platform,
    open: &[String],
    millis: Option<u64>,
) -> Result<Turn, Error> {
    if open.is_empty() {
        return Ok(Turn::Later);
    }
    let waits = open.iter().map(|name| platform.jobs.wait(KIND, name).boxed());
    let one = select_all(waits);
    let ended = match millis {
        None => one.await.0,
        Some(millis) => match tokio::time::timeout(Duration::from_millis(millis), one).await {
            Ok((ended, ..)) => ended,
            Err(_) => return Ok(Turn::Again),
        },
    };
    ended?;
    Ok(Turn::Again)
}

/// Asks a training job to end, unless it has.
pub(super) async fn stop_child(platform: &Platform, name: &str) -> Result<(), Error> {
    match platform.jobs.stop(KIND, name).await {
        Ok(_) | Err(JobsError::Refused(_) | JobsError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// That a search has another status.
pub(super) fn event(record: &TuningRecord, status: &str) -> NewEvent {
    let mut arn = record.arn.split(':').skip(3);
    let (region, account) = (arn.next().unwrap_or_default(), arn.next().unwrap_or_default());
    let body = json!({
        "version": "0",
        "detail-type": "SageMaker HyperParameter Tuning Job State Change",
        "source": TOPIC,
        "account": account,
        "region": region,
        "resources": [record.arn],
        "detail": {
            "HyperParameterTuningJobName": record.name,
            "HyperParameterTuningJobArn": record.arn,
            "HyperParameterTuningJobStatus": status,
        },
    });
    NewEvent { topic: TOPIC.to_owned(), subject: record.arn.clone(), body: body.to_string() }
}

/// Returns when a tuning job has come to its end, with what it has become.
pub(in super::super) async fn wait(platform: &Platform, name: &str) -> Result<TuningRecord, Error> {
    // Each change of a tuning job comes with an event; listened for first and looked at then.
    let mut latest = platform.store.outbox().latest();
    loop {
        latest.borrow_and_update();
        let record = find(platform, name).await?;
        if record.ended_at.is_some() {
            return Ok(record);
        }
        if latest.changed().await.is_err() {
            return Err(Error::Unavailable("the server is shutting down".to_owned()));
        }
    }
}
