//! `DescribeLogGroups`.

use bessemer_compute::logs::LogFolder;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::Error;
use crate::caller::Caller;

/// Groups and streams on a page at most.
pub(super) const PAGE: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(super) fn describe(
    logs: &LogFolder,
    caller: &Caller,
    input: DescribeLogGroups,
) -> Result<Value, Error> {
    let mut names = logs.groups()?;
    let prefix = input.log_group_name_prefix.unwrap_or_default();
    let part = input.log_group_name_pattern.unwrap_or_default();
    names.retain(|name| name.starts_with(&prefix) && name.contains(&part));
    let (names, next) = page(names, input.next_token, input.limit);
    let group = |name: &String| {
        let arn = caller.arn("logs", &format!("log-group:{name}"));
        json!({
            "logGroupName": name,
            "arn": format!("{arn}:*"),
            "logGroupArn": arn,
            "logGroupClass": "STANDARD",
            "metricFilterCount": 0,
        })
    };
    let groups: Vec<Value> = names.iter().map(group).collect();
    Ok(json!({ "logGroups": groups, "nextToken": next }))
}

/// The names after `last`, as many as asked for, and the token of the next page.
pub(super) fn page(
    mut names: Vec<String>,
    last: Option<String>,
    limit: Option<usize>,
) -> (Vec<String>, Option<String>) {
    names.sort();
    if let Some(last) = last {
        names.retain(|name| *name > last);
    }
    let limit = limit.unwrap_or(PAGE).max(1);
    let more = names.len() > limit;
    names.truncate(limit);
    let next = names.last().filter(|_| more).cloned();
    (names, next)
}
