//! The records of many streams in the order of their times, forward or backward.

use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, VecDeque},
    io,
};

use bessemer_compute::logs::{LogFolder, LogReader, Record, Window};

/// A place between two records: of one, its time, its position and its stream. Streams of one
/// millisecond are in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) millis: u64,
    pub(super) position: u64,
    pub(super) stream: String,
}

/// What is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    pub(super) from_millis: u64,
    pub(super) until_millis: u64,
    /// Whether the latest comes first.
    pub(super) backward: bool,
}

/// Walks through the streams of a group. No file stays open, however many streams there are.
pub(super) struct Merge<'l> {
    logs: &'l LogFolder,
    group: &'l str,
    range: Range,
    streams: Vec<Stream<'l>>,
    heads: BinaryHeap<Head>,
}

struct Stream<'l> {
    name: &'l str,
    window: Window,
    /// Where the next records are read from.
    position: u64,
    /// Records that wait, after the one that is in the heap.
    records: VecDeque<Record>,
}

/// The next record of a stream.
struct Head {
    /// What the heap gives the greatest of.
    rank: (Reverse<u64>, Reverse<usize>),
    stream: usize,
    record: Record,
}

/// Records that are read at once from a stream that has more than one.
const CHUNK: usize = 500;
/// Bytes of them.
const CHUNK_BYTES: usize = 256 << 10;

impl<'l> Merge<'l> {
    /// Over the streams `names`, which are sorted, after `place` if there is one.
    pub(super) fn start(
        logs: &'l LogFolder,
        group: &'l str,
        names: &'l [String],
        range: Range,
        place: Option<&Place>,
    ) -> io::Result<Self> {
        let streams = names.iter().map(|name| Stream::start(name, range, place)).collect();
        let mut merge = Self { logs, group, range, streams, heads: BinaryHeap::new() };
        for stream in 0..names.len() {
            // One at first: most streams may lie before or after what is wanted.
            merge.read(stream, 1)?;
            merge.push(stream);
        }
        Ok(merge)
    }

    /// The next record and the name of its stream.
    pub(super) fn next(&mut self) -> io::Result<Option<(&'l str, Record)>> {
        let Some(head) = self.heads.pop() else { return Ok(None) };
        if self.streams[head.stream].records.is_empty() {
            self.read(head.stream, CHUNK)?;
        }
        self.push(head.stream);
        Ok(Some((self.streams[head.stream].name, head.record)))
    }

    fn push(&mut self, stream: usize) {
        let Some(record) = self.streams[stream].records.pop_front() else { return };
        let rank = if self.range.backward {
            (Reverse(u64::MAX - record.millis), Reverse(usize::MAX - stream))
        } else {
            (Reverse(record.millis), Reverse(stream))
        };
        self.heads.push(Head { rank, stream, record });
    }

    fn read(&mut self, stream: usize, most: usize) -> io::Result<()> {
        let stream = &mut self.streams[stream];
        let file = self.logs.file(self.group, stream.name);
        let Some(mut reader) = LogReader::open(&file)? else { return Ok(()) };
        let window = Window { most, ..stream.window };
        if self.range.backward {
            let page = reader.backward(stream.position, &window)?;
            stream.position = page.start;
            stream.records.extend(page.records.into_iter().rev());
        } else {
            let page = reader.forward(stream.position, &window)?;
            stream.position = page.end;
            stream.records.extend(page.records);
        }
        Ok(())
    }
}

impl<'l> Stream<'l> {
    fn start(name: &'l str, range: Range, place: Option<&Place>) -> Self {
        let mut window = Window {
            from_millis: range.from_millis,
            until_millis: range.until_millis,
            most: CHUNK,
            most_bytes: CHUNK_BYTES,
        };
        let mut position = if range.backward { u64::MAX } else { 0 };
        if let Some(place) = place {
            let order = name.cmp(place.stream.as_str());
            if order == Ordering::Equal {
                position = place.position;
            }
            // The millisecond itself has been told of the streams that come before.
            if range.backward {
                let told = u64::from(order != Ordering::Greater);
                window.until_millis = window.until_millis.min(place.millis.saturating_add(told));
            } else {
                let told = u64::from(order == Ordering::Less);
                window.from_millis = window.from_millis.max(place.millis.saturating_add(told));
            }
        }
        Self { name, window, position, records: VecDeque::new() }
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank.cmp(&other.rank)
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Head {}
