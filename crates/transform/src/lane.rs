//! A lane takes one file, or some row groups of one, from its reader through the model to its
//! output, in order, with a bounded number of bytes in flight.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::{
    budget::Permit,
    call::Halt,
    error::{FileError, TransformError},
    file_work::{FileWork, LaneOutput},
    input::{Chunk, ChunkLimits, Reader},
    output::nulls,
    reorder::Reorder,
    shared::Shared,
    work::{Outputs, Scored, WorkError},
};

/// Chunks that may wait, scored, until the output columns are known.
const HELD: usize = 32;

/// Bytes of a chunk to aim at.
const CHUNK_BYTES: u64 = 4 << 20;
const CHUNK_ROWS: usize = 1 << 16;

pub(crate) struct Lane<'a> {
    shared: &'a Arc<Shared>,
    file: &'a Arc<FileWork>,
    output: LaneOutput,
    held: Vec<Scored>,
    row_bytes: u64,
}

struct Done {
    sequence: u64,
    result: Result<Scored, WorkError>,
    permit: Arc<Permit>,
}

impl<'a> Lane<'a> {
    /// A lane over `groups` of a Parquet file, or over a whole file.
    pub(crate) fn new(
        shared: &'a Arc<Shared>,
        file: &'a Arc<FileWork>,
        groups: Option<&Range<usize>>,
    ) -> Result<Self, TransformError> {
        let output = file.lane_output(groups)?;
        Ok(Self { shared, file, output, held: Vec::new(), row_bytes: file.row_bytes().max(1) })
    }

    /// Runs the lane to its end.
    pub(crate) fn run(mut self, groups: Option<Range<usize>>) -> Result<(), FileError> {
        let limits = self.limits();
        let mut reader = self.file.reader(groups, limits)?;
        let (sender, receiver) = unbounded();
        let mut reorder = Reorder::default();
        let (mut submitted, mut in_flight, mut ended) = (0_u64, 0_usize, false);
        loop {
            while !ended && in_flight < self.window() {
                let Some(permit) = self.permit(limits, in_flight == 0) else { break };
                self.check_halted()?;
                let Some(chunk) = self.read(&mut reader, limits)? else {
                    ended = true;
                    break;
                };
                let permit = Arc::new(permit);
                for task in self.cut(chunk) {
                    self.submit(task, submitted, &permit, &sender);
                    submitted += 1;
                    in_flight += 1;
                }
            }
            if in_flight == 0 {
                break;
            }
            let done = receive(&receiver, &self.shared.stop)?;
            in_flight -= 1;
            reorder.insert(done.sequence, (done.result, done.permit));
            while let Some((result, permit)) = reorder.pop() {
                self.deliver(scored(result)?)?;
                drop(permit);
            }
        }
        self.release(true)?;
        self.output.finish(self.file, self.shared)?;
        Ok(())
    }

    fn check_halted(&self) -> Result<(), FileError> {
        if self.shared.stop.load(Ordering::Relaxed) {
            return Err(TransformError::Stopped.into());
        }
        if self.file.is_abandoned() { Err(FileError::Abandoned) } else { Ok(()) }
    }

    fn limits(&self) -> ChunkLimits {
        let settings = &self.shared.settings;
        let bytes =
            CHUNK_BYTES.min(settings.in_flight() / 4).max(settings.max_payload.unwrap_or(0));
        let mut rows = usize::try_from(bytes / self.row_bytes).unwrap_or(usize::MAX);
        rows = rows.clamp(1, CHUNK_ROWS);
        if let Some(batch) = settings.batch_rows {
            rows = rows.div_ceil(batch) * batch;
        }
        ChunkLimits { rows, bytes: bytes as usize }
    }

    fn window(&self) -> usize {
        2 * self.shared.caller.setting().concurrent + 2
    }

    fn permit(&self, limits: ChunkLimits, must: bool) -> Option<Permit> {
        let bytes = (limits.rows as u64 * self.row_bytes).min(2 * limits.bytes as u64);
        let taken = self.shared.budget.try_take(bytes);
        if must { taken.or_else(|| Some(self.shared.budget.take(bytes))) } else { taken }
    }

    fn read(
        &mut self,
        reader: &mut Reader,
        limits: ChunkLimits,
    ) -> Result<Option<Chunk>, FileError> {
        let started = Instant::now();
        let chunk = reader.next_chunk(limits)?;
        let stats = &self.shared.stats;
        stats.read.add_time(started.elapsed());
        if let Some(chunk) = &chunk {
            stats.rows.add(chunk.len() as u64);
            self.row_bytes = (chunk.bytes() / chunk.len().max(1) as u64).max(1);
        }
        Ok(chunk)
    }

    fn cut(&self, chunk: Chunk) -> Vec<Chunk> {
        let rows = self.shared.caller.setting().rows;
        let len = chunk.len();
        if len <= rows {
            return vec![chunk];
        }
        (0..len).step_by(rows).map(|from| chunk.slice(from..(from + rows).min(len))).collect()
    }

    fn submit(&self, task: Chunk, sequence: u64, permit: &Arc<Permit>, sender: &Sender<Done>) {
        let worker = Arc::clone(&self.file.worker);
        let (permit, sender) = (Arc::clone(permit), sender.clone());
        self.shared.pool.submit(move || {
            let work = std::panic::AssertUnwindSafe(|| worker.score(task));
            let result = std::panic::catch_unwind(work).unwrap_or_else(|_| {
                let message = "a thread panicked while it scored records";
                Err(WorkError::Run(TransformError::Internal(message.to_owned())))
            });
            // A lane that has ended does not wait for what it left behind.
            let _ = sender.send(Done { sequence, result, permit });
        });
    }

    fn deliver(&mut self, scored: Scored) -> Result<(), FileError> {
        self.file.count(&scored, &self.shared.stats);
        self.held.push(scored);
        self.release(false)
    }

    /// Writes what is held, if the output columns are known. At the end of the lane, or when too much
    /// is held, they have to be: the other lanes are waited for.
    fn release(&mut self, end: bool) -> Result<(), FileError> {
        let unknown = self.held.iter().all(|scored| matches!(scored.outputs, Outputs::Unknown));
        if unknown && !self.held.is_empty() && self.shared.answers.schema().is_none() {
            if !end && self.held.len() < HELD {
                return Ok(());
            }
            self.shared.wait_for_columns()?;
        }
        for mut scored in std::mem::take(&mut self.held) {
            if let (Outputs::Unknown, Some(schema)) =
                (&scored.outputs, self.shared.answers.schema())
            {
                scored.outputs = Outputs::Columns(nulls(&schema, scored.chunk.len()));
            }
            let started = Instant::now();
            self.file.reject(&scored)?;
            self.output.write(self.file, self.shared, &scored)?;
            self.shared.stats.write.add_time(started.elapsed());
        }
        Ok(())
    }
}

/// The next chunk that is done. A run that is stopped does not wait for calls that may hang.
fn receive(receiver: &Receiver<Done>, stop: &AtomicBool) -> Result<Done, FileError> {
    loop {
        match receiver.recv_timeout(Duration::from_millis(100)) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) if !stop.load(Ordering::Relaxed) => {}
            Err(RecvTimeoutError::Timeout) => return Err(TransformError::Stopped.into()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(TransformError::Internal("a call was lost".to_owned()).into());
            }
        }
    }
}

fn scored(result: Result<Scored, WorkError>) -> Result<Scored, FileError> {
    result.map_err(|error| {
        FileError::Run(match error {
            WorkError::Run(error) => error,
            WorkError::Halt(Halt::Stopped) => TransformError::Stopped,
            WorkError::Halt(Halt::Unreachable(message)) => TransformError::Unreachable(message),
        })
    })
}
