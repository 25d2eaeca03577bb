//! `FilterLogEvents`: the events of a group's streams, in the order of their times.

use std::hash::{DefaultHasher, Hash, Hasher};

use bessemer_compute::logs::{LogFolder, Record};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    error::Error,
    get::MOST,
    group_name,
    groups::Group,
    merge::{Merge, Place, Range},
    pattern::Pattern,
    streams,
};

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
    start_from_head: Option<bool>,
}

/// Bytes of text that are searched for one answer, and that it may have.
const SEARCHED: usize = 64 << 20;
const ANSWERED: usize = 1 << 20;

pub(super) fn events(
    logs: &LogFolder,
    now_millis: u64,
    input: FilterLogEvents,
) -> Result<Value, Error> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let names = chosen(logs, &group, input.log_stream_names, input.log_stream_name_prefix)?;
    let pattern = input.filter_pattern.unwrap_or_default();
    let pattern = Pattern::parse(&pattern)
        .map_err(|why| Error::Parameter(format!("Invalid filter pattern: {why}")))?;
    let resume = input.next_token.as_deref().map(parse).transpose()?;
    let backward = match &resume {
        Some((backward, _)) => *backward,
        None => input.start_from_head == Some(false),
    };
    let oldest = Group::read(logs, &group)?.oldest(now_millis);
    let range = Range {
        from_millis: input.start_time.unwrap_or(0).max(oldest),
        // The end belongs to the range here.
        until_millis: input.end_time.map_or(u64::MAX, |end| end.saturating_add(1)),
        backward,
    };
    let place = resume.as_ref().map(|(_, place)| place);
    let mut merge = Merge::start(logs, &group, &names, range, place)?;
    let limit = input.limit.unwrap_or(MOST).clamp(1, MOST);
    let (mut events, mut searched, mut answered) = (Vec::new(), 0, 0);
    let mut next = None;
    while let Some((stream, record)) = merge.next()? {
        if events.len() >= limit || searched >= SEARCHED || answered >= ANSWERED {
            // The place after the last record that was looked at; there is one.
            let token: Option<Place> = next;
            let token = token.map(|place| token_of(backward, &place));
            return Ok(json!({ "events": events, "searchedLogStreams": [], "nextToken": token }));
        }
        searched += record.text.len();
        if pattern.matches(&record.text) {
            answered += record.text.len();
            events.push(event(stream, &record));
        }
        // Forward, the record itself is passed by its first byte.
        let position = record.position + u64::from(!backward);
        next = Some(Place { millis: record.millis, position, stream: stream.to_owned() });
    }
    Ok(json!({ "events": events, "searchedLogStreams": [] }))
}

/// The streams that are searched, in the order of their names.
fn chosen(
    logs: &LogFolder,
    group: &str,
    wanted: Option<Vec<String>>,
    prefix: Option<String>,
) -> Result<Vec<String>, Error> {
    let mut names = streams::names(logs, group)?;
    match (wanted, prefix) {
        (Some(_), Some(_)) => {
            let message = "logStreamNamePrefix and logStreamNames can't both be given";
            return Err(Error::Parameter(message.to_owned()));
        }
        (Some(wanted), None) => {
            if wanted.iter().any(|name| names.binary_search(name).is_err()) {
                return Err(Error::NoStream);
            }
            names.retain(|name| wanted.contains(name));
        }
        (None, Some(prefix)) => names.retain(|name| name.starts_with(&prefix)),
        (None, None) => {}
    }
    Ok(names)
}

fn token_of(backward: bool, place: &Place) -> String {
    let direction = if backward { 'b' } else { 'f' };
    format!("{direction}/{}/{}/{}", place.millis, place.position, place.stream)
}

fn parse(token: &str) -> Result<(bool, Place), Error> {
    let mut parts = token.splitn(4, '/');
    let mut part = || parts.next().ok_or(Error::Token);
    let backward = match part()? {
        "f" => false,
        "b" => true,
        _ => return Err(Error::Token),
    };
    let number = |text: &str| text.parse().map_err(|_| Error::Token);
    let (millis, position) = (number(part()?)?, number(part()?)?);
    Ok((backward, Place { millis, position, stream: part()?.to_owned() }))
}

fn event(stream: &str, record: &Record) -> Value {
    // Digits that tell an event from all others of its group.
    let mut hash = DefaultHasher::new();
    stream.hash(&mut hash);
    let id = format!("{:014}{:020}{:022}", record.millis, hash.finish(), record.position);
    json!({
        "logStreamName": stream,
        "timestamp": record.millis,
        "message": record.text,
        "ingestionTime": record.millis,
        "eventId": id,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bessemer_compute::logs::{LogWriter, Source};
    use bessemer_domain::ManualClock;

    use super::*;

    /// Two streams of five events, two each millisecond.
    fn two_streams(folder: &std::path::Path) -> LogFolder {
        let logs = LogFolder::new(folder);
        for stream in ["a", "b"] {
            let clock = Arc::new(ManualClock::default());
            let mut writer =
                LogWriter::open(&logs.file("g", stream), 1 << 20, clock.clone()).unwrap();
            for number in 0..5 {
                clock.advance(number % 2);
                let text = format!("{stream}{number} word");
                writer.add(Source::Output, false, text.as_bytes());
            }
            writer.flush().unwrap();
        }
        logs
    }

    fn walk(logs: &LogFolder, limit: usize, changes: &Value) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut input = json!({ "logGroupName": "g", "limit": limit, "nextToken": token });
            for (name, value) in changes.as_object().unwrap() {
                input[name] = value.clone();
            }
            let answer = events(logs, 0, serde_json::from_value(input).unwrap()).unwrap();
            let told = answer["events"].as_array().unwrap();
            assert!(told.len() <= limit);
            all.extend(told.iter().map(|e| e["message"].as_str().unwrap()[..2].to_owned()));
            token = answer["nextToken"].as_str().map(str::to_owned);
            if token.is_none() {
                return all;
            }
        }
    }

    #[test]
    fn pages_lead_through_all_streams_in_the_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let logs = two_streams(folder.path());
        let want = ["a0", "b0", "a1", "a2", "b1", "b2", "a3", "b3", "b4"];
        for limit in 1..=10 {
            let found = walk(&logs, limit, &json!({ "filterPattern": "word -a4" }));
            assert_eq!(found, want, "{limit} a page");
            let mut found =
                walk(&logs, limit, &json!({ "filterPattern": "word -a4", "startFromHead": false }));
            found.reverse();
            assert_eq!(found, want, "{limit} a page, backward");
        }
        assert_eq!(walk(&logs, 2, &json!({ "startTime": 2 })), ["a3", "a4", "b3", "b4"]);
        assert_eq!(walk(&logs, 2, &json!({ "endTime": 0 })), ["a0", "b0"]);
        assert_eq!(walk(&logs, 9, &json!({ "logStreamNames": ["b"] })).len(), 5);
    }
}
