//! What a job wrote, all its streams merged.

use bessemer_aws_wire::ServiceError;
use bessemer_compute::logs::{LogFolder, LogReader, Record, Window};
use bessemer_domain::JobKind;
use bessemer_store::Job;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    failed,
    jobs::{Which, find},
};
use crate::{batch::BatchRequest, logs::group_of, platform::Platform};

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

/// The lines after `positions`, in the order of their times, where to go on, and whether there is
/// more to be had at once.
pub(super) async fn read(platform: &Platform, input: JobLogs) -> Result<Value, ServiceError> {
    let which = Which { name: input.name.clone(), kind: input.kind.clone() };
    let job = find(platform, &which).await?;
    let logs = platform.logs.clone();
    let streams = streams_of(platform, &job).await?;
    let ended = job.lifecycle.state.name().is_final();
    let read = tokio::task::spawn_blocking(move || lines(&logs, &streams, &input)).await;
    let (lines, positions, more) = match read {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::error!(%error, "a job's log can't be read");
            return Err(ServiceError::internal());
        }
        Err(_) => return Err(ServiceError::internal()),
    };
    Ok(json!({ "lines": lines, "positions": positions, "more": more, "ended": ended }))
}

/// Where a job's streams are.
struct Streams {
    group: String,
    /// How their names begin.
    prefixes: Vec<String>,
}

async fn streams_of(platform: &Platform, job: &Job) -> Result<Streams, ServiceError> {
    if job.kind != JobKind::Batch {
        let prefixes = vec![format!("{}/", job.name)];
        return Ok(Streams { group: group_of(job.kind).to_owned(), prefixes });
    }
    let documents = platform.jobs.documents(job).await.map_err(|error| failed(&error))?;
    let request = serde_json::from_str::<BatchRequest>(&documents.request);
    let request = request.map_err(|_| ServiceError::internal())?;
    let attempts = 1..=job.lifecycle.number;
    let prefixes = attempts.map(|attempt| request.log_stream(&job.name, attempt)).collect();
    Ok(Streams { group: request.log_group().to_owned(), prefixes })
}

fn lines(
    logs: &LogFolder,
    Streams { group, prefixes }: &Streams,
    input: &JobLogs,
) -> std::io::Result<(Vec<Value>, Map<String, Value>, bool)> {
    let mut streams = logs.streams(group)?.unwrap_or_default();
    streams.retain(|stream| prefixes.iter().any(|prefix| stream.starts_with(prefix)));
    streams.sort();
    let window = Window { from_millis: input.since.unwrap_or(0), most: MOST, ..Window::default() };
    let mut found: Vec<(usize, Record)> = Vec::new();
    let mut positions = Map::new();
    // Of a stream that has more than a page, nothing is known past its page's end.
    let mut known_until = u64::MAX;
    for (index, stream) in streams.iter().enumerate() {
        let Some(mut reader) = LogReader::open(&logs.file(group, stream))? else { continue };
        let from = input.positions.get(stream).and_then(Value::as_u64).unwrap_or(0);
        let page = reader.forward(from, &window)?;
        if let Some(last) =
            page.records.last().filter(|_| reader.end().is_ok_and(|end| end > page.end))
        {
            known_until = known_until.min(last.millis);
        }
        positions.insert(stream.clone(), json!(page.end));
        found.extend(page.records.into_iter().map(|record| (index, record)));
    }
    found.sort_by_key(|(_, record)| record.millis);
    let later = found.split_off(found.partition_point(|(_, record)| record.millis <= known_until));
    for (index, record) in later.iter().rev() {
        positions.insert(streams[*index].clone(), json!(record.position));
    }
    let line = |(index, record): (usize, Record)| json!({ "stream": streams[index], "at": record.millis, "text": record.text });
    let lines = found.into_iter().map(line).collect();
    Ok((lines, positions, known_until < u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn long_streams_are_merged_by_time_across_answers() {
        let folder = tempfile::tempdir().unwrap();
        let logs = LogFolder::new(folder.path());
        fs::create_dir_all(logs.group("g")).unwrap();
        // One stream is dense, the other is spread over the same time.
        let dense: Vec<String> = (0..5000).map(|at| format!("{at} o dense\n")).collect();
        let sparse: Vec<String> = (0..500).map(|at| format!("{} o sparse\n", at * 10)).collect();
        fs::write(logs.file("g", "job/a"), dense.concat()).unwrap();
        fs::write(logs.file("g", "job/b"), sparse.concat()).unwrap();
        fs::write(logs.file("g", "other/b"), "1 o x\n").unwrap();
        let streams = Streams { group: "g".to_owned(), prefixes: vec!["job/".to_owned()] };
        let mut input =
            JobLogs { name: "job".to_owned(), kind: None, positions: Map::new(), since: None };
        let mut all: Vec<u64> = Vec::new();
        loop {
            let (found, positions, more) = lines(&logs, &streams, &input).unwrap();
            all.extend(found.iter().map(|line| line["at"].as_u64().unwrap()));
            input.positions = positions;
            if !more {
                break;
            }
        }
        assert_eq!(all.len(), 5500);
        assert!(all.is_sorted());
    }
}
