//! `FilterLogEvents`: the events of a group's streams, in the order of their times.

use bessemer_compute::logs::{LogFolder, LogReader, Record, Window};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, get::MOST, group_name, pattern::Pattern, streams};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<u64>,
    end_time: Option<u64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

/// Where an answer goes on: from this millisecond, without so many events of it that were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Resume {
    millis: u64,
    told: usize,
}

/// Bytes of text that are searched for one answer.
const SEARCHED: usize = 64 << 20;

pub(super) fn events(logs: &LogFolder, input: FilterLogEvents) -> Result<Value, Error> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let mut names = streams::names(logs, &group)?;
    match (&input.log_stream_names, &input.log_stream_name_prefix) {
        (Some(chosen), _) => names.retain(|name| chosen.contains(name)),
        (None, Some(prefix)) => names.retain(|name| name.starts_with(prefix)),
        (None, None) => {}
    }
    let pattern = input.filter_pattern.unwrap_or_default();
    let pattern = Pattern::parse(&pattern).map_err(Error::Parameter)?;
    let resume = input.next_token.as_deref().map_or(Ok(Resume::default()), parse)?;
    let window = Window {
        from_millis: input.start_time.unwrap_or(0).max(resume.millis),
        // The end belongs to the range here.
        until_millis: input.end_time.map_or(u64::MAX, |end| end.saturating_add(1)),
        most: usize::MAX,
        most_bytes: SEARCHED,
    };
    let mut found: Vec<(&str, Record)> = Vec::new();
    for name in &names {
        let Some(mut reader) = LogReader::open(&logs.file(&group, name))? else { continue };
        let records = reader.forward(0, &window)?.records;
        let records = records.into_iter().filter(|record| pattern.matches(&record.text));
        found.extend(records.map(|record| (name.as_str(), record)));
    }
    // Streams are in the order of their names, and records of theirs: the sort keeps both.
    found.sort_by_key(|(_, record)| record.millis);
    let limit = input.limit.unwrap_or(MOST).clamp(1, MOST);
    let next = next(&found, resume, limit);
    let told = found.iter().skip(resume.told).take(limit);
    let events: Vec<Value> = told.map(|(stream, record)| event(stream, record)).collect();
    Ok(json!({ "events": events, "searchedLogStreams": [], "nextToken": next }))
}

/// The token of what comes after `limit` of `found`, which begins where `resume` says.
fn next(found: &[(&str, Record)], resume: Resume, limit: usize) -> Option<String> {
    let end = resume.told + limit;
    let first_left = &found.get(end)?.1;
    let told = found[..end].iter().filter(|(_, record)| record.millis == first_left.millis).count();
    Some(format!("{}.{told}", first_left.millis))
}

fn parse(token: &str) -> Result<Resume, Error> {
    let (millis, told) = token.split_once('.').ok_or(Error::Token)?;
    let parse = || Some(Resume { millis: millis.parse().ok()?, told: told.parse().ok()? });
    parse().ok_or(Error::Token)
}

fn event(stream: &str, record: &Record) -> Value {
    json!({
        "logStreamName": stream,
        "timestamp": record.millis,
        "message": record.text,
        "ingestionTime": record.millis,
        "eventId": format!("{:020}{:036}", record.millis, record.position),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bessemer_compute::logs::{LogWriter, Source};
    use bessemer_domain::ManualClock;

    use super::*;

    #[test]
    fn pages_lead_through_all_streams_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let logs = LogFolder::new(folder.path());
        for stream in ["a", "b"] {
            let clock = Arc::new(ManualClock::default());
            let mut writer =
                LogWriter::open(&logs.file("g", stream), 1 << 20, clock.clone()).unwrap();
            for number in 0..5 {
                // Two events of each millisecond and stream.
                clock.advance(number % 2);
                let text = format!("{stream}{number} word");
                writer.add(Source::Output, false, text.as_bytes());
            }
            writer.flush().unwrap();
        }
        let mut all: Vec<String> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let input = json!({
                "logGroupName": "g", "limit": 3, "filterPattern": "word -a4", "nextToken": token,
            });
            let answer = events(&logs, serde_json::from_value(input).unwrap()).unwrap();
            let told = answer["events"].as_array().unwrap();
            all.extend(told.iter().map(|e| e["message"].as_str().unwrap()[..2].to_owned()));
            token = answer["nextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                break;
            }
        }
        assert_eq!(all, ["a0", "b0", "a1", "a2", "b1", "b2", "a3", "b3", "b4"]);
    }
}
