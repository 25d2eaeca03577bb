//! What is kept of a job that set records apart, for their replay: `rejects/<job>.json` in the data
//! directory. The records themselves are in the job's output.

use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use bessemer_domain::JobId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Failed, end::read_beneath};

/// What a replay has to know of a job.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Records of the whole job.
    pub(crate) rows: u64,
    /// The columns of its outputs, as the engine notes them, if all instances had the same.
    pub(crate) columns: Option<Value>,
    /// The files with rejected records, by name.
    files: BTreeMap<String, KeptFile>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeptFile {
    /// Its entry in the engine's ledger.
    entry: Value,
    input: Version,
}

/// Tells whether an input is what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Version {
    size: u64,
    /// When it was put, in seconds and nanoseconds since 1970: not known of copies from elsewhere.
    put: Option<(i64, i64)>,
}

impl Version {
    fn of(path: &Path) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        let is_link = about.nlink() > 1;
        Ok(Self { size: about.len(), put: is_link.then_some((about.mtime(), about.mtime_nsec())) })
    }

    fn may_be(self, other: Self) -> bool {
        let is_put = self.put.zip(other.put).is_none_or(|(one, other)| one == other);
        self.size == other.size && is_put
    }
}

impl Kept {
    /// What is to be kept of the files `rejected` of a job, whose folder is `folder`. `left`: where
    /// each instance's parts are.
    pub(super) fn of(
        folder: &Path,
        left: &[PathBuf],
        (rows, rejected): (u64, &HashSet<&str>),
    ) -> io::Result<Self> {
        let mut columns: Vec<Option<Value>> = Vec::new();
        let mut files = BTreeMap::new();
        for left in left {
            let read = |name: &str| read_beneath(left, &format!("output/_bessemer/{name}"));
            let noted = read("columns.json").ok();
            columns.push(noted.and_then(|text| serde_json::from_slice(&text).ok()));
            let ledger = read("ledger.jsonl").unwrap_or_default();
            for line in ledger.split(|byte| *byte == b'\n') {
                let Ok(entry) = serde_json::from_slice::<Value>(line) else { continue };
                let name = entry["file"].as_str().unwrap_or_default();
                if rejected.contains(name) {
                    let input = Version::of(&folder.join("inputs").join(name))?;
                    files.insert(name.to_owned(), KeptFile { entry, input });
                }
            }
        }
        let first = columns.first().cloned().flatten();
        let columns = first.filter(|first| columns.iter().all(|one| one.as_ref() == Some(first)));
        Ok(Self { rows, columns, files })
    }

    /// Where what is kept of `job` is, beside the folder of the jobs' folders.
    pub(super) fn place(runs: &Path, job: JobId) -> PathBuf {
        runs.with_file_name("rejects").join(format!("{job}.json"))
    }

    /// Keeps it, whole or not at all.
    pub(super) fn write(&self, place: &Path) -> io::Result<()> {
        if self.files.is_empty() {
            return match fs::remove_file(place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        let unfinished = place.with_extension("tmp");
        fs::create_dir_all(place.parent().unwrap_or(Path::new("/")))?;
        fs::write(&unfinished, serde_json::to_vec(self)?)?;
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(unfinished, place)
    }

    pub(super) fn read(place: &Path) -> Result<Self, Failed> {
        match fs::read(place) {
            Ok(text) => serde_json::from_slice(&text).map_err(Failed::infrastructure),
            // All its records were delivered.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failed::infrastructure(error)),
        }
    }

    /// The files' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The ledger's entry of a file.
    pub(crate) fn entry_of(&self, name: &str) -> Option<&Value> {
        self.files.get(name).map(|file| &file.entry)
    }

    /// The name that the engine gave to the output of a file.
    pub(crate) fn output_of(&self, name: &str) -> Option<String> {
        self.entry_of(name)?["output"].as_str().map(str::to_owned)
    }

    /// Whether the input `name`, which is at `path` now, may be what it was.
    pub(super) fn is_unchanged(&self, name: &str, path: &Path) -> io::Result<bool> {
        let now = Version::of(path)?;
        Ok(self.files.get(name).is_some_and(|file| file.input.may_be(now)))
    }

    /// Takes what is kept of a job for the replay `job`: one at a time, since each begins with the
    /// outputs of the one before.
    pub(super) fn claim(runs: &Path, place: &Path, job: JobId) -> Result<(), Failed> {
        let (claim, owner) = (place.with_extension("owner"), job.to_string());
        if let Ok(other) = fs::read_to_string(&claim)
            && other != owner
            // It has ended otherwise.
            && runs.join(&other).exists()
        {
            return Err(Failed::invalid(
                "ClientError: another replay of the same records is under way",
            ));
        }
        fs::write(claim, owner).map_err(Failed::infrastructure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_replay_of_a_job_is_under_way_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        for job in ["2", "3"] {
            fs::create_dir_all(runs.join(job)).unwrap();
        }
        let place = Kept::place(&runs, JobId(1));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        let claim = |job| Kept::claim(&runs, &place, JobId(job)).map_err(|failed| failed.message);
        assert_eq!(claim(2), Ok(()));
        assert_eq!(claim(2), Ok(()), "it is its own");
        assert!(claim(3).unwrap_err().contains("another replay"));
        // The folder of a job goes when it has ended.
        fs::remove_dir(runs.join("2")).unwrap();
        assert_eq!(claim(3), Ok(()));
    }

    #[test]
    fn an_input_is_what_it_was_as_far_as_that_is_known() {
        let version = |size, put| Version { size, put };
        let known = version(5, Some((1, 2)));
        assert!(known.may_be(known) && known.may_be(version(5, None)));
        assert!(!known.may_be(version(6, None)) && !known.may_be(version(5, Some((1, 3)))));
    }

    #[test]
    fn nothing_is_kept_of_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let place = Kept::place(&folder.path().join("runs"), JobId(1));
        Kept::default().write(&place).unwrap();
        assert_eq!(Kept::read(&place).map_err(|failed| failed.message).unwrap().rows, 0);
        let entry = serde_json::json!({ "file": "a", "output": "a.csv" });
        let file = KeptFile { entry, input: Version { size: 1, put: None } };
        let kept = Kept { rows: 7, columns: None, files: [("a".to_owned(), file)].into() };
        kept.write(&place).unwrap();
        let read = Kept::read(&place).map_err(|failed| failed.message).unwrap();
        assert_eq!((read.rows, read.output_of("a").as_deref()), (7, Some("a.csv")));
        Kept::default().write(&place).unwrap();
        assert!(!place.exists());
    }
}
