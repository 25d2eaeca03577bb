//! [`EventConfig`]: how asynchronous invocations go, and where they are told of.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Function, Functions, FunctionsError, Settings, version::LATEST};

/// How asynchronous invocations of a function go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventConfig {
    /// Seconds that an event may wait for its last run.
    pub max_age: Option<u32>,
    /// Runs after the first that failed.
    pub max_retries: Option<u32>,
    /// The ARN of what is told of success.
    pub on_success: Option<String>,
    /// The ARN of what is told of failure.
    pub on_failure: Option<String>,
    /// When it was last changed, in milliseconds since 1970.
    pub modified_at: u64,
}

/// What to set; an empty destination takes it away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of `EventConfig`")]
pub struct EventConfigChange {
    pub max_age: Option<u32>,
    pub max_retries: Option<u32>,
    pub on_success: Option<String>,
    pub on_failure: Option<String>,
}

impl EventConfig {
    /// Changes what `change` says.
    pub(crate) fn apply(&mut self, change: EventConfigChange, now: u64) {
        self.max_age = change.max_age.or(self.max_age);
        self.max_retries = change.max_retries.or(self.max_retries);
        for (own, new) in
            [(&mut self.on_success, change.on_success), (&mut self.on_failure, change.on_failure)]
        {
            if let Some(new) = new {
                *own = (!new.is_empty()).then_some(new);
            }
        }
        self.modified_at = now;
    }
}

impl Function {
    /// How asynchronous invocations by this qualifier go.
    pub(crate) fn event_config(&self, qualifier: Option<&str>) -> EventConfig {
        self.event_configs.get(qualifier.unwrap_or(LATEST)).cloned().unwrap_or_default()
    }
}

impl Functions {
    /// Sets how asynchronous invocations go, from scratch or on top of what is set.
    pub async fn set_event_config(
        &self,
        name: &str,
        arn: &str,
        qualifier: &str,
        (change, is_new): (EventConfigChange, bool),
    ) -> Result<Arc<Function>, FunctionsError> {
        for destination in [&change.on_success, &change.on_failure].into_iter().flatten() {
            self.check_destination(destination).await?;
        }
        let now = self.now();
        let set = self.change(name, arn, |function| {
            function.resolve(Some(qualifier), 0.0)?;
            let known = function.event_configs.get(qualifier).cloned();
            let mut config = match known {
                _ if is_new => crate::EventConfig::default(),
                Some(config) => config,
                None => return Err(no_event_config(function, qualifier)),
            };
            config.apply(change, now);
            function.event_configs.insert(qualifier.to_owned(), config);
            Ok(())
        });
        Ok(set.await?.0)
    }

    /// Takes away how asynchronous invocations go.
    pub async fn delete_event_config(
        &self,
        name: &str,
        arn: &str,
        qualifier: &str,
    ) -> Result<(), FunctionsError> {
        let deleted = self.change(name, arn, |function| {
            let removed = function.event_configs.remove(qualifier);
            removed.map(drop).ok_or_else(|| no_event_config(function, qualifier))
        });
        deleted.await.map(drop)
    }

    pub(crate) async fn check_dead_letter(
        &self,
        settings: &Settings,
    ) -> Result<(), FunctionsError> {
        match &settings.dead_letter {
            Some(queue) if queue.contains(":sqs:") => self.check_destination(queue).await,
            Some(other) => Err(FunctionsError::invalid(format!(
                "The dead-letter target {other} is not supported by Bessemer: it has to be a queue"
            ))),
            None => Ok(()),
        }
    }

    /// That events can be sent there.
    async fn check_destination(&self, arn: &str) -> Result<(), FunctionsError> {
        if arn.is_empty() {
            return Ok(());
        }
        let is_there = if arn.contains(":function:") {
            let name = arn.split(':').nth(6).unwrap_or_default();
            self.registry().function(name).is_some()
        } else if arn.contains(":sqs:") {
            let found = self.queues().find(arn).await;
            found.map_err(FunctionsError::internal)?.is_some()
        } else {
            return Err(FunctionsError::invalid(format!(
                "The destination {arn} is not supported by Bessemer: it has to be a queue or a \
                 function"
            )));
        };
        if is_there {
            return Ok(());
        }
        Err(FunctionsError::invalid(format!("The destination {arn} does not exist.")))
    }
}

fn no_event_config(function: &Function, qualifier: &str) -> FunctionsError {
    let arn = function.qualified(Some(qualifier).filter(|qualifier| *qualifier != LATEST));
    FunctionsError::NotFound(format!("The function {arn} doesn't have an EventInvokeConfig"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_changes_only_where_it_is_told_to() {
        let mut config = EventConfig::default();
        let change = EventConfigChange {
            max_age: Some(60),
            on_failure: Some("arn".to_owned()),
            ..EventConfigChange::default()
        };
        config.apply(change, 1);
        let gone =
            EventConfigChange { on_failure: Some(String::new()), ..EventConfigChange::default() };
        config.apply(gone, 2);
        assert_eq!(
            config,
            EventConfig { max_age: Some(60), modified_at: 2, ..EventConfig::default() }
        );
    }
}
