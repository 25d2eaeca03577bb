//! One input file on its way to its output: how it is read, bound, joined and written.

mod lane_output;
mod plan;

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

pub(crate) use lane_output::LaneOutput;
use plan::{can_append, join_columns, output_name, sink_plan};

use crate::{
    error::{FileError, TransformError},
    input::{
        ChunkLimits, Contents, Documents, InputColumns, InputFile, Reader, bind, bind_documents,
        internal, wanted,
    },
    output::{
        Appender, Entry, FetchRecords, Finished, OutputColumns, REJECTS, RejectWriter, SinkPlan,
    },
    records::Lines,
    shared::Shared,
    stats::Stats,
    text::{
        detect::Format,
        from_columns::to_json_lines,
        to_columns::{ColumnReader, SourceKind},
    },
    text_columns::TextShape,
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
        let TextShape { schema, sample } = shape(&file, shared)?;
        let header = file.header().map(<[String]>::to_vec);
        let (relative, index) = (&request.input.relative, request.index);
        let scratch = shared.folder.scratch();
        let temporary = scratch.join(format!("{index}.output"));
        let plan = sink_plan(&file, settings, temporary.clone(), header.clone());
        let output = output_name(relative, file.format(), plan.format);
        claim(shared, &output, relative)?;

        let documents = Documents::new(settings, file.format());
        let columns = InputColumns {
            format: file.format(),
            schema: &schema,
            header: header.as_deref(),
            sample: &sample,
        };
        let binding = if documents.is_some() {
            bind_documents(&shared.wants, file.format(), settings)?
        } else {
            bind(&shared.wants, &columns, settings)?
        };
        let join = join_columns(settings, file.format(), &schema, documents.is_some())?;
        let appends = can_append(&file, settings, request.picked.is_some());
        let read = match file.schema() {
            Some(_) if documents.is_none() => {
                Some(read_columns(&binding.columns, if appends { &[] } else { &join }))
            }
            _ => None,
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
            parsed_columns(&join, &columns)
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
            payload_limit: shared.payload_limit(),
            stats: Arc::clone(&shared.stats),
        };
        let route = if appends {
            Route::Append { codec: plan.codec, appender: Mutex::default() }
        } else {
            Route::Write(plan)
        };
        let file = Arc::new(file);
        let fetch = fetch_records(Arc::clone(&file));
        let rejects = RejectWriter::new(scratch.join(format!("{index}.rejects")), fetch);
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
        let (Route::Append { .. }, Contents::Parquet { metadata, .. }) =
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
        let Contents::Parquet { metadata, .. } = &self.file.contents else { return 256 };
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
        let columns = self.file.schema().map_or(0, |schema| schema.fields().len());
        let whole = self.read.as_ref().is_none_or(|read| read.len() == columns);
        self.rejects.add(self.name(), scored, self.file.header(), whole)
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
        let (Route::Append { appender, .. }, Contents::Parquet { source, metadata }) =
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
        let made = Arc::new(Appender::create(&self.temporary, source.clone(), metadata, outputs)?);
        *appender = Some(Arc::clone(&made));
        Ok(made)
    }
}

fn shape(file: &InputFile, shared: &Shared) -> Result<TextShape, FileError> {
    match file.schema() {
        Some(schema) => Ok(TextShape { schema: Arc::clone(schema), sample: Lines::default() }),
        None => shared.text.of(file),
    }
}

/// The root columns to read, for the model and for the output.
fn read_columns(model: &[usize], joined: &[usize]) -> Vec<usize> {
    let mut read = [model, joined].concat();
    read.sort_unstable();
    read.dedup();
    read
}

/// The joined columns of text: parsed beside what the model reads.
fn parsed_columns(join: &[usize], input: &InputColumns<'_>) -> JoinedColumns {
    let kind = if input.format == Format::Csv { SourceKind::Csv } else { SourceKind::JsonLines };
    let fields: Vec<_> =
        join.iter().map(|&column| wanted(column, input.schema, input.sample)).collect();
    JoinedColumns::Parsed(ColumnReader::new(&fields, kind))
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
