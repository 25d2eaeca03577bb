//! Goes through all jobs that a search could be about, some at a time.

use std::collections::HashMap;

use bessemer_domain::{JobId, JobKind};
use bessemer_store::{Documents, Job, JobQuery};
use serde_json::{Value, json};

use super::{
    super::error::Error, compare::property, expression::Expression, order::Place, record::Resource,
};
use crate::platform::Platform;

/// Jobs that are looked at at once.
const BATCH: u32 = 500;

/// Where the records that match stand, by property `sort_by`.
pub(super) async fn places(
    platform: &Platform,
    resource: Resource,
    expression: Option<&Expression>,
    sort_by: &str,
) -> Result<Vec<Place>, Error> {
    let mut places = Vec::new();
    let mut query = JobQuery { kind: resource.kind(), limit: BATCH, ..JobQuery::default() };
    if let (Resource::TrainingJob, Some(expression)) = (resource, expression) {
        expression.narrow(&mut query);
    }
    loop {
        let found = platform.jobs.list(&query).await?;
        let mut documents = documents(platform, &found.jobs).await?;
        for job in found.jobs.into_iter().filter(|job| job.kind != JobKind::Batch) {
            // A job and its documents come and go together.
            let Some(documents) = documents.remove(&job.id) else { continue };
            let number = job.id.0;
            let record = resource.to_filter(job, &documents)?;
            if expression.is_none_or(|expression| expression.matches(&record)) {
                let key = property(&record, sort_by).first().map(|key| (*key).clone());
                places.push(Place { key: key.unwrap_or_default(), job: number });
            }
        }
        query.page = found.next;
        if query.page.is_none() {
            return Ok(places);
        }
    }
}

/// The records at some places, as results.
pub(super) async fn records(
    platform: &Platform,
    resource: Resource,
    places: &[Place],
) -> Result<Vec<Value>, Error> {
    let mut results = Vec::with_capacity(places.len());
    for place in places {
        let Some(job) = platform.store.jobs().get_by_id(JobId(place.job)).await? else { continue };
        let documents = platform.jobs.documents(&job).await?;
        let history = platform.jobs.history(&job).await?;
        let record = resource.to_answer(job, &documents, &history)?;
        results.push(json!({ resource.member(): record }));
    }
    Ok(results)
}

async fn documents(platform: &Platform, jobs: &[Job]) -> Result<HashMap<JobId, Documents>, Error> {
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    Ok(platform.store.jobs().documents_of(&ids).await?.into_iter().collect())
}
