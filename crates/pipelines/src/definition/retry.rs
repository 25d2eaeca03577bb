//! [`RetryRule`]: when a step is tried again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a failure is for retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exception {
    /// A service failed for no fault of the step.
    ServiceFault,
    /// A service has too much to do.
    Throttling,
    /// A job failed for no fault of its own.
    JobInternalError,
    /// A job found no room.
    CapacityError,
    /// A quota has no room.
    ResourceLimit,
    /// Anything else: the code of a job or function, or whoever answers a callback.
    Failure,
    /// The step took too long.
    Timeout,
}

impl Exception {
    /// Every exception, with its name in definitions. The last two are Bessemer's own.
    const ALL: [(Self, &'static str); 7] = [
        (Self::ServiceFault, "Step.SERVICE_FAULT"),
        (Self::Throttling, "Step.THROTTLING"),
        (Self::JobInternalError, "SageMaker.JOB_INTERNAL_ERROR"),
        (Self::CapacityError, "SageMaker.CAPACITY_ERROR"),
        (Self::ResourceLimit, "SageMaker.RESOURCE_LIMIT"),
        (Self::Failure, "Step.FAILURE"),
        (Self::Timeout, "Step.TIMEOUT"),
    ];

    /// Every exception.
    pub(crate) fn every() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().map(|(exception, _)| exception)
    }
}

/// When a step is tried again, and how often.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryRule {
    /// After which failures.
    pub exceptions: Vec<Exception>,
    /// How long before the first retry, in milliseconds.
    pub interval_millis: u64,
    /// How many times longer each further wait is.
    pub backoff_rate: f64,
    /// How many retries, at most.
    pub max_attempts: Option<u32>,
    /// No retry after so long since the step was first tried, in milliseconds.
    pub expire_millis: Option<u64>,
}

impl RetryRule {
    /// Reads a policy, or says what is wrong with it.
    pub(super) fn parse(value: &Value) -> Result<Self, String> {
        let names = value["ExceptionType"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut exceptions = Vec::new();
        for name in names {
            let text = name.as_str().unwrap_or_default();
            let known = Exception::ALL.iter().find(|(_, known)| *known == text);
            let (exception, _) = known.ok_or_else(|| {
                let known: Vec<&str> = Exception::ALL.iter().map(|(_, name)| *name).collect();
                format!("no exception `{text}` in its retry policy; there is {}", known.join(", "))
            })?;
            exceptions.push(*exception);
        }
        if exceptions.is_empty() {
            return Err("a retry policy without `ExceptionType`".to_owned());
        }
        let number = |name: &str| -> Result<Option<f64>, String> {
            match value.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(number) => match number.as_f64().filter(|number| *number >= 0.0) {
                    Some(number) => Ok(Some(number)),
                    None => Err(format!(
                        "`{name}` of its retry policy must be a number, not `{number}`"
                    )),
                },
            }
        };
        let expire = number("ExpireAfterMin")?.map(|minutes| (minutes * 60_000.0) as u64);
        let attempts = number("MaxAttempts")?.map(|attempts| attempts as u32);
        if expire.is_some() && attempts.is_some() {
            return Err("both `MaxAttempts` and `ExpireAfterMin` in a retry policy".to_owned());
        }
        Ok(Self {
            exceptions,
            interval_millis: (number("IntervalSeconds")?.unwrap_or(1.0) * 1_000.0) as u64,
            backoff_rate: number("BackoffRate")?.unwrap_or(2.0).max(1.0),
            max_attempts: attempts.or(expire.is_none().then_some(5)),
            expire_millis: expire,
        })
    }

    /// How long to wait before retry number `retry` (0 is the first), in milliseconds.
    pub fn delay_millis(&self, retry: u32) -> u64 {
        /// No wait is longer: a day.
        const LONGEST: f64 = 86_400_000.0;
        let exponent = i32::try_from(retry).unwrap_or(i32::MAX);
        (self.interval_millis as f64 * self.backoff_rate.powi(exponent)).min(LONGEST) as u64
    }
}
