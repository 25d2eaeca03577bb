//! Permissions as statements of a queue's policy. They are kept and shown; who may call is decided by
//! access keys.

use serde_json::{Value, json};

use crate::error::QueueError;

/// The actions that a permission can give to others.
const ACTIONS: [&str; 8] = [
    "*",
    "ChangeMessageVisibility",
    "DeleteMessage",
    "GetQueueAttributes",
    "GetQueueUrl",
    "ListDeadLetterSourceQueues",
    "ReceiveMessage",
    "SendMessage",
];
/// The actions that a permission gives to one other account, at most.
const MOST_ACTIONS: usize = 7;

/// `policy` with another statement.
pub(crate) fn with(
    policy: Option<&String>,
    arn: &str,
    label: &str,
    accounts: &[String],
    actions: &[String],
) -> Result<String, QueueError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.is_empty() || label.len() > 80 || !label.bytes().all(plain) {
        let reason = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 \
                      in length.";
        return Err(QueueError::value(label, "Label", reason));
    }
    if accounts.is_empty() {
        return Err(QueueError::Missing("AWSAccountIds"));
    }
    if actions.is_empty() {
        return Err(QueueError::Missing("Actions"));
    }
    if actions.len() > MOST_ACTIONS {
        let message =
            format!("{} Actions were found, maximum allowed is {MOST_ACTIONS}.", actions.len());
        return Err(QueueError::Parameter(message));
    }
    for action in actions {
        if !ACTIONS.contains(&action.as_str()) {
            let reason = "Only the queue owner is allowed to invoke this action.";
            return Err(QueueError::value(format!("SQS:{action}"), "ActionName", reason));
        }
    }
    let mut policy = read(policy, arn);
    let statements = statements(&mut policy);
    if statements.iter().any(|statement| statement["Sid"] == label) {
        return Err(QueueError::value(label, "Label", "Already exists."));
    }
    let principal = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root"));
    statements.push(json!({
        "Sid": label,
        "Effect": "Allow",
        "Principal": {"AWS": one_or_all(principal.collect())},
        "Action": one_or_all(actions.iter().map(|action| format!("SQS:{action}")).collect()),
        "Resource": arn,
    }));
    Ok(policy.to_string())
}

/// `policy` without a statement; an empty text if it was the last.
pub(crate) fn without(
    policy: Option<&String>,
    arn: &str,
    label: &str,
) -> Result<String, QueueError> {
    let mut policy = read(policy, arn);
    let statements = statements(&mut policy);
    let before = statements.len();
    statements.retain(|statement| statement["Sid"] != label);
    match statements.len() {
        left if left == before => Err(QueueError::value(label, "Label", "can't find label.")),
        0 => Ok(String::new()),
        _ => Ok(policy.to_string()),
    }
}

fn read(policy: Option<&String>, arn: &str) -> Value {
    let policy = policy.and_then(|text| serde_json::from_str(text).ok());
    policy.filter(Value::is_object).unwrap_or_else(|| {
        json!({"Version": "2008-10-17", "Id": format!("{arn}/SQSDefaultPolicy"), "Statement": []})
    })
}

/// The statements of a policy; one alone may stand without a list.
fn statements(policy: &mut Value) -> &mut Vec<Value> {
    let statements = &mut policy["Statement"];
    if !statements.is_array() {
        let one = statements.take();
        *statements = if one.is_null() { json!([]) } else { json!([one]) };
    }
    statements.as_array_mut().expect("it was made one")
}

fn one_or_all(mut texts: Vec<String>) -> Value {
    if texts.len() == 1 { json!(texts.remove(0)) } else { json!(texts) }
}
