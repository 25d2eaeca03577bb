//! Asynchronous invocations: accepted when they are on disk, run until they succeed, are given up after
//! some runs or become too old, then told of to their destinations.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bessemer_store::{Invocation, NewInvocation, StoreError};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{sync::Notify, time::sleep};

use crate::{
    EventConfig, Function, Functions, FunctionsError, Invoke, Invoked,
    invoke::timestamp,
    version::{LATEST, new_id},
};

/// Bytes of the payload of an asynchronous invocation at most.
pub(crate) const LARGEST: usize = 1_048_576;
/// Invocations that run at once, at most.
const AT_ONCE: usize = 64;
/// Milliseconds until an invocation is tried again for which there was no place.
const THROTTLED: (u64, u64) = (1_000, 300_000);
/// How often, and after how long, what can't be delivered is tried again.
const DELIVERIES: u32 = 3;
const REDELIVERY: Duration = Duration::from_secs(1);
/// What an event may wait, in seconds, unless said otherwise.
const MAX_AGE: u32 = 21_600;
const MAX_RETRIES: u32 = 2;

/// What is kept of an invocation beside its payload.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    qualifier: Option<String>,
    client_context: Option<String>,
}

/// What waits and runs.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    changed: Notify,
    running: Mutex<HashSet<i64>>,
}

/// What becomes of an invocation that has run or could not.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Succeeded,
    /// It is given up, for this condition.
    Failed(&'static str),
    /// It runs again then.
    Again(u64),
}

impl EventConfig {
    /// What becomes of an invocation that was accepted at `accepted_at` and failed for the `runs`th time.
    fn after_failure(&self, accepted_at: u64, runs: u32, delays: &[Duration], now: u64) -> Next {
        let retries = self.max_retries.unwrap_or(MAX_RETRIES);
        if runs > retries {
            return Next::Failed("RetriesExhausted");
        }
        let delay = delays.get(runs as usize - 1).or(delays.last()).copied().unwrap_or_default();
        self.again(accepted_at, now + delay.as_millis() as u64)
    }

    /// What becomes of one for which there was no place: it waits for as long as it has waited before.
    fn after_throttle(&self, accepted_at: u64, now: u64) -> Next {
        let (least, most) = THROTTLED;
        self.again(accepted_at, now + now.saturating_sub(accepted_at).clamp(least, most))
    }

    fn again(&self, accepted_at: u64, at: u64) -> Next {
        let age = u64::from(self.max_age.unwrap_or(MAX_AGE)) * 1000;
        if at > accepted_at + age { Next::Failed("EventAgeExceeded") } else { Next::Again(at) }
    }
}

impl Functions {
    /// Keeps an invocation, which is then run sooner or later.
    pub(crate) async fn accept(&self, invoke: Invoke) -> Result<(), FunctionsError> {
        let document =
            Document { qualifier: invoke.qualifier, client_context: invoke.client_context };
        let new = NewInvocation {
            function: invoke.function,
            request_id: invoke.request_id,
            document: serde_json::to_string(&document).map_err(FunctionsError::internal)?,
            payload: invoke.payload.into(),
            accepted_at: self.now(),
        };
        self.store().invocations().accept(new).await?;
        self.waiting().changed.notify_one();
        Ok(())
    }

    /// Runs what is due, for ever.
    pub(crate) async fn dispatch(self) {
        loop {
            let changed = self.waiting().changed.notified();
            let next = match self.start_due().await {
                Ok(next) => next,
                Err(error) => {
                    tracing::error!(%error, "asynchronous invocations can't be read");
                    Some(self.now() + 1000)
                }
            };
            match next {
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = sleep(Duration::from_millis(at.saturating_sub(self.now()).max(1))) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Starts what is due. Returns when something will be.
    async fn start_due(&self) -> Result<Option<u64>, StoreError> {
        let now = self.now();
        let table = self.store().invocations();
        let running = self.waiting().running().len();
        for invocation in table.due(now, running + AT_ONCE).await? {
            let id = invocation.id;
            {
                let mut running = self.waiting().running();
                if running.len() >= AT_ONCE || !running.insert(id) {
                    continue;
                }
            }
            let functions = self.clone();
            tokio::spawn(async move {
                if let Err(error) = functions.carry_out(invocation).await {
                    // It is there still, and found again.
                    tracing::error!(%error, "an asynchronous invocation's state can't be kept");
                    sleep(REDELIVERY).await;
                }
                functions.waiting().running().remove(&id);
                functions.waiting().changed.notify_one();
            });
        }
        table.next_due(now).await
    }

    /// Runs an invocation once, and notes what came of it.
    async fn carry_out(&self, invocation: Invocation) -> Result<(), FunctionsError> {
        let Invocation { id, accepted, runs, .. } = invocation;
        let table = self.store().invocations();
        let document: Option<Document> = serde_json::from_str(&accepted.document).ok();
        let (Some(document), Some(function)) =
            (document, self.registry().function(&accepted.function))
        else {
            return Ok(table.end(id).await?);
        };
        let config = function.event_config(document.qualifier.as_deref());
        let invoke = Invoke {
            function: accepted.function.clone(),
            qualifier: document.qualifier,
            payload: Bytes::from(accepted.payload),
            client_context: document.client_context,
            request_id: accepted.request_id,
        };
        let invoked = self.invoke(invoke.clone()).await;
        let runs = runs + u32::from(invoked.is_ok());
        let at = accepted.accepted_at;
        let next = match &invoked {
            Ok(Invoked { is_error: false, .. }) => Next::Succeeded,
            Ok(_) => config.after_failure(at, runs, self.retry_delays(), self.now()),
            // A version or an alias that is gone will not come back.
            Err(FunctionsError::NotFound(_)) => Next::Failed("RetriesExhausted"),
            Err(error) => {
                if !matches!(error, FunctionsError::Throttled(_)) {
                    tracing::warn!(function = function.name, %error, "an invocation can't be run");
                }
                config.after_throttle(at, self.now())
            }
        };
        let (condition, destination) = match next {
            Next::Again(due_at) => return Ok(table.put_off(id, runs, due_at).await?),
            Next::Succeeded => ("Success", config.on_success.as_deref()),
            Next::Failed(condition) => (condition, config.on_failure.as_deref()),
        };
        if let Some(destination) = destination {
            let record = self.record(&function, &invoke, invoked.as_ref().ok(), runs, condition);
            self.deliver(destination, record, Vec::new()).await;
        }
        if condition != "Success"
            && let Ok(version) = function.resolve(invoke.qualifier.as_deref(), 0.0)
            && let Some(queue) = &version.settings.dead_letter
        {
            let body = String::from_utf8_lossy(&invoke.payload).into_owned();
            let attributes = error_attributes(&invoke, invoked.as_ref().ok());
            self.deliver(queue, body, attributes).await;
        }
        Ok(table.end(id).await?)
    }

    /// What a destination is told.
    fn record(
        &self,
        function: &Function,
        invoke: &Invoke,
        invoked: Option<&Invoked>,
        runs: u32,
        condition: &str,
    ) -> String {
        let json_of = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap_or_default();
        let qualifier = invoke.qualifier.as_deref().unwrap_or(LATEST);
        let mut record = json!({
            "version": "1.0",
            "timestamp": timestamp(self.now()),
            "requestContext": {
                "requestId": invoke.request_id,
                "functionArn": function.qualified(Some(qualifier)),
                "condition": condition,
                "approximateInvokeCount": runs,
            },
            "requestPayload": json_of(&invoke.payload),
        });
        if let Some(invoked) = invoked {
            let mut context = json!({ "statusCode": 200, "executedVersion": invoked.version });
            if invoked.is_error {
                context["functionError"] = "Unhandled".into();
            }
            record["responseContext"] = context;
            record["responsePayload"] = json_of(&invoked.payload);
        }
        record.to_string()
    }

    /// Gives a queue or a function a message. What can't be delivered is lost, as with AWS; the
    /// server's log says so.
    async fn deliver(
        &self,
        destination: &str,
        body: String,
        attributes: Vec<(&'static str, String)>,
    ) {
        for number in 1.. {
            let delivered = if destination.contains(":function:") {
                self.accept_by_arn(destination, &body).await.map_err(|error| error.to_string())
            } else {
                let sent = self.queues().send(destination, body.clone(), attributes.clone()).await;
                sent.map_err(|error| error.to_string())
            };
            match delivered {
                Ok(()) => break,
                Err(error) if number >= DELIVERIES => {
                    tracing::error!(
                        destination,
                        error,
                        "what became of an event can't be delivered"
                    );
                    break;
                }
                Err(_) => sleep(REDELIVERY).await,
            }
        }
    }

    async fn accept_by_arn(&self, arn: &str, body: &str) -> Result<(), FunctionsError> {
        let mut parts = arn.split(':').skip(6);
        let invoke = Invoke {
            function: parts.next().unwrap_or_default().to_owned(),
            qualifier: parts.next().map(str::to_owned),
            payload: Bytes::from(body.to_owned()),
            client_context: None,
            request_id: new_id(),
        };
        self.invoke_later(invoke).await
    }
}

impl Waiting {
    fn running(&self) -> std::sync::MutexGuard<'_, HashSet<i64>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The attributes of an event in a dead-letter queue.
fn error_attributes(invoke: &Invoke, invoked: Option<&Invoked>) -> Vec<(&'static str, String)> {
    let error = invoked.and_then(|invoked| serde_json::from_slice::<Value>(&invoked.payload).ok());
    let message = error.as_ref().and_then(|error| error["errorMessage"].as_str());
    vec![
        ("RequestID", invoke.request_id.clone()),
        ("ErrorCode", "200".to_owned()),
        (
            "ErrorMessage",
            message.unwrap_or("the event was not processed").chars().take(1024).collect(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_runs_again_until_it_is_given_up() {
        let config = EventConfig::default();
        let delays = [60, 120].map(Duration::from_secs);
        let after = |runs, now| config.after_failure(1000, runs, &delays, now);
        assert_eq!(after(1, 5000), Next::Again(65_000));
        assert_eq!(after(2, 70_000), Next::Again(190_000));
        assert_eq!(after(3, 200_000), Next::Failed("RetriesExhausted"));
        let none = EventConfig { max_retries: Some(0), ..EventConfig::default() };
        assert_eq!(none.after_failure(0, 1, &delays, 1), Next::Failed("RetriesExhausted"));
        let young = EventConfig { max_age: Some(60), ..EventConfig::default() };
        assert_eq!(young.after_failure(0, 1, &delays, 1), Next::Failed("EventAgeExceeded"));
        assert_eq!(young.after_failure(0, 1, &[], 1), Next::Again(1));
    }

    #[test]
    fn an_event_without_a_place_waits_longer_and_longer() {
        let config = EventConfig::default();
        let next = [0, 1_000, 3_000, 600_000].map(|age| config.after_throttle(0, age));
        let expected = [1_000, 2_000, 6_000, 900_000].map(Next::Again);
        assert_eq!(next, expected);
        assert_eq!(config.after_throttle(0, 21_500_000), Next::Failed("EventAgeExceeded"));
    }
}
