//! What a job wrote, all its streams merged.

use bessemer_aws_wire::ServiceError;
use bessemer_compute::logs::{LogFolder, LogReader, Record, Window};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::jobs::{Which, find};
use crate::{logs::group_of, platform::Platform};

/// Lines of an answer at most, from each stream.
const MOST: usize = 2_000;

#[derive(Deserialize)]
pub(super) struct JobLogs {
    name: String,
    kind: Option<String>,
    /// Where to go on, by stream.
    #[serde(default)]
    positions: Map<String, Value>,
    /// Lines of this instant and later.
    since: Option<u64>,
}

/// The lines after `positions`, in the order of their times, and where to go on.
pub(super) async fn read(platform: &Platform, input: JobLogs) -> Result<Value, ServiceError> {
    let which = Which { name: input.name.clone(), kind: input.kind.clone() };
    let job = find(platform, &which).await?;
    let logs = platform.logs.clone();
    let group = group_of(job.kind);
    let prefix = format!("{}/", job.name);
    let ended = job.lifecycle.state.name().is_final();
    let read = tokio::task::spawn_blocking(move || lines(&logs, group, &prefix, &input)).await;
    let (lines, positions) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::error!(%error, "a job's log can't be read");
            return Err(ServiceError::internal());
        }
        Err(_) => return Err(ServiceError::internal()),
    };
    Ok(json!({ "lines": lines, "positions": positions, "ended": ended }))
}

fn lines(
    logs: &LogFolder,
    group: &str,
    prefix: &str,
    input: &JobLogs,
) -> std::io::Result<(Vec<Value>, Map<String, Value>)> {
    let mut streams = logs.streams(group)?.unwrap_or_default();
    streams.retain(|stream| stream.starts_with(prefix));
    streams.sort();
    let window = Window { from_millis: input.since.unwrap_or(0), most: MOST, ..Window::default() };
    let mut found: Vec<(String, Record)> = Vec::new();
    let mut positions = Map::new();
    for stream in streams {
        let Some(mut reader) = LogReader::open(&logs.file(group, &stream))? else { continue };
        let from = input.positions.get(&stream).and_then(Value::as_u64).unwrap_or(0);
        let page = reader.forward(from, &window)?;
        positions.insert(stream.clone(), json!(page.end));
        found.extend(page.records.into_iter().map(|record| (stream.clone(), record)));
    }
    found.sort_by_key(|(_, record)| record.millis);
    let line = |(stream, record): (String, Record)| json!({ "stream": stream, "at": record.millis, "text": record.text });
    Ok((found.into_iter().map(line).collect(), positions))
}
