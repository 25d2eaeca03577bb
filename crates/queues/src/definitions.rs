//! Queues made, listed, changed and deleted.

use std::sync::{Arc, PoisonError};

use bessemer_store::{NewQueue, QueueRecord, Tag};
use serde_json::json;

use crate::{
    attributes::{self, Attributes, RedriveAllow, Settings},
    error::QueueError,
    names::name_of_arn,
    policy,
    queues::{Queue, Queues},
};

/// A queue that is to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateQueue {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The attributes that are to be others than if nothing is said.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// A page of queues.
#[derive(Debug, Clone)]
pub struct QueueList {
    /// The queues, in the order of their names.
    pub queues: Vec<Arc<Queue>>,
    /// Whether more follow.
    pub has_more: bool,
}

impl Queues {
    /// Makes a queue, or finds the one of that name if all that is asked of it is so.
    pub async fn create(&self, wanted: CreateQueue) -> Result<Arc<Queue>, QueueError> {
        let _changing = self.shared.changing.lock().await;
        let is_fifo = attributes::is_fifo(&wanted.name, &wanted.attributes)?;
        let kept = attributes::changed(&Attributes::new(), &wanted.attributes, is_fifo)?;
        if let Ok(queue) = self.find(&wanted.name) {
            return match attributes::differing(&queue.attributes, &wanted.attributes, is_fifo)? {
                Some(name) => Err(QueueError::NameTaken(name)),
                None => Ok(queue),
            };
        }
        self.check_redrive(&wanted.arn, is_fifo, &kept)?;
        let queue = NewQueue {
            name: wanted.name,
            arn: wanted.arn,
            is_fifo,
            attributes: json!(kept).to_string(),
            created_at: self.now(),
        };
        let record = self.shared.store.queues().create(queue, wanted.tags).await?;
        Ok(self.show(record)?)
    }

    /// The queues whose names begin with `prefix` and come after `after`, `limit` at most.
    pub fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> QueueList {
        page(self.all().into_iter().filter(|queue| queue.name.starts_with(prefix)), after, limit)
    }

    /// The queues that have this one as their dead-letter queue, in the same way.
    pub fn dead_letter_sources(
        &self,
        name: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<QueueList, QueueError> {
        let target = self.find(name)?;
        Ok(page(self.sources_of(&target).into_iter(), after, limit))
    }

    pub(crate) fn sources_of(&self, target: &Queue) -> Vec<Arc<Queue>> {
        let is_source = |queue: &Arc<Queue>| {
            let redrive = queue.settings.redrive.as_ref();
            redrive.and_then(|redrive| name_of_arn(&redrive.target)) == Some(&target.name)
        };
        self.all().into_iter().filter(is_source).collect()
    }

    /// All attributes of a queue.
    pub async fn attributes(&self, name: &str) -> Result<Attributes, QueueError> {
        let queue = self.find(name)?;
        let counts = self.shared.store.queues().count(queue.id, self.now()).await?;
        Ok(queue.attributes(counts))
    }

    /// Sets attributes of a queue, at once for all calls that follow.
    pub async fn set_attributes(&self, name: &str, changes: &Attributes) -> Result<(), QueueError> {
        let _changing = self.shared.changing.lock().await;
        let queue = self.find(name)?;
        self.change(&queue, changes).await
    }

    async fn change(&self, queue: &Queue, changes: &Attributes) -> Result<(), QueueError> {
        let kept = attributes::changed(&queue.attributes, changes, queue.is_fifo)?;
        if changes.contains_key("RedrivePolicy") {
            self.check_redrive(&queue.arn, queue.is_fifo, &kept)?;
        }
        let now = self.now();
        let settings = Settings::of(&kept);
        // A FIFO queue's delay is that of all its messages.
        let delay = settings.delay;
        let delay = (queue.is_fifo && delay != queue.settings.delay).then_some(delay * 1000);
        let text = json!(kept).to_string();
        self.shared.store.queues().set_attributes(queue.id, text.clone(), now, delay).await?;
        self.show(QueueRecord {
            id: queue.id,
            name: queue.name.clone(),
            arn: queue.arn.clone(),
            is_fifo: queue.is_fifo,
            attributes: text,
            created_at: queue.created_at,
            modified_at: now,
        })?;
        queue.signal.changed.notify_one();
        Ok(())
    }

    /// Adds a permission to a queue's policy.
    pub async fn add_permission(
        &self,
        name: &str,
        label: &str,
        accounts: &[String],
        actions: &[String],
    ) -> Result<(), QueueError> {
        let _changing = self.shared.changing.lock().await;
        let queue = self.find(name)?;
        let policy = queue.attributes.get("Policy");
        let policy = policy::with(policy, &queue.arn, label, accounts, actions)?;
        self.change(&queue, &Attributes::from([("Policy".to_owned(), policy)])).await
    }

    /// Takes a permission from a queue's policy.
    pub async fn remove_permission(&self, name: &str, label: &str) -> Result<(), QueueError> {
        let _changing = self.shared.changing.lock().await;
        let queue = self.find(name)?;
        let policy = policy::without(queue.attributes.get("Policy"), &queue.arn, label)?;
        self.change(&queue, &Attributes::from([("Policy".to_owned(), policy)])).await
    }

    /// Deletes a queue with all its messages.
    pub async fn delete(&self, name: &str) -> Result<(), QueueError> {
        let _changing = self.shared.changing.lock().await;
        let queue = self.find(name)?;
        self.shared.store.queues().delete(queue.id).await?;
        self.hide(&queue);
        queue.signal.changed.notify_one();
        let queues = self.clone();
        tokio::spawn(async move { queues.clear_orphan(queue.id).await });
        Ok(())
    }

    /// Deletes all messages of a queue.
    pub async fn purge(&self, name: &str) -> Result<(), QueueError> {
        let queue = self.find(name)?;
        let purging = || self.shared.purging.lock().unwrap_or_else(PoisonError::into_inner);
        if !purging().insert(queue.id) {
            return Err(QueueError::Purging(queue.name.clone()));
        }
        // It goes on, and comes to its end, if nobody waits for it any more.
        let queues = self.clone();
        let purge = tokio::spawn(async move {
            let result = queues.clear(queue.id).await;
            let mut purging = queues.shared.purging.lock().unwrap_or_else(PoisonError::into_inner);
            purging.remove(&queue.id);
            result
        });
        let result = purge.await.unwrap_or(Err(bessemer_store::StoreError::Closed));
        Ok(result?)
    }

    /// The tags of a queue.
    pub async fn tags(&self, name: &str) -> Result<Vec<Tag>, QueueError> {
        let queue = self.find(name)?;
        Ok(self.shared.store.tags().list(&queue.arn).await?)
    }

    /// Adds tags to a queue.
    pub async fn tag(&self, name: &str, tags: Vec<Tag>) -> Result<(), QueueError> {
        let queue = self.find(name)?;
        Ok(self.shared.store.tags().add(&queue.arn, tags).await?)
    }

    /// Takes tags from a queue.
    pub async fn untag(&self, name: &str, keys: Vec<String>) -> Result<(), QueueError> {
        let queue = self.find(name)?;
        Ok(self.shared.store.tags().remove(&queue.arn, keys).await?)
    }

    /// That the dead-letter queue of these attributes is there and takes dead letters of `arn`.
    fn check_redrive(
        &self,
        arn: &str,
        is_fifo: bool,
        attributes: &Attributes,
    ) -> Result<(), QueueError> {
        let settings = Settings::of(attributes);
        let (Some(redrive), Some(text)) = (settings.redrive, attributes.get("RedrivePolicy"))
        else {
            return Ok(());
        };
        let wrong = |reason: &str| Err(QueueError::value(text, "RedrivePolicy", reason));
        let Some(target) = self.find_arn(&redrive.target) else {
            return wrong("Dead letter target does not exist.");
        };
        if target.is_fifo != is_fifo {
            return wrong("Dead-letter queue must be same type of queue as the source.");
        }
        let is_allowed = match &target.settings.redrive_allow {
            RedriveAllow::All => true,
            RedriveAllow::None => false,
            RedriveAllow::Queues(arns) => {
                arns.iter().any(|allowed| name_of_arn(allowed) == name_of_arn(arn))
            }
        };
        if is_allowed {
            return Ok(());
        }
        wrong("The dead-letter queue's RedriveAllowPolicy does not allow this queue as a source.")
    }
}

fn page(queues: impl Iterator<Item = Arc<Queue>>, after: Option<&str>, limit: usize) -> QueueList {
    let comes_after = |queue: &Arc<Queue>| after.is_none_or(|after| queue.name.as_str() > after);
    let mut queues: Vec<Arc<Queue>> = queues.filter(comes_after).take(limit + 1).collect();
    let has_more = queues.len() > limit;
    queues.truncate(limit);
    QueueList { queues, has_more }
}
