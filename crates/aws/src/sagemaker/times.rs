//! Times as requests and answers have them: seconds since 1970, against our milliseconds.

use serde_json::Value;

/// An instant of ours as answers have it.
pub(super) fn seconds(millis: u64) -> Value {
    Value::from(millis as f64 / 1000.0)
}

/// The first millisecond at or after a request's instant.
pub(super) fn millis(seconds: f64) -> u64 {
    (seconds * 1000.0).round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_come_back_as_they_went() {
        for instant in [0, 1, 999, 1_763_735_714_123] {
            assert_eq!(millis(seconds(instant).as_f64().unwrap()), instant);
        }
        assert_eq!(millis(-5.0), 0);
    }
}
