//! What an operator has set for jobs, applied to each: priority, share, retries, quotas. Pure.

use std::{collections::BTreeMap, sync::Arc};

use bessemer_config::{Facts, QueueSettings, Quota, RetryRule};
use bessemer_domain::JobKind;
use bessemer_store::{Job, NewJob, QuotaCheck, Tag, WaitingJob};

use crate::{
    error::JobsError,
    queue::{Entry, Gate, GateKey},
    resources::Resources,
};

/// What an operator has set for jobs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policies {
    /// Priorities, shares, and how long to wait for room.
    pub queue: QueueSettings,
    /// How many there may be at once.
    pub quotas: Vec<Quota>,
    /// When failed attempts are followed by others; the first that selects a job is for it.
    pub retries: Vec<RetryRule>,
}

/// Priorities that a tag may give.
const PRIORITIES: std::ops::RangeInclusive<i32> = -1_000..=1_000;

impl Policies {
    /// Gives a job what is set for it.
    pub(crate) fn apply(&self, job: &mut NewJob) -> Result<(), JobsError> {
        let tag = |key: &str| job.tags.iter().rev().find(|tag| tag.key == key);
        if let Some(tag) = tag(&self.queue.priority_tag) {
            let priority =
                tag.value.trim().parse().ok().filter(|wanted| PRIORITIES.contains(wanted));
            job.priority = priority.ok_or_else(|| JobsError::BadPriority(tag.clone()))?;
        }
        let share = self.queue.share_tag.as_deref().and_then(tag);
        if let Some(tag) = share {
            job.share = tag.value.clone();
        }
        if let Some(wait) = self.queue.max_wait {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            job.limits.room_millis = Some(wait);
        }
        let facts = facts(job.kind, &job.name, &job.instance_type, &job.tags);
        if let Some(rule) = self.retries.iter().find(|rule| rule.jobs.selects(&facts)) {
            job.policy = rule.applied_to(job.policy.clone());
        }
        job.policy.attempts = job.requested_attempts.unwrap_or(job.policy.attempts);
        Ok(())
    }

    /// What has to be true for a job to be let in.
    pub(crate) fn checks(&self, job: &NewJob) -> Result<Vec<QuotaCheck>, JobsError> {
        let facts = facts(job.kind, &job.name, &job.instance_type, &job.tags);
        let mut checks = Vec::new();
        for quota in self.quotas.iter().filter(|quota| quota.jobs.selects(&facts)) {
            if let Some(limit) = quota.running.filter(|limit| job.instance_count > *limit) {
                return Err(JobsError::LimitExceeded {
                    label: quota.label.clone(),
                    limit,
                    current: 0,
                    delta: job.instance_count,
                });
            }
            let tag = quota.jobs.tag.as_ref();
            let tag = tag.and_then(|tag| Some((tag.key.clone(), tag.value_in(&facts)?.to_owned())));
            let glob = |pattern: &glob::Pattern| pattern.as_str().replace("[!", "[^");
            let check = |limit, waiting_only| QuotaCheck {
                label: quota.label.clone(),
                kind: quota.jobs.kind,
                name: quota.jobs.name.as_ref().map(glob),
                instance_type: quota.jobs.instance_type.as_ref().map(glob),
                tag: tag.clone(),
                waiting_only,
                limit,
            };
            checks.extend(quota.in_progress.map(|limit| check(limit, false)));
            checks.extend(quota.queued.map(|limit| check(limit, true)));
        }
        Ok(checks)
    }

    /// The quotas on running jobs that hold for a job.
    fn gates(&self, job: &Facts<'_>) -> Arc<[Gate]> {
        let gate = |(number, quota): (usize, &Quota)| {
            let limit = quota.running.filter(|_| quota.jobs.selects(job))?;
            let value = quota.jobs.tag.as_ref().and_then(|tag| tag.value_in(job));
            let key = GateKey(number, value.unwrap_or_default().into());
            Some(Gate { key, limit, label: quota.label.as_str().into() })
        };
        self.quotas.iter().enumerate().filter_map(gate).collect()
    }

    /// A job as the queue knows it.
    pub(crate) fn entry(&self, job: &Job) -> Entry {
        let facts = facts(job.kind, &job.name, &job.instance_type, &job.tags);
        Entry {
            job: job.id,
            priority: job.priority,
            rank: job.rank,
            share: job.share.as_str().into(),
            need: Resources { cores: job.cores, memory: job.lifecycle.memory },
            instances: job.instance_count,
            gates: self.gates(&facts),
            overtaken: 0,
        }
    }

    /// The same of a job that the last server left waiting.
    pub(crate) fn waiting(&self, job: &WaitingJob) -> Entry {
        let facts = facts(job.kind, &job.name, &job.instance_type, &job.tags);
        Entry {
            job: job.id,
            priority: job.priority,
            rank: job.rank,
            share: job.share.as_str().into(),
            need: Resources { cores: job.cores, memory: job.memory },
            instances: job.instance_count,
            gates: self.gates(&facts),
            overtaken: 0,
        }
    }
}

fn facts<'j>(kind: JobKind, name: &'j str, instance_type: &'j str, tags: &'j [Tag]) -> Facts<'j> {
    let tags: BTreeMap<&str, &str> =
        tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    Facts { kind, name, instance_type, tags }
}
