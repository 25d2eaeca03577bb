//! What is told of a job's end.

use std::collections::BTreeMap;

use bessemer_config::{Facts, Notifications, Outcome, Target};
use bessemer_domain::{JobKind, Phase};
use bessemer_store::{Job, OutboxEvent, Store, StoreError};
use serde::Serialize;
use serde_json::Value;

/// A job's end. Instants are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notification {
    /// The number of the event in the outbox: the same if it is delivered again.
    pub id: i64,
    /// When the job ended.
    pub at: u64,
    /// What the job did: `transform`, `training` or `processing`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// `completed`, `failed` or `stopped`.
    pub outcome: String,
    /// How its last attempt failed.
    pub class: Option<String>,
    /// And why, in words.
    pub message: Option<String>,
    /// Attempts ever made.
    pub attempts: u32,
    /// The type of its instances.
    pub instance_type: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When it was submitted.
    pub created_at: u64,
    /// When its code first ran.
    pub started_at: Option<u64>,
}

impl Notification {
    /// What an event tells of, if that is a job's end.
    pub(crate) async fn of(store: &Store, event: &OutboxEvent) -> Result<Option<Self>, StoreError> {
        let Some((kind, name, outcome, body)) = ended(event) else { return Ok(None) };
        let Some(job) = store.jobs().get(kind, &name).await? else { return Ok(None) };
        Ok(Some(Self::new(event, &job, outcome, &body)))
    }

    fn new(event: &OutboxEvent, job: &Job, outcome: Outcome, body: &Value) -> Self {
        let text = |key: &str| body[key].as_str().map(str::to_owned);
        let attempts = body["attempt"].as_u64().and_then(|number| u32::try_from(number).ok());
        Self {
            id: event.seq,
            at: event.at,
            kind: job.kind.to_string(),
            name: job.name.clone(),
            arn: job.arn.clone(),
            outcome: outcome.as_str().to_owned(),
            class: text("class"),
            message: text("message"),
            attempts: attempts.unwrap_or_default(),
            instance_type: job.instance_type.clone(),
            tags: job.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect(),
            created_at: job.created_at,
            started_at: job.started_at,
        }
    }

    /// One to try a target with.
    #[must_use]
    pub fn sample(now: u64) -> Self {
        Self {
            id: 0,
            at: now,
            kind: JobKind::Training.to_string(),
            name: "notify-test".to_owned(),
            arn: "arn:aws:sagemaker:us-east-1:000000000000:training-job/notify-test".to_owned(),
            outcome: Outcome::Failed.as_str().to_owned(),
            class: Some("algorithm".to_owned()),
            message: Some("this is a test by `bessemer notify test`; no job failed".to_owned()),
            attempts: 1,
            instance_type: "ml.m5.large".to_owned(),
            tags: BTreeMap::new(),
            created_at: now.saturating_sub(90_000),
            started_at: Some(now.saturating_sub(60_000)),
        }
    }

    /// What happened, on one line.
    #[must_use]
    pub fn headline(&self) -> String {
        let class = self.class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        format!("{} job {} {}{class}", self.kind, self.name, self.outcome)
    }

    /// The details, a line each.
    #[must_use]
    pub fn details(&self) -> String {
        let seconds = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1_000.0;
        let mut lines = Vec::new();
        if let Some(message) = &self.message {
            lines.push(message.clone());
        }
        let ran = match self.started_at {
            Some(started) => format!(
                "waited {:.1} s, ran {:.1} s",
                seconds(self.created_at, started),
                seconds(started, self.at)
            ),
            None => format!("waited {:.1} s, never ran", seconds(self.created_at, self.at)),
        };
        lines.push(format!("attempts {}, {ran}", self.attempts));
        if !self.tags.is_empty() {
            let tags: Vec<String> =
                self.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            lines.push(format!("tags {}", tags.join(", ")));
        }
        lines.push(format!("bessemer jobs why {} --kind {}", self.name, self.kind));
        lines.join("\n")
    }

    /// Whether a rule sends this to `target`.
    pub(crate) fn is_for(&self, target: &Target, settings: &Notifications) -> bool {
        let Ok(kind) = self.kind.parse() else { return false };
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let (name, instance_type) = (self.name.as_str(), self.instance_type.as_str());
        let facts = Facts { kind, name, instance_type, tags: tags.collect() };
        settings.rules.iter().any(|rule| {
            rule.send.contains(&target.name)
                && rule.outcomes.iter().any(|outcome| outcome.as_str() == self.outcome)
                && rule.jobs.selects(&facts)
        })
    }
}

/// The job that an event says has ended, and how.
fn ended(event: &OutboxEvent) -> Option<(JobKind, String, Outcome, Value)> {
    if event.topic != "job" {
        return None;
    }
    let body: Value = serde_json::from_str(&event.body).ok()?;
    let phase: Phase = body["phase"].as_str()?.parse().ok()?;
    let outcome = Outcome::of(phase)?;
    let kind = body["kind"].as_str()?.parse().ok()?;
    Some((kind, body["name"].as_str()?.to_owned(), outcome, body))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bessemer_config::Config;

    use super::*;

    #[test]
    fn rules_choose_by_name_kind_tag_and_outcome() {
        let text = r#"
            [[notifications.targets]]
            name = "a"
            type = "command"
            command = ["true"]
            [[notifications.rules]]
            name = "notify-*"
            kind = "training"
            tag = "team=search"
            send = ["a"]
        "#;
        let settings = Config::parse(Path::new("x"), text).expect("it is in order").notifications;
        let target = &settings.targets[0];
        let mut job = Notification::sample(1_000_000);
        assert!(!job.is_for(target, &settings), "it has no tag");
        job.tags.insert("team".into(), "search".into());
        assert!(job.is_for(target, &settings));
        assert!(
            !Notification { outcome: "completed".into(), ..job.clone() }.is_for(target, &settings)
        );
        assert!(!Notification { name: "other".into(), ..job.clone() }.is_for(target, &settings));
        assert!(
            !Notification { kind: "transform".into(), ..job.clone() }.is_for(target, &settings)
        );
        assert_eq!(job.headline(), "training job notify-test failed (algorithm)");
        assert!(job.details().contains("waited 30.0 s, ran 60.0 s\ntags team=search\n"));
    }

    #[test]
    fn only_ends_are_told() {
        let event = |phase: &str| OutboxEvent {
            seq: 1,
            at: 1,
            topic: "job".into(),
            subject: "training/a".into(),
            body: format!(r#"{{"phase": "{phase}", "kind": "training", "name": "a"}}"#),
        };
        for phase in ["completed", "failed", "stopped"] {
            assert!(ended(&event(phase)).is_some(), "{phase}");
        }
        for phase in ["in_progress", "stopping"] {
            assert!(ended(&event(phase)).is_none(), "{phase}");
        }
    }
}
