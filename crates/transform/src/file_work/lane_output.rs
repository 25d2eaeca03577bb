//! The output of a lane: new columns beside copied ones, or rows that are written anew.

use std::{ops::Range, sync::Arc};

use super::{FileWork, Route};
use crate::{
    error::TransformError,
    input::{Contents, internal},
    output::{NewColumns, OutputColumns, Sink, no_columns, renamed},
    shared::Shared,
    work::{Outputs, Scored},
};

/// The output of a lane.
pub(crate) enum LaneOutput {
    Append { groups: Range<usize>, encoder: Option<Box<NewColumns>> },
    Write { sink: Option<Box<Sink>> },
}

impl LaneOutput {
    pub(crate) fn write(
        &mut self,
        file: &FileWork,
        shared: &Shared,
        scored: &Scored,
    ) -> Result<(), TransformError> {
        self.open(file, shared)?;
        match self {
            Self::Append { encoder: Some(encoder), .. } => {
                let Outputs::Columns(outputs) = &scored.outputs else {
                    return Err(internal("outputs are not columns"));
                };
                let schema = shared.outputs()?;
                let outputs = renamed(outputs, &schema)?;
                encoder.write(&outputs, file.appender(&schema)?.as_ref())
            }
            Self::Write { sink: Some(sink) } => sink.write(scored),
            _ => Err(internal("the output is not open")),
        }
    }

    pub(crate) fn finish(mut self, file: &FileWork, shared: &Shared) -> Result<(), TransformError> {
        self.open(file, shared)?;
        match self {
            Self::Append { encoder: Some(mut encoder), groups } => {
                let appender = file.appender(&shared.outputs()?)?;
                encoder.finish(groups.end, &appender)
            }
            Self::Write { sink: Some(sink) } => sink.finish(),
            _ => Err(internal("the output is not open")),
        }
    }

    fn open(&mut self, file: &FileWork, shared: &Shared) -> Result<(), TransformError> {
        match (self, &file.route) {
            (Self::Append { groups, encoder }, Route::Append { codec, .. })
                if encoder.is_none() =>
            {
                let Contents::Parquet { metadata, .. } = &file.file.contents else {
                    return Err(internal("only Parquet is appended to"));
                };
                let outputs = shared.outputs()?;
                *encoder = Some(Box::new(NewColumns::new(
                    &outputs,
                    *codec,
                    metadata,
                    groups.start,
                    Arc::clone(&shared.spill),
                )?));
            }
            (Self::Write { sink }, Route::Write(plan)) if sink.is_none() => {
                let outputs =
                    if file.worker.raw_documents { no_columns() } else { shared.outputs()? };
                let columns = OutputColumns::new(file.joined.clone(), outputs)?;
                *sink = Some(Box::new(Sink::open(plan.clone(), columns)?));
            }
            _ => {}
        }
        Ok(())
    }
}
