//! Checks that Creates share. Each says what is wrong in one message.

use std::collections::HashSet;

use bessemer_domain::nearest_names;
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

/// That every `BESSEMER_*` is one of `known`: a misspelt one would be left out in silence.
pub(in super::super) fn check_settings(
    environment: &Map<String, Value>,
    known: &[&str],
) -> Result<(), String> {
    let ours = environment.keys().filter(|name| name.starts_with("BESSEMER_"));
    for name in ours {
        if !known.contains(&name.as_str()) {
            let near = nearest_names(name, known.iter().copied(), 3);
            let there = if near.is_empty() { known.join(", ") } else { near.join(", ") };
            return Err(format!("Environment has no setting {name}; there is {there}"));
        }
    }
    Ok(())
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
