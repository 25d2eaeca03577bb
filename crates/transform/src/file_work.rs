//! One input file on its way to its output: how it is read, bound, joined and written.

use std::{
    ops::Range,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use arrow::datatypes::{Field, SchemaRef};
use bessemer_objects::{Input, Location, Objects};
use parquet::basic::Compression as Codec;

use crate::{
    error::{FileError, TransformError},
    input::{
        ChunkLimits, Contents, Documents, InputColumns, InputFile, Reader, bind, bind_documents,
        find_named, internal, wanted,
    },
    model::Wants,
    output::{
        Appender, Entry, FetchRecords, Finished, NewColumns, OutputColumns, REJECTS, RejectWriter,
        Sink, SinkPlan, no_columns, renamed,
    },
    records::Lines,
    settings::{Join, Rejected, Settings},
    shared::Shared,
    stats::Stats,
    text::{
        detect::{Compression, Format},
        from_columns::to_json_lines,
        to_columns::{ColumnReader, SourceKind},
    },
    work::{JoinedColumns, Scored, Worker},
};

/// A file that is being transformed, by one lane or several.
pub(crate) struct FileWork {
    file: Arc<InputFile>,
    pub(crate) worker: Arc<Worker>,
    route: Route,
    /// The root columns that are read; all if none.
    read: Option<Vec<usize>>,
    /// The records that are read; all if none.
    picked: Option<Vec<u64>>,
    joined: Vec<Field>,
    output: String,
    temporary: PathBuf,
    rejects: RejectWriter,
    lanes_left: AtomicUsize,
    rows: AtomicU64,
    rejected: AtomicU64,
    abandoned: AtomicBool,
}

enum Route {
    /// The input's column chunks are copied, the new columns encoded beside them.
    Append { codec: Codec, appender: Mutex<Option<Arc<Appender>>> },
    /// Every row is written anew.
    Write(SinkPlan),
}

/// The output of a lane.
pub(crate) enum LaneOutput {
    Append { groups: Range<usize>, encoder: Option<NewColumns> },
    Write { sink: Option<Sink> },
}

/// What of a file is transformed, and where to.
pub(crate) struct FileRequest<'a> {
    pub(crate) input: &'a Input,
    pub(crate) index: usize,
    /// Only these records, for a replay.
    pub(crate) picked: Option<Vec<u64>>,
}

impl FileWork {
    /// Opens an input and decides how it is taken through.
    pub(crate) fn open(
        request: FileRequest<'_>,
        objects: &Objects,
        shared: &Shared,
    ) -> Result<Self, FileError> {
        let settings = &shared.settings;
        let file = InputFile::open(request.input, objects, shared.folder.scratch(), settings)?;
        let empty = Lines::from_iter(std::iter::empty::<&[u8]>());
        let (schema, sample) = match file.schema() {
            Some(schema) => (Arc::clone(schema), empty),
            None => {
                let shape = shared.text.of(&file)?;
                (shape.schema, shape.sample)
            }
        };
        let header = match &file.contents {
            Contents::Text { header, .. } => header.clone(),
            Contents::Parquet(_) => None,
        };
        let (relative, index) = (&request.input.relative, request.index);
        let temporary = shared.folder.scratch().join(format!("{index}.output"));
        let plan = sink_plan(&file, settings, temporary.clone(), header.clone());
        let output = output_name(relative, file.format(), plan.format);
        claim(shared, &output, relative)?;

        let documents = Documents::new(settings, file.format());
        let binding = if documents.is_some() {
            bind_documents(&shared.wants, file.format(), settings)?
        } else {
            let columns = InputColumns {
                format: file.format(),
                schema: &schema,
                header: header.as_deref(),
                sample: &sample,
            };
            bind(&shared.wants, &columns, settings)?
        };
        let join = join_columns(settings, file.format(), &schema, documents.is_some())?;
        let appends = can_append(&file, settings, request.picked.is_some());
        let read = if documents.is_some() || file.schema().is_none() {
            None
        } else {
            let mut read = binding.columns.clone();
            if !appends {
                read.extend(&join);
            }
            read.sort_unstable();
            read.dedup();
            Some(read)
        };
        let place = |column: &usize| match &read {
            Some(read) => read.binary_search(column).unwrap_or_default(),
            None => *column,
        };
        let joined_columns = if appends || plan.splice || join.is_empty() {
            JoinedColumns::Nowhere
        } else if file.schema().is_some() {
            JoinedColumns::Read(join.iter().map(place).collect())
        } else {
            let kind = match file.format() {
                Format::Csv => SourceKind::Csv,
                _ => SourceKind::JsonLines,
            };
            let fields: Vec<_> =
                join.iter().map(|&column| wanted(column, &schema, &sample)).collect();
            JoinedColumns::Parsed(ColumnReader::new(&fields, kind))
        };
        let positions = binding.columns.iter().map(place).collect();
        let raw_documents = plan.format != Format::Parquet
            && (documents.is_some()
                || (join.is_empty() && plan.format == Format::JsonLines && shared.wants_text()));
        let worker = Worker {
            caller: Arc::clone(&shared.caller),
            wants: shared.wants.clone(),
            binding,
            documents,
            positions,
            joined: joined_columns,
            answers: Arc::clone(&shared.answers),
            raw_documents,
            max_payload: shared.max_payload(),
            stats: Arc::clone(&shared.stats),
        };
        let route = if appends {
            Route::Append { codec: plan.codec, appender: Mutex::default() }
        } else {
            Route::Write(plan)
        };
        let file = Arc::new(file);
        let rejects = RejectWriter::new(
            shared.folder.scratch().join(format!("{index}.rejects")),
            fetch_records(Arc::clone(&file)),
        );
        Ok(Self {
            joined: join.iter().map(|&column| schema.field(column).clone()).collect(),
            worker: Arc::new(worker),
            route,
            read,
            picked: request.picked,
            output,
            temporary,
            rejects,
            lanes_left: AtomicUsize::new(1),
            rows: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            abandoned: AtomicBool::new(false),
            file,
        })
    }

    /// The parts of the file that lanes can take side by side: runs of row groups of at least `rows`
    /// rows, or the whole.
    pub(crate) fn parts(&self, rows: u64) -> Vec<Option<Range<usize>>> {
        let (Route::Append { .. }, Contents::Parquet(metadata)) =
            (&self.route, &self.file.contents)
        else {
            return vec![None];
        };
        let mut parts = Vec::new();
        let (mut start, mut held) = (0, 0);
        let groups = metadata.metadata().row_groups();
        for (at, group) in groups.iter().enumerate() {
            held += group.num_rows() as u64;
            if held >= rows {
                parts.push(Some(start..at + 1));
                (start, held) = (at + 1, 0);
            }
        }
        if start < groups.len() || parts.is_empty() {
            parts.push(Some(start..groups.len()));
        }
        self.lanes_left.store(parts.len(), Ordering::SeqCst);
        parts
    }

    pub(crate) fn name(&self) -> &str {
        &self.file.input.relative
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Gives the file up. Says whether this is the first word of it.
    pub(crate) fn abandon(&self) -> bool {
        !self.abandoned.swap(true, Ordering::SeqCst)
    }

    /// Bytes of a decoded row, about.
    pub(crate) fn row_bytes(&self) -> u64 {
        let Contents::Parquet(metadata) = &self.file.contents else { return 256 };
        let metadata = metadata.metadata();
        let rows: i64 = metadata.file_metadata().num_rows();
        let roots = metadata.file_metadata().schema_descr();
        let is_read = |leaf: usize| {
            let root = roots.get_column_root_idx(leaf);
            self.read.as_ref().is_none_or(|read| read.binary_search(&root).is_ok())
        };
        let bytes: i64 = metadata
            .row_groups()
            .iter()
            .flat_map(|group| group.columns().iter().enumerate())
            .filter(|(leaf, _)| is_read(*leaf))
            .map(|(_, chunk)| chunk.uncompressed_size())
            .sum();
        (bytes / rows.max(1)).max(1) as u64
    }

    pub(crate) fn reader(
        &self,
        groups: Option<Range<usize>>,
        limits: ChunkLimits,
    ) -> Result<Reader, FileError> {
        Reader::open(&self.file, groups, self.read.as_deref(), limits, self.picked.clone())
    }

    pub(crate) fn lane_output(
        &self,
        groups: Option<&Range<usize>>,
    ) -> Result<LaneOutput, TransformError> {
        match (&self.route, groups) {
            (Route::Append { .. }, Some(groups)) => {
                Ok(LaneOutput::Append { groups: groups.clone(), encoder: None })
            }
            (Route::Append { .. }, None) => Err(internal("row groups are missing")),
            (Route::Write(_), _) => Ok(LaneOutput::Write { sink: None }),
        }
    }

    pub(crate) fn count(&self, scored: &Scored, stats: &Stats) {
        self.rows.fetch_add(scored.chunk.len() as u64, Ordering::Relaxed);
        self.rejected.fetch_add(scored.failures.len() as u64, Ordering::Relaxed);
        stats.rejected.add(scored.failures.len() as u64);
    }

    /// Keeps the rejects of a chunk.
    pub(crate) fn reject(&self, scored: &Scored) -> Result<(), TransformError> {
        let header = match &self.file.contents {
            Contents::Text { header, .. } => header.as_deref(),
            Contents::Parquet(_) => None,
        };
        let columns = self.file.schema().map_or(0, |schema| schema.fields().len());
        let whole = self.read.as_ref().is_none_or(|read| read.len() == columns);
        self.rejects.add(self.name(), scored, header, whole)
    }

    /// Ends a lane. The last one hands the file over to be put in place.
    pub(crate) fn end_lane(
        &self,
        shared: &Shared,
        objects_root: &Location,
    ) -> Result<(), FileError> {
        if self.lanes_left.fetch_sub(1, Ordering::SeqCst) > 1 || self.is_abandoned() {
            return Ok(());
        }
        if let Route::Append { appender, .. } = &self.route {
            let appender = appender.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(appender) = appender {
                appender.finish()?;
            }
        }
        let (rejected, rejects) = self.rejects.finish()?;
        let mut files = Vec::new();
        if let Some(temporary) = rejects {
            files.push((
                temporary,
                objects_root.join(&format!("{REJECTS}/{}.parquet", self.name())),
            ));
        }
        let bytes = std::fs::metadata(&self.temporary).map_or(0, |metadata| metadata.len());
        files.push((self.temporary.clone(), objects_root.join(&self.output)));
        let entry = Entry {
            file: self.name().to_owned(),
            version: self.file.input.version.clone(),
            output: Some(self.output.clone()),
            rows: self.rows.load(Ordering::SeqCst),
            rejected,
            bytes,
        };
        shared.stats.bytes_read.add(self.file.input.size);
        Ok(shared.committer.commit(Finished { files, entry })?)
    }

    fn appender(&self, outputs: &SchemaRef) -> Result<Arc<Appender>, TransformError> {
        let (Route::Append { appender, .. }, Contents::Parquet(metadata)) =
            (&self.route, &self.file.contents)
        else {
            return Err(internal("the file is not appended to"));
        };
        let mut appender = appender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(appender) = &*appender {
            return Ok(Arc::clone(appender));
        }
        // Names that clash are refused before anything is written.
        OutputColumns::new(self.joined.clone(), Arc::clone(outputs))?;
        let made =
            Arc::new(Appender::create(&self.temporary, self.file.copy.path(), metadata, outputs)?);
        *appender = Some(Arc::clone(&made));
        Ok(made)
    }
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
                let crate::work::Outputs::Columns(outputs) = &scored.outputs else {
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
                let Contents::Parquet(metadata) = &file.file.contents else {
                    return Err(internal("only Parquet is appended to"));
                };
                let outputs = shared.outputs()?;
                *encoder = Some(NewColumns::new(
                    &outputs,
                    *codec,
                    metadata,
                    groups.start,
                    Arc::clone(&shared.spill),
                )?);
            }
            (Self::Write { sink }, Route::Write(plan)) if sink.is_none() => {
                let outputs =
                    if file.worker.raw_documents { no_columns() } else { shared.outputs()? };
                let columns = OutputColumns::new(file.joined.clone(), outputs)?;
                *sink = Some(Sink::open(plan.clone(), columns)?);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Shared {
    fn wants_text(&self) -> bool {
        matches!(self.wants, Wants::Text(_))
    }

    /// Bytes of a payload of text, at most.
    pub(crate) fn max_payload(&self) -> u64 {
        const DEFAULT: u64 = 6 << 20;
        match (self.settings.max_payload, self.limits.max_payload) {
            (Some(user), Some(model)) => user.min(model),
            (Some(bytes), None) | (None, Some(bytes)) => bytes,
            (None, None) => DEFAULT,
        }
    }
}

fn can_append(file: &InputFile, settings: &Settings, picked: bool) -> bool {
    file.format() == Format::Parquet
        && settings.output_format.is_none_or(|format| format == Format::Parquet)
        && settings.join == Join::Input
        && settings.rejected == Rejected::Keep
        && !settings.is_filtered()
        && !picked
}

fn sink_plan(
    file: &InputFile,
    settings: &Settings,
    path: PathBuf,
    header: Option<Vec<String>>,
) -> SinkPlan {
    let input = file.format();
    let format = match (settings.output_format, input) {
        (Some(format), _) => format,
        (None, Format::Lines) => Format::JsonLines,
        (None, input) => input,
    };
    let same = format == input;
    let codec = match &file.contents {
        Contents::Parquet(metadata) => metadata
            .metadata()
            .row_groups()
            .first()
            .and_then(|group| group.columns().first())
            .map_or(Codec::SNAPPY, |chunk| chunk.compression()),
        Contents::Text { .. } => Codec::SNAPPY,
    };
    let splice = same
        && format != Format::Parquet
        && settings.join == Join::Input
        && !settings.is_filtered();
    SinkPlan {
        path,
        format,
        compression: if same { file.compression() } else { Compression::None },
        codec,
        group_bytes: (settings.memory / 16).clamp(1 << 20, 128 << 20) as usize,
        rejected: settings.rejected,
        splice,
        write_header: !settings.is_filtered() && (!same || header.is_some()),
        header,
    }
}

/// The input's root columns that stand in the output.
fn join_columns(
    settings: &Settings,
    format: Format,
    schema: &SchemaRef,
    filtered: bool,
) -> Result<Vec<usize>, TransformError> {
    match &settings.join {
        _ if filtered || format == Format::Lines => Ok(Vec::new()),
        Join::Nothing => Ok(Vec::new()),
        Join::Input => Ok((0..schema.fields().len()).collect()),
        Join::Columns(names) => find_named(names.iter().map(String::as_str), schema),
    }
}

/// The name of an output: the input's, with another ending if the format is another.
fn output_name(relative: &str, input: Format, output: Format) -> String {
    if input == output || (input == Format::Lines && output == Format::JsonLines) {
        return relative.to_owned();
    }
    let strip = |name: &str, endings: &[&str]| {
        let ending = endings.iter().find(|ending| name.to_ascii_lowercase().ends_with(*ending));
        name[..name.len() - ending.map_or(0, |ending| ending.len())].to_owned()
    };
    let stem = strip(relative, &[".gz", ".zst", ".zstd"]);
    let stem = strip(&stem, &[".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".txt"]);
    let ending = match output {
        Format::Parquet => "parquet",
        Format::JsonLines | Format::Lines => "jsonl",
        Format::Csv => "csv",
    };
    format!("{stem}.{ending}")
}

fn claim(shared: &Shared, output: &str, input: &str) -> Result<(), FileError> {
    let mut names = shared.names.lock().unwrap_or_else(PoisonError::into_inner);
    match names.insert(output.to_owned(), input.to_owned()) {
        Some(other) if other != input => Err(FileError::Unreadable(format!(
            "its output `{output}` would be that of `{other}` too; rename one of them"
        ))),
        _ => Ok(()),
    }
}

/// Reads whole records of a Parquet file as JSON.
fn fetch_records(file: Arc<InputFile>) -> FetchRecords {
    Box::new(move |rows| {
        let limits = ChunkLimits { rows: 256, bytes: 1 << 20 };
        let mut records = Vec::with_capacity(rows.len());
        let failed = |error: FileError| internal(error);
        let mut reader =
            Reader::open(&file, None, None, limits, Some(rows.to_vec())).map_err(failed)?;
        while let Some(chunk) = reader.next_chunk(limits).map_err(failed)? {
            if let crate::input::Source::Columns(batch) = &chunk.source {
                let lines = to_json_lines(batch).map_err(internal)?;
                records.extend(lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()));
            }
        }
        Ok(records)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_keep_their_names_and_change_endings_with_formats() {
        let name = output_name("day=1/a.csv.gz", Format::Csv, Format::Parquet);
        assert_eq!(name, "day=1/a.parquet");
        assert_eq!(output_name("a.parquet", Format::Parquet, Format::Parquet), "a.parquet");
        assert_eq!(output_name("data", Format::JsonLines, Format::Csv), "data.csv");
    }
}
