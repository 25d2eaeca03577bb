//! An invocation, from the call to its answer and the lines in the log.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::{sync::oneshot, time::Instant};

use crate::{
    Function, FunctionsError, Version,
    pool::Pool,
    process::{
        Answer, Broken, Process,
        api::{LARGEST_ANSWER, Work},
    },
};

/// Bytes of a payload at most.
pub(crate) const LARGEST: usize = 6_291_456;
/// What a handler may take to be loaded, beside its timeout.
const LOAD: Duration = Duration::from_mins(1);

/// A call of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoke {
    /// The function's name.
    pub function: String,
    /// A version or an alias.
    pub qualifier: Option<String>,
    /// What the handler gets, as JSON; `{}` if it is empty.
    pub payload: Bytes,
    /// What it is told of the client, as JSON.
    pub client_context: Option<String>,
    /// The request's id.
    pub request_id: String,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    /// The handler's result, or its error, as JSON.
    pub payload: Bytes,
    /// Whether it is an error.
    pub is_error: bool,
    /// The version that ran.
    pub version: String,
    /// The end of what it logged.
    pub tail: Vec<u8>,
}

/// An invocation whose version is known.
pub(crate) struct Run {
    pub(crate) function: Arc<Function>,
    pub(crate) version: Arc<Version>,
    pub(crate) invoked_arn: String,
    pub(crate) invoke: Invoke,
}

/// The payload as the handler gets it, if it is JSON and not too large.
pub(crate) fn check_payload(payload: Bytes, most: usize) -> Result<Bytes, FunctionsError> {
    if payload.len() > most {
        return Err(FunctionsError::TooLarge(most));
    }
    if payload.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let parsed = serde_json::from_slice::<IgnoredAny>(&payload);
    parsed.map_err(|error| {
        FunctionsError::InvalidContent(format!("Could not parse payload into json: {error}"))
    })?;
    Ok(payload)
}

impl Run {
    /// Runs it, in a process that nobody else uses meanwhile.
    pub(crate) async fn go(self, pool: Arc<Pool>) -> Result<Invoked, FunctionsError> {
        let slot = pool.admit(&self.function.name)?;
        let (tell, told) = oneshot::channel();
        // What is begun goes on, even if the caller goes away.
        tokio::spawn(async move {
            let (invoked, left) = match self.drive(&pool).await {
                Ok((invoked, process, true)) => {
                    pool.keep(process, &self.function.name);
                    (Ok(invoked), None)
                }
                Ok((invoked, process, false)) => (Ok(invoked), Some(process)),
                Err(error) => (Err(error), None),
            };
            drop(slot); // a place is free when the answer is known
            let _ = tell.send(invoked);
            if let Some(process) = left {
                process.end().await;
            }
        });
        told.await.map_err(FunctionsError::internal)?
    }

    /// Returns the process, too, and whether it can be used again.
    async fn drive(&self, pool: &Pool) -> Result<(Invoked, Process, bool), FunctionsError> {
        let (mut process, ready) = self.process(pool).await?;
        let (id, settings) = (&self.invoke.request_id, &self.version.settings);
        let timeout = Duration::from_secs(settings.timeout.into());
        let version = self.version.name();
        process.output.say(&format!("START RequestId: {id} Version: {version}"));
        let work = Work {
            request_id: id.clone(),
            payload: self.invoke.payload.clone(),
            deadline_millis: pool.clock().now_millis() + u64::from(settings.timeout) * 1000,
            invoked_arn: self.invoked_arn.clone(),
            client_context: self.invoke.client_context.clone(),
        };
        let begun = Instant::now();
        let ran = match ready {
            Ok(()) => process.run(work, begun + timeout).await,
            Err(broken) => Err(broken),
        };
        let took = begun.elapsed();
        let note = match &ran {
            Err(Broken::TimedOut) => {
                let now = timestamp(pool.clock().now_millis());
                let seconds = settings.timeout;
                process
                    .output
                    .say(&format!("{now} {id} Task timed out after {seconds}.00 seconds"));
                "Status: timeout".to_owned()
            }
            Err(broken @ Broken::Ended(_)) => {
                format!("Status: error\tError Type: {}", broken.kind())
            }
            _ => String::new(),
        };
        process.output.say(&format!("END RequestId: {id}"));
        let report = self.report(&mut process, took, &note);
        process.output.say(&report);
        let is_usable = matches!(ran, Ok(Answer::Result(_) | Answer::Failure(_)));
        let (payload, is_error) = match ran {
            Ok(Answer::Result(body)) => (body, false),
            Ok(Answer::Failure(body)) => (body, true),
            Ok(Answer::TooLarge(size)) => (too_large(size), true),
            Err(broken) => (broken.payload(id, settings.timeout), true),
        };
        let tail = process.output.tail();
        Ok((Invoked { payload, is_error, version, tail }, process, is_usable))
    }

    /// A process that is ready, or the reason why there is none that could be.
    async fn process(&self, pool: &Pool) -> Result<(Process, Result<(), Broken>), FunctionsError> {
        let patience = LOAD + Duration::from_secs(self.version.settings.timeout.into());
        while let Some(mut process) = pool.take(&self.function.name, &self.version) {
            match process.ready(Instant::now() + patience).await {
                Ok(()) => {
                    process.output.take();
                    process.output.begin();
                    return Ok((process, Ok(())));
                }
                // It went away while nobody used it.
                Err(_) => drop(tokio::spawn(process.end())),
            }
        }
        let mut process = pool.start(&self.function, &self.version).await?;
        let ready = process.ready(Instant::now() + patience).await;
        Ok((process, ready))
    }

    fn report(&self, process: &mut Process, took: Duration, note: &str) -> String {
        let millis = took.as_secs_f64() * 1000.0;
        let used = process.peak().div_ceil(1 << 20);
        let init = process.init.take().map_or_else(String::new, |init| {
            format!("Init Duration: {:.2} ms\t", init.as_secs_f64() * 1000.0)
        });
        format!(
            "REPORT RequestId: {}\tDuration: {millis:.2} ms\tBilled Duration: {} ms\t\
             Memory Size: {} MB\tMax Memory Used: {used} MB\t{init}{note}",
            self.invoke.request_id,
            millis.ceil(),
            self.version.settings.memory,
        )
    }
}

fn too_large(size: u64) -> Bytes {
    let message = format!(
        "Response payload size ({size} bytes) exceeded maximum allowed payload size \
         ({LARGEST_ANSWER} bytes)."
    );
    let error = json!({ "errorType": "Function.ResponseSizeTooLarge", "errorMessage": message });
    Bytes::from(error.to_string())
}

/// An instant as logs and documents have it: `2026-11-21T20:56:14.123Z`.
pub(crate) fn timestamp(millis: u64) -> String {
    let instant = i64::try_from(millis).ok().and_then(DateTime::from_timestamp_millis);
    instant.unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_json_within_their_limit() {
        assert_eq!(check_payload(Bytes::new(), 4).unwrap(), "{}");
        assert_eq!(check_payload(Bytes::from_static(b"null"), 4).unwrap(), "null");
        let large = check_payload(Bytes::from_static(b"[1,2]"), 4);
        assert!(matches!(large, Err(FunctionsError::TooLarge(4))));
        let broken = check_payload(Bytes::from_static(b"{1}"), 4);
        assert!(matches!(broken, Err(FunctionsError::InvalidContent(_))));
    }
}
