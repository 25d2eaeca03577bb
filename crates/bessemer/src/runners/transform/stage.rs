//! A job's objects in its folder. Links where the file system has them, so that nothing is copied and
//! a later change of an object does not change the job.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::Path,
};

use bessemer_objects::buckets::{
    BucketDir, BucketError, BucketName, Entry, ListRequest, ObjectKey,
};
use rustix::fs::{AtFlags, CWD, linkat};
use serde::{Deserialize, Serialize};

use super::{
    Failed,
    code::{StagedModel, stage_model},
    plan::{Place, Plan},
};

/// What of a job is in its folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Staged {
    /// What scores them.
    pub(super) model: StagedModel,
    /// The inputs' names.
    pub(super) names: Vec<String>,
    /// What comes before an input's name in its URI, as `bucket/folder/`.
    pub(super) base: String,
}

impl Staged {
    /// What an earlier attempt put into `folder`, if it came to its end.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()
    }
}

/// Written last.
const NOTE: &str = "staged.json";

/// The longest manifest that is read, in bytes.
const LONGEST_MANIFEST: u64 = 64 << 20;

/// Puts the inputs and the model of a job into `folder`. What an earlier attempt put there stays.
pub(super) fn stage(buckets: &BucketDir, plan: &Plan, folder: &Path) -> Result<Staged, Failed> {
    if let Some(staged) = Staged::read(folder) {
        return Ok(staged);
    }
    for part in ["inputs", "model", "unpacked", "code"] {
        let part = folder.join(part);
        if part.exists() {
            fs::remove_dir_all(&part).map_err(Failed::infrastructure)?;
        }
    }
    let inputs = if plan.is_manifest { of_manifest(buckets, plan)? } else { below(buckets, plan)? };
    let mut names = Vec::new();
    for Input { place, relative } in &inputs {
        let target = folder.join("inputs").join(relative);
        link(buckets, place, &target)?;
        names.push(relative.clone());
    }
    if names.is_empty() {
        let uri = plan.input.uri(&plan.input.key);
        return Err(Failed::invalid(format!("ClientError: No S3 objects found under `{uri}`")));
    }
    let model = stage_model(buckets, plan, folder)?;
    let base = inputs.first().and_then(|Input { place, relative }| {
        let uri = format!("{}/{}", place.bucket, place.key);
        uri.strip_suffix(relative.as_str()).map(str::to_owned)
    });
    let staged = Staged { model, names, base: base.unwrap_or_default() };
    let text = serde_json::to_vec(&staged).map_err(Failed::infrastructure)?;
    fs::write(folder.join(NOTE), text).map_err(Failed::infrastructure)?;
    Ok(staged)
}

/// An object to be scored.
#[derive(Debug, PartialEq, Eq)]
struct Input {
    place: Place,
    /// Its name below the inputs.
    relative: String,
}

/// The objects whose keys begin with the job's prefix.
fn below(buckets: &BucketDir, plan: &Plan) -> Result<Vec<Input>, Failed> {
    let prefix = &plan.input.key;
    let bucket = bucket_name(&plan.input)?;
    let mut keys = Vec::new();
    let mut after = String::new();
    loop {
        let request =
            ListRequest { prefix: prefix.clone(), after, limit: 1000, ..ListRequest::default() };
        let page = buckets.list(&bucket, &request).map_err(|error| from_bucket(&error))?;
        after = page.entries.last().map(|entry| entry.name().to_owned()).unwrap_or_default();
        for entry in page.entries {
            if let Entry::Object { key, .. } = entry
                && !key.ends_with('/')
            {
                keys.push(key);
            }
        }
        if !page.is_truncated {
            break;
        }
    }
    let base = base_of(prefix, &keys);
    keys.into_iter()
        .map(|key| {
            let relative = key[base..].to_owned();
            let place = Place { bucket: plan.input.bucket.clone(), key };
            checked(Input { place, relative })
        })
        .collect()
}

/// How much of each key is not told in output names: the prefix as a folder if it is one for all
/// keys, else the folder that it is in.
fn base_of(prefix: &str, keys: &[String]) -> usize {
    let is_folder = |key: &String| key[prefix.len()..].starts_with('/');
    if !prefix.is_empty() && !prefix.ends_with('/') && keys.iter().all(is_folder) {
        return prefix.len() + 1;
    }
    prefix.rfind('/').map_or(0, |slash| slash + 1)
}

/// The objects that a manifest names.
fn of_manifest(buckets: &BucketDir, plan: &Plan) -> Result<Vec<Input>, Failed> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Item {
        Name(String),
        Prefix { prefix: String },
    }
    let uri = plan.input.uri(&plan.input.key);
    let malformed = || {
        Failed::invalid(format!(
            "ClientError: The manifest `{uri}` is malformed: it must be [{{\"prefix\": \"s3://…\"}}, \
             \"name\", …]"
        ))
    };
    let object = open(buckets, &plan.input)?;
    if object.metadata().map_err(Failed::infrastructure)?.len() > LONGEST_MANIFEST {
        return Err(Failed::invalid(format!("ClientError: The manifest `{uri}` is too large")));
    }
    let items: Vec<Item> =
        serde_json::from_reader(std::io::BufReader::new(object)).map_err(|_| malformed())?;
    let mut items = items.into_iter();
    let Some(Item::Prefix { prefix }) = items.next() else { return Err(malformed()) };
    items
        .map(|item| match item {
            Item::Name(relative) => {
                // As SageMaker does: put together with nothing between them.
                let place =
                    Place::parse(&format!("{prefix}{relative}")).map_err(Failed::invalid)?;
                checked(Input { place, relative })
            }
            Item::Prefix { .. } => Err(malformed()),
        })
        .collect()
}

/// Refuses an input whose name can't be a file's.
fn checked(input: Input) -> Result<Input, Failed> {
    let is_plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if input.relative.split('/').all(is_plain) {
        return Ok(input);
    }
    let uri = input.place.uri(&input.place.key);
    Err(Failed::invalid(format!("ClientError: The key of `{uri}` can't be the name of a file")))
}

/// Makes `target` the object at `place`, by a link or else by a copy.
pub(super) fn link(buckets: &BucketDir, place: &Place, target: &Path) -> Result<(), Failed> {
    let object = open(buckets, place)?;
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Failed::infrastructure)?;
    let open = format!("/proc/self/fd/{}", object.as_raw_fd());
    if linkat(CWD, open.as_str(), CWD, target, AtFlags::SYMLINK_FOLLOW).is_ok() {
        return Ok(());
    }
    let copied = File::create(target).and_then(|mut copy| std::io::copy(&mut &object, &mut copy));
    copied.map(drop).map_err(|error| {
        Failed::infrastructure(format!("copy `{}`: {error}", place.uri(&place.key)))
    })
}

fn open(buckets: &BucketDir, place: &Place) -> Result<File, Failed> {
    let key = ObjectKey::parse(&place.key).map_err(|error| from_bucket(&error))?;
    match buckets.open_object(&bucket_name(place)?, &key) {
        Ok(object) => Ok(object.file),
        Err(BucketError::NoSuchKey(_)) => {
            let uri = place.uri(&place.key);
            Err(Failed::invalid(format!("ClientError: There is no object `{uri}`")))
        }
        Err(error) => Err(from_bucket(&error)),
    }
}

pub(super) fn bucket_name(place: &Place) -> Result<BucketName, Failed> {
    BucketName::parse(&place.bucket).map_err(|error| from_bucket(&error))
}

/// What buckets refuse is the request's fault, but for their disk.
pub(super) fn from_bucket(error: &BucketError) -> Failed {
    let mut text = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        text = format!("{text}: {source}");
    }
    match error {
        BucketError::Io { .. } => Failed::infrastructure(text),
        _ => Failed::invalid(format!("ClientError: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_begin_below_the_prefix() {
        let keys = |keys: &[&str]| keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>();
        assert_eq!(base_of("in/", &keys(&["in/a", "in/b/c"])), 3);
        assert_eq!(base_of("in", &keys(&["in/a", "in/b/c"])), 3);
        assert_eq!(base_of("in", &keys(&["in/a", "input"])), 0);
        assert_eq!(base_of("data/part-", &keys(&["data/part-1"])), 5);
        assert_eq!(base_of("data/one.csv", &keys(&["data/one.csv"])), 5);
        assert_eq!(base_of("", &keys(&["a", "b/c"])), 0);
    }
}
