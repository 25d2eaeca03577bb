//! Lines on a terminal, in a pipe or in a file.

use std::{
    fs::File,
    io::{BufWriter, IsTerminal, Write, stdout},
};

use bessemer_domain::ExitCode;
use serde_json::json;

use super::{
    LogsOptions,
    select::{Line, Shown},
    since,
};
use crate::failure::Failure;

/// Where lines go, and in which form.
pub(super) struct Show {
    out: BufWriter<Box<dyn Write>>,
    reader: Reader,
    colour: bool,
    form: Form,
    /// Whether lines say who wrote them: there are several who do.
    with_workers: bool,
    /// Workers in the order of their first lines, for their colours.
    workers: Vec<String>,
}

/// Who reads what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    File,
    Stdout,
    /// The pipe on stdout was closed.
    Gone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    Text,
    TextWithTimes,
}

/// Colours that are told apart on dark and on light.
const COLOURS: [u8; 6] = [36, 33, 32, 35, 34, 31];

impl Show {
    pub(super) fn open(options: &LogsOptions) -> Result<Self, Failure> {
        let (out, reader): (Box<dyn Write>, Reader) = match &options.output {
            None => (Box::new(stdout()), Reader::Stdout),
            Some(path) => {
                let file = File::create(path).map_err(|error| {
                    let code = ExitCode::of_io(&error, ExitCode::Configuration);
                    Failure::new(code, anyhow::anyhow!("write `{}`: {error}", path.display()))
                })?;
                (Box::new(file), Reader::File)
            }
        };
        Ok(Self {
            out: BufWriter::new(out),
            reader,
            colour: reader == Reader::Stdout && stdout().is_terminal(),
            form: match (options.json, options.times) {
                (true, _) => Form::Json,
                (false, true) => Form::TextWithTimes,
                (false, false) => Form::Text,
            },
            with_workers: false,
            workers: Vec::new(),
        })
    }

    /// Says how many workers there are.
    pub(super) fn expect(&mut self, workers: usize) {
        self.with_workers |= workers > 1;
    }

    pub(super) fn line(&mut self, shown: &Shown) -> Result<(), Failure> {
        let text = match shown {
            Shown::Gap if self.form == Form::Json => return Ok(()),
            Shown::Gap => "--\n".to_owned(),
            Shown::Line(line) if self.form == Form::Json => {
                let (at, text) = (line.at, &line.text);
                format!("{}\n", json!({ "at": at, "worker": line.worker, "text": text }))
            }
            Shown::Line(line) => self.written(line),
        };
        let written = self.out.write_all(text.as_bytes());
        self.check(written)
    }

    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let flushed = self.out.flush();
        self.check(flushed)
    }

    /// Whether nobody reads any more.
    pub(super) fn is_closed(&self) -> bool {
        self.reader == Reader::Gone
    }

    fn written(&mut self, line: &Line) -> String {
        let mut begin = String::new();
        if self.form == Form::TextWithTimes {
            begin = since::written(line.at) + " ";
        }
        if self.with_workers {
            begin += &format!("[{}] ", line.worker);
        }
        if self.colour && !begin.is_empty() {
            let known = self.workers.iter().position(|worker| *worker == line.worker);
            let index = known.unwrap_or(self.workers.len());
            if known.is_none() {
                self.workers.push(line.worker.clone());
            }
            begin = format!("\x1b[{}m{begin}\x1b[0m", COLOURS[index % COLOURS.len()]);
        }
        format!("{begin}{}\n", line.text)
    }

    /// A file must have all; a closed pipe is the reader's choice.
    fn check(&mut self, written: std::io::Result<()>) -> Result<(), Failure> {
        match written {
            Ok(()) => Ok(()),
            Err(error) if self.reader == Reader::File => {
                Err(Failure::new(ExitCode::Internal, error))
            }
            Err(_) => {
                self.reader = Reader::Gone;
                Ok(())
            }
        }
    }
}
