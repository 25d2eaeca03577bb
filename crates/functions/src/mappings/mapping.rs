//! [`Mapping`]: which queue's messages go to which function, and how.

use std::{sync::Arc, time::Duration};

use bessemer_store::Tag;
use serde::{Deserialize, Serialize};

use super::{Pattern, batch::BatchLimits};
use crate::{Functions, FunctionsError, QueueError, version::new_id};

/// Messages to a batch of a first-in-first-out queue at most, and of any without a window.
const FEW: u32 = 10;
/// Filters at most.
const FILTERS: usize = 10;
/// Batches at once, unless said otherwise.
pub(super) const AT_ONCE: u32 = 10;

/// A mapping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its name.
    pub uuid: String,
    /// Its ARN.
    pub arn: String,
    /// The queue's ARN.
    pub queue: String,
    /// How its messages are handled.
    pub settings: MappingSettings,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_at: u64,
}

/// How messages are handled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MappingSettings {
    /// The function's name.
    pub function: String,
    /// A version or an alias.
    pub qualifier: Option<String>,
    /// Whether messages are received.
    pub enabled: bool,
    /// Messages to a batch at most.
    pub batch_size: u32,
    /// Seconds that a batch may take to fill.
    pub window: u32,
    /// Whether the function tells which messages failed.
    pub tells_failures: bool,
    /// Patterns, of which a message has to match one.
    pub filters: Vec<String>,
    /// Batches at once at most.
    pub concurrency: Option<u32>,
}

/// A mapping to make.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateMapping {
    /// What its ARN begins with, up to its name.
    pub arn_prefix: String,
    /// The queue's ARN.
    pub queue: String,
    /// The function's name, and a version or an alias.
    pub function: (String, Option<String>),
    /// What is set.
    pub change: MappingChange,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Settings to change; what is none stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(missing_docs, reason = "they are those of `MappingSettings`")]
pub struct MappingChange {
    pub function: Option<(String, Option<String>)>,
    pub enabled: Option<bool>,
    pub batch_size: Option<u32>,
    pub window: Option<u32>,
    pub tells_failures: Option<bool>,
    pub filters: Option<Vec<String>>,
    /// None in it: no limit of its own.
    pub concurrency: Option<Option<u32>>,
}

impl MappingSettings {
    fn apply(&mut self, change: MappingChange) {
        if let Some((function, qualifier)) = change.function {
            self.function = function;
            self.qualifier = qualifier;
        }
        self.enabled = change.enabled.unwrap_or(self.enabled);
        self.batch_size = change.batch_size.unwrap_or(self.batch_size);
        self.window = change.window.unwrap_or(self.window);
        self.tells_failures = change.tells_failures.unwrap_or(self.tells_failures);
        self.filters = change.filters.unwrap_or_else(|| std::mem::take(&mut self.filters));
        self.concurrency = change.concurrency.unwrap_or(self.concurrency);
    }

    /// That the settings go together, and with a queue of that ARN.
    fn check(&self, queue: &str) -> Result<(), FunctionsError> {
        let refuse = |message: &str| Err(FunctionsError::invalid(message));
        let is_fifo = queue.rsplit_once('.').is_some_and(|(_, extension)| extension == "fifo");
        if is_fifo && self.window > 0 {
            return refuse("Batching window is not supported for FIFO queues");
        }
        if is_fifo && self.batch_size > FEW {
            return refuse("Batch size for FIFO queues can't be greater than 10");
        }
        if self.batch_size > FEW && self.window == 0 {
            return refuse(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is \
                 greater than 10",
            );
        }
        if self.filters.len() > FILTERS {
            return refuse("Number of filters can't be greater than 10");
        }
        for filter in &self.filters {
            Pattern::parse(filter).map_err(|error| {
                FunctionsError::invalid(format!("Invalid filter pattern definition. {error}"))
            })?;
        }
        Ok(())
    }

    pub(super) fn patterns(&self) -> Vec<Pattern> {
        self.filters.iter().filter_map(|filter| Pattern::parse(filter).ok()).collect()
    }

    pub(super) fn limits(&self, patience: Duration) -> BatchLimits {
        BatchLimits {
            messages: self.batch_size as usize,
            window: u64::from(self.window) * 1000,
            patience: patience.as_millis() as u64,
        }
    }
}

impl Functions {
    /// All mappings, by name.
    #[must_use]
    pub fn mappings(&self) -> Vec<Arc<Mapping>> {
        self.registry().mappings()
    }

    /// The mapping of that name.
    pub fn mapping(&self, uuid: &str) -> Result<Arc<Mapping>, FunctionsError> {
        self.registry().mapping(uuid).ok_or_else(missing)
    }

    /// What came of the last batch of a mapping, as AWS words it.
    #[must_use]
    pub fn last_result(&self, uuid: &str) -> String {
        self.pollers().last_result(uuid)
    }

    /// Makes a mapping. Messages are received from then on.
    pub async fn create_mapping(
        &self,
        create: CreateMapping,
    ) -> Result<Arc<Mapping>, FunctionsError> {
        let (function, qualifier) = create.function;
        let mut settings = MappingSettings {
            function,
            qualifier,
            enabled: true,
            batch_size: FEW,
            window: 0,
            tells_failures: false,
            filters: Vec::new(),
            concurrency: None,
        };
        settings.apply(create.change);
        settings.check(&create.queue)?;
        let changes = self.registry().changes().await;
        self.check_mapping(&create.queue, &settings).await?;
        let same = self.mappings().into_iter().find(|other| {
            let other_settings = &other.settings;
            other.queue == create.queue
                && other_settings.function == settings.function
                && other_settings.qualifier == settings.qualifier
        });
        if let Some(same) = same {
            return Err(FunctionsError::Conflict(format!(
                "An event source mapping with SQS arn (\" {} \") and function (\" {} \") already \
                 exists. Please update or delete the existing mapping with UUID {}",
                create.queue, settings.function, same.uuid
            )));
        }
        let uuid = new_id();
        let arn = format!("{}{uuid}", create.arn_prefix);
        let modified_at = self.now();
        let mapping = Mapping { uuid, arn, queue: create.queue, settings, modified_at };
        let mapping = changes.put_mapping(mapping, create.tags).await?;
        self.pollers().follow(self, &mapping);
        Ok(mapping)
    }

    /// Changes a mapping.
    pub async fn update_mapping(
        &self,
        uuid: &str,
        change: MappingChange,
    ) -> Result<Arc<Mapping>, FunctionsError> {
        let changes = self.registry().changes().await;
        let mut mapping = Mapping::clone(&*self.mapping(uuid)?);
        mapping.settings.apply(change);
        mapping.settings.check(&mapping.queue)?;
        self.check_mapping(&mapping.queue, &mapping.settings).await?;
        mapping.modified_at = self.now();
        let mapping = changes.put_mapping(mapping, Vec::new()).await?;
        self.pollers().follow(self, &mapping);
        Ok(mapping)
    }

    /// Deletes a mapping. Returns it as it was.
    pub async fn delete_mapping(&self, uuid: &str) -> Result<Arc<Mapping>, FunctionsError> {
        let changes = self.registry().changes().await;
        let mapping = self.mapping(uuid)?;
        changes.delete_mapping(&mapping).await?;
        self.pollers().forget(uuid);
        Ok(mapping)
    }

    /// That its queue and its function are there, and have time for each other.
    async fn check_mapping(
        &self,
        queue: &str,
        settings: &MappingSettings,
    ) -> Result<(), FunctionsError> {
        let missing = || {
            let message = format!("Function does not exist: {}", settings.function);
            FunctionsError::invalid(message)
        };
        let function = self.registry().function(&settings.function).ok_or_else(missing)?;
        let version =
            function.resolve(settings.qualifier.as_deref(), 0.0).map_err(|_| missing())?;
        if !queue.contains(":sqs:") {
            return Err(FunctionsError::invalid(format!(
                "The event source {queue} is not supported by Bessemer: it has to be a queue"
            )));
        }
        let gone = "Error occurred while ReceiveMessage. SQS Error Code: \
                    AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue \
                    does not exist.";
        let visibility = match self.queues().find(queue).await {
            Ok(Some(visibility)) => visibility,
            Ok(None) | Err(QueueError::Missing(_)) => return Err(FunctionsError::invalid(gone)),
            Err(error) => return Err(FunctionsError::internal(error)),
        };
        let timeout = version.settings.timeout;
        if visibility < Duration::from_secs(timeout.into()) {
            return Err(FunctionsError::invalid(format!(
                "Queue visibility timeout: {} seconds is less than Function timeout: {timeout} \
                 seconds",
                visibility.as_secs()
            )));
        }
        Ok(())
    }
}

fn missing() -> FunctionsError {
    FunctionsError::NotFound("The resource you requested does not exist.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_have_to_go_together() {
        let settings = |change: MappingChange| {
            let mut settings = MappingSettings {
                function: "f".to_owned(),
                qualifier: None,
                enabled: true,
                batch_size: 10,
                window: 0,
                tells_failures: false,
                filters: Vec::new(),
                concurrency: None,
            };
            settings.apply(change);
            settings
        };
        let (plain, fifo) = ("arn:aws:sqs:eu-west-1:0:q", "arn:aws:sqs:eu-west-1:0:q.fifo");
        let large = MappingChange { batch_size: Some(100), ..MappingChange::default() };
        assert!(settings(large.clone()).check(plain).is_err());
        let slow = MappingChange { window: Some(1), ..large.clone() };
        assert!(settings(slow.clone()).check(plain).is_ok());
        assert!(settings(slow).check(fifo).is_err());
        assert!(settings(large).check(fifo).is_err());
        assert!(settings(MappingChange::default()).check(fifo).is_ok());
        let filters = Some(vec!["{}".to_owned()]);
        let filtered = MappingChange { filters, ..MappingChange::default() };
        assert!(settings(filtered).check(plain).is_err());
    }
}
