//! Log streams: making, describing and deleting them.

use std::cmp::Reverse;

use bessemer_compute::logs::{LogFolder, LogReader, Window};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    error::Error,
    group_name,
    groups::{PAGE, created_millis, page},
};
use crate::caller::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NamedStream {
    log_group_name: String,
    log_stream_name: String,
}

pub(super) fn create(logs: &LogFolder, input: &NamedStream) -> Result<Value, Error> {
    if !logs.group(&input.log_group_name).is_dir() {
        return Err(Error::NoGroup);
    }
    let is_new = logs.create_stream(&input.log_group_name, &input.log_stream_name)?;
    if is_new { Ok(json!({})) } else { Err(Error::StreamExists) }
}

pub(super) fn delete(logs: &LogFolder, input: &NamedStream) -> Result<Value, Error> {
    if !logs.group(&input.log_group_name).is_dir() {
        return Err(Error::NoGroup);
    }
    let was_there = logs.delete_stream(&input.log_group_name, &input.log_stream_name)?;
    if was_there { Ok(json!({})) } else { Err(Error::NoStream) }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(super) fn describe(
    logs: &LogFolder,
    caller: &Caller,
    input: DescribeLogStreams,
) -> Result<Value, Error> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let mut names = names(logs, &group)?;
    let by_time = input.order_by.as_deref() == Some("LastEventTime");
    if by_time && input.log_stream_name_prefix.is_some() {
        let message = "Cannot order by LastEventTime with a logStreamNamePrefix.";
        return Err(Error::Parameter(message.to_owned()));
    }
    if let Some(prefix) = &input.log_stream_name_prefix {
        names.retain(|name| name.starts_with(prefix));
    }
    let stream = |name: &str| stream(logs, caller, &group, name);
    if !by_time && !input.descending {
        let (names, next) = page(names, input.next_token, input.limit);
        let streams: Result<Vec<Value>, Error> = names.iter().map(|name| stream(name)).collect();
        return Ok(json!({ "logStreams": streams?, "nextToken": next }));
    }
    // Any other order is for looking at what is latest: its pages go on by number.
    let mut streams = names.iter().map(|name| stream(name)).collect::<Result<Vec<Value>, _>>()?;
    let time = |stream: &Value| stream["lastEventTimestamp"].as_u64().unwrap_or_default();
    let name = |stream: &Value| stream["logStreamName"].as_str().unwrap_or_default().to_owned();
    match (by_time, input.descending) {
        (true, true) => streams.sort_by_key(|stream| Reverse(time(stream))),
        (true, false) => streams.sort_by_key(time),
        (false, _) => streams.sort_by_key(|stream| Reverse(name(stream))),
    }
    let skip = input.next_token.map_or(Ok(0), |token| token.parse().map_err(|_| Error::Token))?;
    let limit = input.limit.unwrap_or(PAGE).max(1);
    let next = (streams.len() > skip + limit).then(|| (skip + limit).to_string());
    let streams: Vec<Value> = streams.into_iter().skip(skip).take(limit).collect();
    Ok(json!({ "logStreams": streams, "nextToken": next }))
}

/// The streams of a group, in the order of their names.
pub(super) fn names(logs: &LogFolder, group: &str) -> Result<Vec<String>, Error> {
    let mut names = logs.streams(group)?.ok_or(Error::NoGroup)?;
    names.sort();
    Ok(names)
}

fn stream(logs: &LogFolder, caller: &Caller, group: &str, name: &str) -> Result<Value, Error> {
    let arn = caller.arn("logs", &format!("log-group:{group}:log-stream:{name}"));
    let mut stream = json!({ "logStreamName": name, "arn": arn, "storedBytes": 0 });
    let file = logs.file(group, name);
    let Some(mut reader) = LogReader::open(&file)? else { return Ok(stream) };
    stream["creationTime"] = json!(created_millis(&file)?);
    stream["uploadSequenceToken"] = json!("0");
    let one = Window { most: 1, ..Window::default() };
    let first = reader.forward(0, &one)?.records.into_iter().next();
    let end = reader.end()?;
    let last = reader.backward(end, &one)?.records.into_iter().next();
    if let (Some(first), Some(last)) = (first, last) {
        stream["firstEventTimestamp"] = json!(first.millis);
        stream["lastEventTimestamp"] = json!(last.millis);
        stream["lastIngestionTime"] = json!(last.millis);
    }
    Ok(stream)
}
