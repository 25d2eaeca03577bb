//! Runs only the rejected records again and puts what now succeeds into its place in the output.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use bessemer_objects::{Input, Location, Objects};

use crate::{
    error::{FileError, TransformError},
    output::{
        Entry, Folder, Ledger, Mode, Patch, REJECTS, RejectRecord, merge, rejects_of, write_rejects,
    },
    run::{Controls, Job, run},
    settings::Rejected,
    shared::{FailedFile, recall},
    summary::{Status, Summary},
    text::detect::detect,
};

/// What a replay did.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The run over the rejected records.
    pub summary: Summary,
    /// Records that were rejected before.
    pub before: u64,
    /// Records that are delivered now.
    pub mended: u64,
}

/// Replays the rejects of the output folder `job.folder`, which stays as it is but for the records
/// that succeed. `job.settings` must be those of the run, apart from what the user changed.
pub fn replay(
    mut job: Job,
    objects: &Objects,
    controls: &Controls,
) -> Result<Replayed, TransformError> {
    let output = job.folder.root().clone();
    let rejects = rejects_of(&output, objects)?;
    let ledger = Ledger::new(&output, objects);
    let entries = ledger.read()?;
    let mut by_file: BTreeMap<String, Vec<RejectRecord>> = BTreeMap::new();
    for reject in rejects {
        by_file.entry(reject.file.clone()).or_default().push(reject);
    }
    check_inputs(&by_file, &job.inputs, &entries)?;
    let before = by_file.values().map(|rejects| rejects.len() as u64).sum();
    let rejected = job.settings.rejected;
    job.settings.rejected = Rejected::Drop;
    job.settings.output_schema = match job.folder.columns()? {
        Some(columns) => recall(&columns),
        None => job.settings.output_schema.take(),
    };
    job.picked = Some(
        by_file
            .iter()
            .map(|(file, rejects)| {
                (file.clone(), rejects.iter().map(|reject| reject.row).collect())
            })
            .collect(),
    );
    let scratch = job.folder.scratch().join("replay");
    let place = Location::Local(scratch.clone());
    let folder = Folder::open(&place, Mode::New, objects)?;
    let owner = std::mem::replace(&mut job.folder, folder);
    let mut summary = run(job, objects, controls)?;
    if summary.status == Status::Stopped {
        return Ok(Replayed { summary, before, mended: 0 });
    }
    let again = rejects_of(&place, objects)?;
    let done = Ledger::new(&place, objects).read()?;
    let files = Files { output: &output, scratch: &scratch, rejected, objects, ledger: &ledger };
    let mut mended = 0;
    for (file, old) in &by_file {
        let (Some(entry), Some(written)) = (entries.get(file), done.get(file)) else { continue };
        let still: Vec<&RejectRecord> =
            again.iter().filter(|reject| reject.file == *file).collect();
        match files.mend(entry, written, old, &still) {
            Ok(count) => mended += count,
            Err(FileError::Run(error)) => return Err(error),
            Err(error) => {
                summary.failed.push(FailedFile { file: file.clone(), error: error.to_string() });
            }
        }
    }
    drop(owner);
    Ok(Replayed { summary, before, mended })
}

/// The inputs must be there, as they were.
fn check_inputs(
    by_file: &BTreeMap<String, Vec<RejectRecord>>,
    inputs: &[Input],
    entries: &BTreeMap<String, Entry>,
) -> Result<(), TransformError> {
    for file in by_file.keys() {
        let input = inputs.iter().find(|input| input.relative == *file);
        let entry = entries.get(file);
        match (input, entry) {
            (Some(input), Some(entry)) if input.version == entry.version => {}
            (None, _) => {
                return Err(TransformError::output(format!(
                    "the input `{file}`, whose records were rejected, is gone"
                )));
            }
            _ => {
                return Err(TransformError::output(format!(
                    "the input `{file}` has changed since the run"
                ))
                .with_hint("run it anew with `--overwrite`"));
            }
        }
    }
    Ok(())
}

struct Files<'a> {
    output: &'a Location,
    scratch: &'a Path,
    rejected: Rejected,
    objects: &'a Objects,
    ledger: &'a Ledger,
}

impl Files<'_> {
    /// Mends one output: first the output, then its rejects, then the ledger. Interrupted between,
    /// the same replay does the rest.
    fn mend(
        &self,
        entry: &Entry,
        written: &Entry,
        old: &[RejectRecord],
        still: &[&RejectRecord],
    ) -> Result<u64, FileError> {
        let failing: BTreeSet<u64> = still.iter().map(|reject| reject.row).collect();
        let before: BTreeSet<u64> = old.iter().map(|reject| reject.row).collect();
        let mended: BTreeSet<u64> = before.difference(&failing).copied().collect();
        let (Some(name), Some(patch)) = (&entry.output, &written.output) else { return Ok(0) };
        let place = self.output.join(name);
        let count = mended.len() as u64;
        if count > 0 {
            let copy =
                self.objects.fetch_now(&place, self.scratch).map_err(TransformError::from)?;
            let (format, compression) = detect(copy.path(), name, None, None)
                .map_err(|error| FileError::Unreadable(error.to_string()))?;
            let merged = self.scratch.join("merged");
            let patch = Patch {
                output: copy.path().to_owned(),
                mended_rows: self.scratch.join(patch),
                format,
                compression,
                rejected: self.rejected,
                before,
                mended,
                rows: entry.rows,
            };
            merge(&patch, &merged)?;
            self.objects.publish(&merged, &place).map_err(TransformError::from)?;
        }
        self.keep_rejects(&entry.file, old, still)?;
        let entry = Entry { rejected: still.len() as u64, ..entry.clone() };
        self.ledger.append(&[entry])?;
        Ok(count)
    }

    fn keep_rejects(
        &self,
        file: &str,
        old: &[RejectRecord],
        still: &[&RejectRecord],
    ) -> Result<(), TransformError> {
        let place = self.output.join(&format!("{REJECTS}/{file}.parquet"));
        if still.is_empty() {
            return Ok(self.objects.delete(&place)?);
        }
        let attempts: BTreeMap<u64, u32> =
            old.iter().map(|reject| (reject.row, reject.attempts)).collect();
        let kept: Vec<RejectRecord> = still
            .iter()
            .map(|reject| RejectRecord {
                attempts: reject.attempts + attempts.get(&reject.row).copied().unwrap_or(0),
                ..(*reject).clone()
            })
            .collect();
        let temporary = self.scratch.join("rejects");
        write_rejects(&temporary, &kept)?;
        Ok(self.objects.publish(&temporary, &place)?)
    }
}
