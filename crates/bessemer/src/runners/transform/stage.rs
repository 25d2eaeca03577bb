//! A job's objects in its folder. Links where the file system has them, so that nothing is copied and
//! a later change of an object does not change the job.

use std::{
    fs::{self, File},
    path::Path,
};

use bessemer_objects::storage::{Storage, Stored};
use serde::{Deserialize, Serialize};

use super::{
    super::container::{
        AT_ONCE, Input, LONGEST_MANIFEST, Uri, give_name, host_name, inputs_below,
        names_of_manifest, open, open_all,
    },
    Failed,
    code::{ServingImage, StagedModel, stage_model},
    kept::Kept,
    plan::Plan,
    replay,
};

/// What of a job is in its folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Staged {
    /// What scores them.
    pub(super) model: StagedModel,
    /// The inputs' names.
    pub(super) names: Vec<String>,
    /// The job whose rejected records are replayed.
    pub(super) replay: Option<Kept>,
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
pub(super) fn stage(
    storage: &Storage,
    plan: &Plan,
    folder: &Path,
    (kept, container): (Option<Kept>, Option<ServingImage>),
) -> Result<Staged, Failed> {
    if let Some(staged) = Staged::read(folder) {
        return Ok(staged);
    }
    let hosts = (0..plan.instances).map(|index| folder.join(host_name(index)));
    let parts = ["inputs", "model", "code"].map(|part| folder.join(part));
    for part in parts.into_iter().chain(hosts) {
        if part.exists() {
            fs::remove_dir_all(&part).map_err(Failed::infrastructure)?;
        }
    }
    let all = if plan.is_manifest { of_manifest(storage, plan)? } else { below(storage, plan)? };
    let inputs = match &kept {
        Some(kept) => replay::rejected(storage, plan, kept, all)?,
        None => all,
    };
    let mut names = Vec::new();
    for some in inputs.chunks(AT_ONCE) {
        for (Input { uri, relative }, object) in some.iter().zip(open_all(storage, some)?) {
            name(uri, &object, &folder.join("inputs").join(relative))?;
            names.push(relative.clone());
        }
    }
    if names.is_empty() && kept.is_none() {
        let uri = &plan.input;
        return Err(Failed::invalid(format!("ClientError: No S3 objects found under `{uri}`")));
    }
    let hosts = plan.instances.min(names.len());
    let model = stage_model(storage, plan, folder, (hosts, container))?;
    if let Some(kept) = &kept {
        replay::stage_outputs(storage, plan, kept, (folder, &names, hosts))?;
    }
    let base = inputs.first().and_then(|Input { uri, relative }| {
        let uri = format!("{}/{}", uri.bucket, uri.key);
        uri.strip_suffix(relative.as_str()).map(str::to_owned)
    });
    let staged = Staged { model, names, replay: kept, base: base.unwrap_or_default() };
    let text = serde_json::to_vec(&staged).map_err(Failed::infrastructure)?;
    fs::write(folder.join(NOTE), text).map_err(Failed::infrastructure)?;
    Ok(staged)
}

/// The objects whose keys begin with the job's prefix.
fn below(storage: &Storage, plan: &Plan) -> Result<Vec<Input>, Failed> {
    inputs_below(storage, &plan.input)?.into_iter().map(checked).collect()
}

/// The objects that a manifest names.
fn of_manifest(storage: &Storage, plan: &Plan) -> Result<Vec<Input>, Failed> {
    let uri = &plan.input;
    let malformed = || {
        Failed::invalid(format!(
            "ClientError: The manifest `{uri}` is malformed: it must be [{{\"prefix\": \"s3://…\"}}, \
             \"name\", …]"
        ))
    };
    let object = open(storage, &plan.input)?;
    if object.size > LONGEST_MANIFEST {
        return Err(Failed::invalid(format!("ClientError: The manifest `{uri}` is too large")));
    }
    let text = std::io::read_to_string(object.file).map_err(|_| malformed())?;
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
pub(super) fn link(storage: &Storage, uri: &Uri, target: &Path) -> Result<(), Failed> {
    name(uri, &open(storage, uri)?, target)
}

fn name(uri: &Uri, object: &Stored, target: &Path) -> Result<(), Failed> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(Failed::infrastructure)?;
    if give_name(&object.file, target) {
        return Ok(());
    }
    let mut content = &object.file;
    let copied = File::create(target).and_then(|mut copy| std::io::copy(&mut content, &mut copy));
    copied.map(drop).map_err(|error| Failed::infrastructure(format!("copy `{uri}`: {error}")))
}
