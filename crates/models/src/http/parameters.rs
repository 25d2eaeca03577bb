//! What a container asks for at `/execution-parameters`, and what becomes of it.

use bessemer_transform::model::Limits;
use serde_json::Value;

use super::{BatchStrategy, HttpOptions};

/// Bytes that a JSON body may have on top of its records' lines (`{"instances":[` and the like).
const ENVELOPE: u64 = 32;

/// The settings that a container asks for. `None`: it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ExecutionParameters {
    /// Calls at once for one copy.
    pub(super) max_concurrent: Option<usize>,
    pub(super) batch_strategy: Option<BatchStrategy>,
    /// Bytes of a body.
    pub(super) max_payload: Option<u64>,
}

impl ExecutionParameters {
    /// Reads the answer to `/execution-parameters`. What it does not say in the expected form is as
    /// if unsaid: the answer is optional, and many servers answer something to every address.
    pub(super) fn parse(body: &[u8]) -> Self {
        let Ok(Value::Object(members)) = serde_json::from_slice(body) else {
            return Self::default();
        };
        let number = |name: &str| {
            let value = members.get(name)?;
            value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|n| *n > 0)
        };
        Self {
            max_concurrent: number("MaxConcurrentTransforms").map(|n| n as usize),
            batch_strategy: members
                .get("BatchStrategy")
                .and_then(Value::as_str)
                .and_then(|text| text.parse().ok()),
            max_payload: number("MaxPayloadInMB").map(|n| n.saturating_mul(1 << 20)),
        }
    }
}

/// What holds for the run: what the user says, else what the container asks for, else what the
/// engine finds (`None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) batch_strategy: BatchStrategy,
    /// Bytes of a body.
    pub(super) max_payload: Option<u64>,
    /// Calls at once over all copies.
    pub(super) max_concurrent: Option<usize>,
}

impl Settings {
    pub(super) fn resolve(
        options: &HttpOptions,
        asked: ExecutionParameters,
        copies: usize,
    ) -> Self {
        let asked_concurrent = asked.max_concurrent.map(|each| each.saturating_mul(copies));
        Self {
            batch_strategy: options
                .batch_strategy
                .or(asked.batch_strategy)
                .unwrap_or(BatchStrategy::Multi),
            max_payload: options.max_payload.or(asked.max_payload),
            max_concurrent: options.max_concurrent.or(asked_concurrent),
        }
    }

    /// The same in the engine's words. `start` is how many calls at once to begin with.
    pub(super) fn limits(self, start: usize) -> Limits {
        let single = self.batch_strategy == BatchStrategy::Single;
        Limits {
            max_concurrent: self.max_concurrent,
            start_concurrent: Some(self.max_concurrent.map_or(start, |most| start.min(most))),
            max_payload: self.max_payload.map(|most| most.saturating_sub(ENVELOPE).max(1)),
            max_rows: single.then_some(1),
            start_rows: single.then_some(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Target;

    fn options() -> HttpOptions {
        HttpOptions::new(Target::Serve { command: "true".to_owned() })
    }

    #[test]
    fn what_a_container_asks_for_is_read_and_the_rest_is_ignored() {
        let asked = ExecutionParameters::parse(
            br#"{"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": "6"}"#,
        );
        assert_eq!(asked.max_concurrent, Some(8));
        assert_eq!(asked.batch_strategy, Some(BatchStrategy::Single));
        assert_eq!(asked.max_payload, Some(6 << 20));
        for nothing in ["", "ok", "[]", r#"{"MaxPayloadInMB": 0, "BatchStrategy": 3}"#] {
            let asked = ExecutionParameters::parse(nothing.as_bytes());
            assert_eq!(asked, ExecutionParameters::default(), "{nothing}");
        }
    }

    #[test]
    fn the_user_wins_over_the_container_and_the_container_over_the_engine() {
        let asked = ExecutionParameters {
            max_concurrent: Some(3),
            batch_strategy: Some(BatchStrategy::Single),
            max_payload: Some(1 << 20),
        };
        let settings = Settings::resolve(&options(), asked, 2);
        assert_eq!(settings.max_concurrent, Some(6));
        assert_eq!(settings.limits(2).max_rows, Some(1));
        let user = HttpOptions {
            batch_strategy: Some(BatchStrategy::Multi),
            max_payload: Some(5000),
            max_concurrent: Some(1),
            ..options()
        };
        let limits = Settings::resolve(&user, asked, 2).limits(2);
        assert_eq!(limits.max_concurrent, Some(1));
        assert_eq!(limits.start_concurrent, Some(1));
        assert_eq!(limits.max_payload, Some(5000 - ENVELOPE));
        assert_eq!(limits.max_rows, None);
        let found = Settings::resolve(&options(), ExecutionParameters::default(), 2).limits(2);
        assert_eq!((found.max_concurrent, found.max_payload, found.max_rows), (None, None, None));
        assert_eq!(found.start_concurrent, Some(2));
    }
}
