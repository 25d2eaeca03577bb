//! `evaluateOnExit`: whether another attempt follows, by how the last one ended.

use serde::{Deserialize, Serialize};

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RetryAction {
    /// Another one, while any are left.
    Retry,
    /// None.
    Exit,
}

/// A rule of a retry strategy. Patterns may end in `*`; all that are given have to match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExitRule {
    /// Of [`BatchExit::status_reason`].
    pub on_status_reason: Option<String>,
    /// Of [`BatchExit::reason`].
    pub on_reason: Option<String>,
    /// Of the exit code in decimal.
    pub on_exit_code: Option<String>,
    /// What follows if it matches.
    pub action: RetryAction,
}

/// How an attempt ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchExit {
    /// Why the attempt ended, such as `Essential container in task exited`.
    pub status_reason: String,
    /// What the container has to say of it, such as `OutOfMemoryError: …`.
    pub reason: Option<String>,
    /// The container's exit code, if it ran.
    pub exit_code: Option<i32>,
}

/// What follows a failed attempt: what the first rule that matches says, or else another one.
#[must_use]
pub fn retry_action(rules: &[ExitRule], exit: &BatchExit) -> RetryAction {
    let code = exit.exit_code.map(|code| code.to_string()).unwrap_or_default();
    let reason = exit.reason.as_deref().unwrap_or_default();
    let matches = |rule: &&ExitRule| {
        let conditions = [
            (&rule.on_status_reason, exit.status_reason.as_str()),
            (&rule.on_reason, reason),
            (&rule.on_exit_code, code.as_str()),
        ];
        let mut given =
            conditions.iter().filter_map(|(pattern, text)| Some((pattern.as_ref()?, text)));
        given.all(|(pattern, text)| matches_pattern(pattern, text))
    };
    rules.iter().find(matches).map_or(RetryAction::Retry, |rule| rule.action)
}

/// Whether `text` is `pattern`, or begins with it if it ends in `*`; in any case of letters.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    match pattern.strip_suffix('*') {
        Some(begin) => text.starts_with(begin),
        None => text == pattern,
    }
}

#[cfg(test)]
mod tests {
    use RetryAction::{Exit, Retry};

    use super::*;

    fn rule(
        status: Option<&str>,
        reason: Option<&str>,
        code: Option<&str>,
        action: RetryAction,
    ) -> ExitRule {
        ExitRule {
            on_status_reason: status.map(str::to_owned),
            on_reason: reason.map(str::to_owned),
            on_exit_code: code.map(str::to_owned),
            action,
        }
    }

    fn exited(code: i32) -> BatchExit {
        let status_reason = "Essential container in task exited".to_owned();
        BatchExit { status_reason, reason: None, exit_code: Some(code) }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let spot = [rule(Some("Host EC2*"), None, None, Retry), rule(None, Some("*"), None, Exit)];
        assert_eq!(retry_action(&spot, &exited(1)), Exit);
        let lost = BatchExit {
            status_reason: "Host EC2 (instance i-0) terminated.".into(),
            ..BatchExit::default()
        };
        assert_eq!(retry_action(&spot, &lost), Retry);
        assert_eq!(retry_action(&[], &exited(1)), Retry);
    }

    #[test]
    fn codes_match_whole_or_by_their_beginning() {
        let of = |pattern: &str| [rule(None, None, Some(pattern), Exit)];
        for (pattern, code, expected) in
            [("1", 1, Exit), ("1", 12, Retry), ("1*", 12, Exit), ("2", 1, Retry), ("*", 137, Exit)]
        {
            assert_eq!(retry_action(&of(pattern), &exited(code)), expected, "{pattern} {code}");
        }
    }

    #[test]
    fn all_conditions_of_a_rule_have_to_match() {
        let both = [rule(None, Some("OutOfMemory*"), Some("137"), Exit)];
        assert_eq!(retry_action(&both, &exited(137)), Retry);
        let killed = BatchExit {
            reason: Some("OutOfMemoryError: Container killed due to memory usage".into()),
            ..exited(137)
        };
        assert_eq!(retry_action(&both, &killed), Exit);
    }
}
