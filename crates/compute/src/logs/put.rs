//! Events that clients put into a stream, at the times that they say.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use bessemer_domain::Clock;
use rustix::fs::{FlockOperation, flock};

use super::{LogReader, LogWriter, Record, Source, Window, paths::sync};

/// Adds events, which are in the order of their times, to the stream in `path`. They are on disk when
/// this returns. Events before the stream's last take their place among those that clients put; where
/// a process writes to the stream, they get the time of its last line.
pub fn put(path: &Path, events: &[(u64, &str)], clock: Arc<dyn Clock>) -> io::Result<()> {
    let (Some(folder), Some((first, _))) = (path.parent(), events.first()) else { return Ok(()) };
    let group = File::open(folder)?;
    flock(&group, FlockOperation::LockExclusive)?;
    let last = match LogReader::open(path)? {
        Some(mut reader) => {
            let one = Window { most: 1, ..Window::default() };
            reader.backward(u64::MAX, &one)?.records.pop()
        }
        None => return Err(io::ErrorKind::NotFound.into()),
    };
    let is_late = last.is_some_and(|last| last.source == Source::Client && last.millis > *first);
    if is_late {
        return insert(path, folder, *first, events);
    }
    let mut writer = LogWriter::open(path, u64::MAX, clock)?;
    for (millis, text) in events {
        writer.add_at(*millis, Source::Client, false, text.as_bytes());
    }
    writer.flush()?;
    writer.sync()
}

/// Puts events between those that are there, by writing the file anew.
fn insert(path: &Path, folder: &Path, first: u64, events: &[(u64, &str)]) -> io::Result<()> {
    let mut reader = LogReader::open(path)?.ok_or(io::ErrorKind::NotFound)?;
    let (after, end) = (reader.first_at(first.saturating_add(1))?, reader.end()?);
    let mut old = File::open(path)?;
    let mut new = tempfile::Builder::new().prefix(".late").tempfile_in(folder)?;
    io::copy(&mut (&mut old).take(after), &mut new)?;
    let mut tail = Vec::new();
    old.take(end - after).read_to_end(&mut tail)?;
    let mut events = events.iter().peekable();
    let mut merged = Vec::new();
    let write = |merged: &mut Vec<u8>, (millis, text): &(u64, &str)| {
        Record::write(merged, *millis, Source::Client, false, text.as_bytes());
    };
    let mut before = first;
    for line in tail.split_inclusive(|byte| *byte == b'\n') {
        before = Record::time(&line[..line.len() - 1]).unwrap_or(before);
        while let Some(event) = events.next_if(|(millis, _)| *millis < before) {
            write(&mut merged, event);
        }
        merged.extend_from_slice(line);
    }
    for event in events {
        write(&mut merged, event);
    }
    new.write_all(&merged)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    sync(folder)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bessemer_domain::ManualClock;

    use super::*;

    #[test]
    fn late_events_take_their_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        let clock = Arc::new(ManualClock::default());
        assert!(put(&path, &[(1, "x")], clock.clone()).is_err(), "there is no such stream");
        fs::write(&path, "").unwrap();
        put(&path, &[(10, "a"), (20, "b\nb"), (30, "c")], clock.clone()).unwrap();
        put(&path, &[(5, "0"), (20, "B"), (25, "d"), (40, "e")], clock.clone()).unwrap();
        put(&path, &[(40, "f")], clock.clone()).unwrap();
        let want = "5 c 0\n10 c a\n20 c b\\nb\n20 c B\n25 c d\n30 c c\n40 c e\n40 c f\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), want);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_line_of_a_process_is_never_passed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        fs::write(&path, "50 o line\n").unwrap();
        put(&path, &[(10, "late")], Arc::new(ManualClock::default())).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "50 o line\n50 c late\n");
    }
}
