//! What the tests of jobs share.

use bessemer_domain::{JobKind, Limits, RetryBackoff, RetryPolicy};
use bessemer_jobs::{NewJob, Tag};

/// A small job that is tried again a second after its attempt was lost.
pub(crate) fn new_job(name: &str) -> NewJob {
    NewJob {
        kind: JobKind::Training,
        name: name.into(),
        arn: format!("arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"),
        request: "{}".into(),
        tags: vec![Tag::new("team", "search")],
        priority: 0,
        share: "search".into(),
        cores: 1,
        memory: 100,
        instance_type: "ml.m5.large".into(),
        instance_count: 1,
        note: None,
        policy: RetryPolicy {
            attempts: 100,
            backoff: RetryBackoff { base_millis: 1_000, factor: 1.0, cap_millis: 1_000 },
            ..RetryPolicy::default()
        },
        requested_attempts: None,
        limits: Limits::default(),
    }
}
