//! A file that is sent as it is read, and whose answer is written as it comes.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Seek, Write},
    path::Path,
};

use super::{
    OpenPayload,
    call::{Caller, Failed},
};
use crate::TransformError;

/// Sends `payload`; returns the file at `path` with the answer, which goes away if there is none.
pub(super) fn stream(
    caller: &Caller<'_>,
    payload: &OpenPayload<'_>,
    path: &Path,
) -> Result<Streamed, Failed> {
    let cannot = |source| {
        Failed::Unwritten(TransformError::Io { doing: "write", path: path.to_owned(), source })
    };
    let mut answer = Answer::create(path).map_err(cannot)?;
    let called = caller.call(|| {
        answer.restart();
        caller.model.stream(payload, &mut answer)
    });
    let ends_line = answer.last == Some(b'\n');
    let done = match answer.failed.take() {
        Some(source) => Err(cannot(source)),
        None => called.map(|()| Streamed { file: answer.file, ends_line }),
    };
    if done.is_err() {
        // What is left does no harm.
        let _ = fs::remove_file(path);
    }
    done
}

/// An answer in its file.
pub(super) struct Streamed {
    pub(super) file: BufWriter<File>,
    /// Whether it ends with a line end.
    pub(super) ends_line: bool,
}

/// An answer that grows. It knows why it can't be written, which the model's error need not say.
struct Answer {
    file: BufWriter<File>,
    last: Option<u8>,
    failed: Option<io::Error>,
}

impl Answer {
    fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { file: BufWriter::new(File::create(path)?), last: None, failed: None })
    }

    /// Forgets what an earlier call answered.
    fn restart(&mut self) {
        self.last = None;
        let file = &mut self.file;
        let emptied = file.rewind().and_then(|()| file.get_ref().set_len(0));
        self.failed = emptied.err();
    }
}

impl Write for Answer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            Ok(count) => {
                self.last = bytes[..count].last().copied().or(self.last);
                Ok(count)
            }
            Err(error) => {
                let told = io::Error::from(error.kind());
                self.failed = Some(error);
                Err(told)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
