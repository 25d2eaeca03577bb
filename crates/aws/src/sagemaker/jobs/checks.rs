//! Checks that Creates share. Each says what is wrong in one message.

use std::collections::HashSet;

use serde_json::{Map, Value};

/// Refuses members that stand for work that is not done here.
pub(in super::super) fn check_absent(
    request: &Map<String, Value>,
    members: &[&str],
) -> Result<(), String> {
    match members.iter().find(|member| request.contains_key(**member)) {
        Some(member) => Err(unsupported(member)),
        None => Ok(()),
    }
}

/// Says that something is not supported.
pub(in super::super) fn unsupported(what: &str) -> String {
    format!("{what} is not supported by Bessemer")
}

/// That `uri`, the value of `member`, is one of an object or a prefix in S3.
pub(in super::super) fn check_uri(member: &str, uri: &str) -> Result<(), String> {
    let bucket = uri.strip_prefix("s3://").and_then(|rest| rest.split('/').next());
    match bucket {
        Some(bucket) if !bucket.is_empty() => Ok(()),
        _ => Err(format!("{member} must be of the form s3://bucket/prefix, it is '{uri}'")),
    }
}

/// That no two of `names` are the same; `what` is what they name.
pub(in super::super) fn check_unique<'n>(
    what: &str,
    names: impl Iterator<Item = &'n str>,
) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("{what} names must be unique, '{name}' is there more than once"));
        }
    }
    Ok(())
}
