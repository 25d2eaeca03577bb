//! What a process writes, line by line, and what is said about its invocations.

use std::{collections::VecDeque, io, path::Path, sync::Arc};

use bessemer_compute::logs::{LogWriter, MAX_TEXT, Source};
use bessemer_domain::Clock;
use tokio::net::unix::pipe;

/// Bytes of a log stream at most.
const MOST: u64 = 1 << 30;
/// Bytes of a tail.
const TAIL: usize = 4096;
/// Reads at once, so that a process that writes without end keeps nobody from the rest.
const READS: usize = 256;

/// A process's log. It writes to a pipe, of which everything that was written before an answer can be
/// read when the answer is here.
pub(crate) struct Output {
    pipe: pipe::Receiver,
    writer: LogWriter,
    /// The start of a line.
    part: Vec<u8>,
    /// The last lines of an invocation.
    tail: VecDeque<u8>,
}

impl Output {
    /// Makes the pipe `path`, from which lines go to `log`.
    pub(crate) fn open(path: &Path, log: &Path, clock: Arc<dyn Clock>) -> io::Result<Self> {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o622), 0)?;
        // Whatever mask of modes the server was started with.
        rustix::fs::chmod(path, Mode::from_raw_mode(0o622))?;
        // Opened for both, it is never at its end.
        let pipe = pipe::OpenOptions::new().read_write(true).open_receiver(path)?;
        let writer = LogWriter::open(log, MOST, clock)?;
        Ok(Self { pipe, writer, part: Vec::new(), tail: VecDeque::new() })
    }

    /// Waits until there is something to [`Self::take`].
    pub(crate) async fn ready(&self) {
        if self.pipe.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Takes what was written.
    pub(crate) fn take(&mut self) {
        let mut chunk = [0; 16 << 10];
        for _ in 0..READS {
            // The first asks only if it was told that there is something, which may come later; but
            // without asking it, it would tell of the same again and again.
            let read = self.pipe.try_read(&mut chunk);
            match read.or_else(|_| Ok::<_, io::Error>(rustix::io::read(&self.pipe, &mut chunk)?)) {
                Ok(count) if count > 0 => self.feed(&chunk[..count]),
                _ => break,
            }
        }
        self.flush();
    }

    /// Begins the tail of an invocation anew.
    pub(crate) fn begin(&mut self) {
        self.tail.clear();
    }

    /// Ends an unfinished line, then adds one of ours.
    pub(crate) fn say(&mut self, line: &str) {
        if !self.part.is_empty() {
            let part = std::mem::take(&mut self.part);
            self.line(Source::Output, &part);
        }
        self.line(Source::Platform, line.as_bytes());
        self.flush();
    }

    /// The last bytes of the invocation's lines.
    pub(crate) fn tail(&self) -> Vec<u8> {
        self.tail.iter().copied().collect()
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let mut line = std::mem::take(&mut self.part);
            line.extend_from_slice(&bytes[..end]);
            self.line(Source::Output, &line);
            bytes = &bytes[end + 1..];
        }
        self.part.extend_from_slice(bytes);
        if self.part.len() >= MAX_TEXT {
            let part = std::mem::take(&mut self.part);
            self.line(Source::Output, &part);
        }
    }

    fn line(&mut self, source: Source, text: &[u8]) {
        let (mut line, mut rest) = text.split_at(text.len().min(MAX_TEXT));
        loop {
            self.writer.add(source, false, line);
            if rest.is_empty() {
                break;
            }
            (line, rest) = rest.split_at(rest.len().min(MAX_TEXT));
        }
        self.tail.extend(text);
        self.tail.push_back(b'\n');
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }

    fn flush(&mut self) {
        if let Err(error) = self.writer.flush() {
            tracing::warn!(%error, "a function's log can't be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use bessemer_domain::ManualClock;

    use super::*;

    #[tokio::test]
    async fn lines_are_in_the_log_and_the_last_of_them_in_the_tail() {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path().join("pipe"), folder.path().join("log"));
        let mut output = Output::open(&path, &log, Arc::new(ManualClock::default())).unwrap();
        let mut writer = fs::File::options().write(true).open(&path).unwrap();
        output.begin();
        output.say("START");
        writer.write_all(b"one\ntwo\n\nunfi").unwrap();
        output.ready().await;
        output.take();
        writer.write_all(b"nished").unwrap();
        output.take();
        output.say("END");
        let lines = "0 p START\n0 o one\n0 o two\n0 o \n0 o unfinished\n0 p END\n";
        assert_eq!(fs::read_to_string(&log).unwrap(), lines);
        assert_eq!(output.tail(), b"START\none\ntwo\n\nunfinished\nEND\n");
        output.begin();
        writer.write_all(&[b'x'; 9000]).unwrap();
        output.take();
        output.say("END");
        assert_eq!(output.tail().len(), TAIL);
        assert!(output.tail().ends_with(b"xxx\nEND\n"));
    }
}
