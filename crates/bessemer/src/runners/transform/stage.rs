//! A job's objects in its folder. Links where the file system has them, so that nothing is copied and
//! a later change of an object does not change the job.

use std::{
    fs::{self, File},
    os::fd::AsRawFd,
    path::Path,
};

use bessemer_objects::buckets::{BucketDir, BucketError};
use rustix::fs::{AtFlags, CWD, linkat};
use serde::{Deserialize, Serialize};

use super::{
    super::container::{self, Input, LONGEST_MANIFEST, Uri, inputs_below, names_of_manifest},
    Failed,
    code::{self, StagedModel, stage_model},
    plan::Plan,
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
    /// How many of `instances` have an input.
    pub(super) fn hosts(&self, instances: usize) -> usize {
        self.names.len().min(instances)
    }

    /// The inputs of instance `index` of `hosts`: shared out by key.
    pub(super) fn share(&self, index: usize, hosts: usize) -> Vec<String> {
        self.names.iter().skip(index).step_by(hosts).cloned().collect()
    }

    /// What an earlier attempt put into `folder`, if it came to its end.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(NOTE)).ok()?).ok()
    }
}

/// Written last.
const NOTE: &str = "staged.json";

/// Puts the inputs and the model of a job into `folder`. What an earlier attempt put there stays.
pub(super) fn stage(buckets: &BucketDir, plan: &Plan, folder: &Path) -> Result<Staged, Failed> {
    if let Some(staged) = Staged::read(folder) {
        return Ok(staged);
    }
    let unpacked = (0..plan.instances).map(|index| code::unpacked(folder, index));
    let parts = ["inputs", "model", "code"].map(|part| folder.join(part));
    for part in parts.into_iter().chain(unpacked) {
        if part.exists() {
            fs::remove_dir_all(&part).map_err(Failed::infrastructure)?;
        }
    }
    let inputs = if plan.is_manifest { of_manifest(buckets, plan)? } else { below(buckets, plan)? };
    let mut names = Vec::new();
    for Input { uri, relative } in &inputs {
        let target = folder.join("inputs").join(relative);
        link(buckets, uri, &target)?;
        names.push(relative.clone());
    }
    if names.is_empty() {
        let uri = &plan.input;
        return Err(Failed::invalid(format!("ClientError: No S3 objects found under `{uri}`")));
    }
    let model = stage_model(buckets, plan, folder, plan.instances.min(names.len()))?;
    let base = inputs.first().and_then(|Input { uri, relative }| {
        let uri = format!("{}/{}", uri.bucket, uri.key);
        uri.strip_suffix(relative.as_str()).map(str::to_owned)
    });
    let staged = Staged { model, names, base: base.unwrap_or_default() };
    let text = serde_json::to_vec(&staged).map_err(Failed::infrastructure)?;
    fs::write(folder.join(NOTE), text).map_err(Failed::infrastructure)?;
    Ok(staged)
}

/// The objects whose keys begin with the job's prefix.
fn below(buckets: &BucketDir, plan: &Plan) -> Result<Vec<Input>, Failed> {
    inputs_below(buckets, &plan.input)?.into_iter().map(checked).collect()
}

/// The objects that a manifest names.
fn of_manifest(buckets: &BucketDir, plan: &Plan) -> Result<Vec<Input>, Failed> {
    let uri = &plan.input;
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
    let text = std::io::read_to_string(object).map_err(|_| malformed())?;
    let input = |(uri, relative): (String, String)| {
        let uri = Uri::read(&uri).map_err(Failed::invalid)?;
        checked(Input { uri, relative })
    };
    let names = names_of_manifest(&text).ok_or_else(malformed)?;
    names.into_iter().map(input).collect()
}

/// Refuses an input whose name can't be a file's.
fn checked(input: Input) -> Result<Input, Failed> {
    if input.has_file_name() {
        return Ok(input);
    }
    let uri = &input.uri;
    Err(Failed::invalid(format!("ClientError: The key of `{uri}` can't be the name of a file")))
}

/// Makes `target` the object at `uri`, by a link or else by a copy.
pub(super) fn link(buckets: &BucketDir, uri: &Uri, target: &Path) -> Result<(), Failed> {
    let object = open(buckets, uri)?;
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Failed::infrastructure)?;
    let open = format!("/proc/self/fd/{}", object.as_raw_fd());
    if linkat(CWD, open.as_str(), CWD, target, AtFlags::SYMLINK_FOLLOW).is_ok() {
        return Ok(());
    }
    let copied = File::create(target).and_then(|mut copy| std::io::copy(&mut &object, &mut copy));
    copied.map(drop).map_err(|error| Failed::infrastructure(format!("copy `{uri}`: {error}")))
}

fn open(buckets: &BucketDir, uri: &Uri) -> Result<File, Failed> {
    match buckets.open_object(&uri.bucket_name()?, &uri.object_key()?) {
        Ok(object) => Ok(object.file),
        Err(BucketError::NoSuchKey(_)) => {
            Err(Failed::invalid(format!("ClientError: There is no object `{uri}`")))
        }
        Err(error) => Err(container::Failed::from_bucket(&error).into()),
    }
}
