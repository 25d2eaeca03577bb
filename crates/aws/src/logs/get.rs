//! `GetLogEvents`. Tokens are places in the stream: `f/<byte>` to go on from, `b/<byte>` to go back
//! from. At an end, the token that was given comes again, which is how clients see that there is
//! nothing more.

use bessemer_compute::logs::{LogFolder, LogReader, Page, Window};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{error::Error, group_name, groups::Group, streams};

/// Events of an answer at most, if no other number is asked for.
pub(super) const MOST: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<u64>,
    end_time: Option<u64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

/// Where to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    From(u64),
    Before(u64),
}

pub(super) fn events(
    logs: &LogFolder,
    now_millis: u64,
    input: GetLogEvents,
) -> Result<Value, Error> {
    let group = group_name(input.log_group_name, input.log_group_identifier)?;
    let Some(mut reader) = LogReader::open(&logs.file(&group, &input.log_stream_name))? else {
        streams::names(logs, &group)?;
        return Err(Error::NoStream);
    };
    let window = Window {
        from_millis: input
            .start_time
            .unwrap_or(0)
            .max(Group::read(logs, &group)?.oldest(now_millis)),
        until_millis: input.end_time.unwrap_or(u64::MAX),
        most: input.limit.unwrap_or(MOST).clamp(1, MOST),
        ..Window::default()
    };
    let place = match (&input.next_token, input.start_from_head) {
        (Some(token), _) => parse(token)?,
        (None, true) => Place::From(0),
        (None, false) => Place::Before(u64::MAX),
    };
    let end = reader.end()?;
    let page = match place {
        Place::From(position) => reader.forward(position.min(end), &window)?,
        Place::Before(position) => reader.backward(position.min(end), &window)?,
    };
    Ok(answer(&page))
}

fn answer(page: &Page) -> Value {
    let event = |record: &bessemer_compute::logs::Record| {
        json!({
            "timestamp": record.millis,
            "message": record.text,
            "ingestionTime": record.millis,
        })
    };
    let events: Vec<Value> = page.records.iter().map(event).collect();
    json!({
        "events": events,
        "nextForwardToken": format!("f/{}", page.end),
        "nextBackwardToken": format!("b/{}", page.start),
    })
}

fn parse(token: &str) -> Result<Place, Error> {
    let (direction, position) = token.split_once('/').ok_or(Error::Token)?;
    let position = position.parse().map_err(|_| Error::Token)?;
    match direction {
        "f" => Ok(Place::From(position)),
        "b" => Ok(Place::Before(position)),
        _ => Err(Error::Token),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bessemer_compute::logs::{LogWriter, Source};
    use bessemer_domain::ManualClock;

    use super::*;

    fn get(logs: &LogFolder, input: &Value) -> Result<Value, Error> {
        let mut whole = json!({ "logGroupName": "g", "logStreamName": "s" });
        for (name, value) in input.as_object().unwrap() {
            whole[name] = value.clone();
        }
        events(logs, 0, serde_json::from_value(whole).unwrap())
    }

    fn texts(answer: &Value) -> Vec<&str> {
        let events = answer["events"].as_array().unwrap();
        events.iter().map(|event| event["message"].as_str().unwrap()).collect()
    }

    #[test]
    fn tokens_lead_through_the_stream_and_stay_at_its_ends() {
        let folder = tempfile::tempdir().unwrap();
        let logs = LogFolder::new(folder.path());
        let clock = Arc::new(ManualClock::default());
        clock.advance(1_000);
        let mut writer = LogWriter::open(&logs.file("g", "s"), 1 << 20, clock.clone()).unwrap();
        for text in ["one", "two", "three"] {
            writer.add(Source::Output, false, text.as_bytes());
            clock.advance(10);
        }
        writer.flush().unwrap();

        let first = get(&logs, &json!({ "startFromHead": true, "limit": 2 })).unwrap();
        assert_eq!(texts(&first), ["one", "two"]);
        let next = first["nextForwardToken"].clone();
        let second = get(&logs, &json!({ "nextToken": next })).unwrap();
        assert_eq!(texts(&second), ["three"]);
        let end = second["nextForwardToken"].clone();
        let third = get(&logs, &json!({ "nextToken": end })).unwrap();
        assert!(texts(&third).is_empty());
        assert_eq!(third["nextForwardToken"], end);
        writer.add(Source::Output, false, b"four");
        writer.flush().unwrap();
        assert_eq!(texts(&get(&logs, &json!({ "nextToken": end })).unwrap()), ["four"]);

        let last = get(&logs, &json!({ "limit": 1 })).unwrap();
        assert_eq!(texts(&last), ["four"]);
        let back = last["nextBackwardToken"].clone();
        let before = get(&logs, &json!({ "nextToken": back, "limit": 2 })).unwrap();
        assert_eq!(texts(&before), ["two", "three"]);
        let timed = get(&logs, &json!({ "startTime": 1_010, "endTime": 1_020 })).unwrap();
        assert_eq!(texts(&timed), ["two"]);
        assert!(matches!(get(&logs, &json!({ "nextToken": "x/1" })), Err(Error::Token)));
        let missing = get(&logs, &json!({ "logStreamName": "other" }));
        assert!(matches!(missing, Err(Error::NoStream)));
        let missing = get(&logs, &json!({ "logGroupName": "other" }));
        assert!(matches!(missing, Err(Error::NoGroup)));
    }
}
