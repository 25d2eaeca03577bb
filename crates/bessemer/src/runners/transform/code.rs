//! A model's own code: which script, from where, and in what environment it runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bessemer_models::archive::{self, ArchiveError, ArchiveLimits, ModelFound};
use bessemer_objects::buckets::BucketDir;
use serde::{Deserialize, Serialize};

use super::{
    Failed,
    plan::{Place, Plan},
    stage,
};

/// Where a container finds the model, and the code that came apart from it.
pub(super) const MODEL: &str = "/opt/ml/model";
pub(super) const CODE: &str = "/opt/ml/code";

/// The script that a container looks for if the user names none.
const DEFAULT_SCRIPT: &str = "inference.py";
/// The longest requirements file that is read, in bytes.
const LONGEST_REQUIREMENTS: u64 = 1 << 20;

/// What scores the job's data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum StagedModel {
    /// A model that Bessemer runs itself: a file or a folder.
    Native(PathBuf),
    /// A script.
    Script {
        /// Its path in the sandbox.
        script: PathBuf,
        /// The folder of the model's files there.
        model_dir: PathBuf,
        /// The text of its requirements, if it has some.
        requirements: Option<String>,
    },
}

/// Puts the model of a job into `folder`, and tells what it is. Archives are unpacked to
/// `folder/unpacked`, code of its own to `folder/code`.
pub(super) fn stage_model(
    buckets: &BucketDir,
    plan: &Plan,
    folder: &Path,
) -> Result<StagedModel, Failed> {
    let name = plan.model.key.rsplit('/').next().filter(|name| !name.is_empty());
    let model = folder.join("model").join(name.unwrap_or("model"));
    stage::link(buckets, &plan.model, &model)?;
    let unpacked = folder.join("unpacked");
    let is_archive = archive::is_archive(&model).map_err(|error| refused(&error))?;
    if is_archive {
        unpack(&model, &unpacked)?;
    }
    if let Some(program) = &plan.container.program {
        if !is_archive {
            let copied = fs::create_dir_all(&unpacked)
                .and_then(|()| fs::copy(&model, unpacked.join(name.unwrap_or("model"))));
            copied.map_err(Failed::infrastructure)?;
        }
        return script_of(buckets, plan, program, folder);
    }
    if !is_archive {
        return Ok(StagedModel::Native(model));
    }
    match archive::find(&unpacked) {
        Ok(ModelFound::PythonHandler { model_dir, .. }) => {
            let inner = model_dir.strip_prefix(&unpacked).unwrap_or(Path::new(""));
            let inside = Path::new(MODEL).join(inner);
            script_in(&model_dir.join("code"), DEFAULT_SCRIPT, &inside.join("code"), inside.clone())
        }
        Ok(_) => Ok(StagedModel::Native(unpacked)),
        // What is wrong with the content is told of the archive.
        Err(error) => Err(refused(&error.of(&model))),
    }
}

/// The script that the user named: in an archive of its own, or in the model's.
fn script_of(
    buckets: &BucketDir,
    plan: &Plan,
    program: &str,
    folder: &Path,
) -> Result<StagedModel, Failed> {
    let Some(submitted) =
        plan.container.submitted.as_deref().filter(|uri| uri.starts_with("s3://"))
    else {
        let code = folder.join("unpacked/code");
        return script_in(&code, program, &Path::new(MODEL).join("code"), MODEL.into());
    };
    let source = Place::parse(submitted).map_err(Failed::invalid)?;
    let packed = folder.join("model/sourcedir.tar.gz");
    stage::link(buckets, &source, &packed)?;
    let code = folder.join("code");
    unpack(&packed, &code)?;
    script_in(&code, program, Path::new(CODE), MODEL.into())
}

/// The script `program` in the folder `code`, which is `inside` in the sandbox.
fn script_in(
    code: &Path,
    program: &str,
    inside: &Path,
    model_dir: PathBuf,
) -> Result<StagedModel, Failed> {
    let is_plain =
        Path::new(program).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if !is_plain || !code.join(program).is_file() {
        return Err(Failed::invalid(format!(
            "AlgorithmError: there is no script `{program}` in the model's code ({}); \
             SAGEMAKER_PROGRAM names it, SAGEMAKER_SUBMIT_DIRECTORY its archive or folder",
            inside.display()
        )));
    }
    let list = code.join("requirements.txt");
    let requirements = match fs::metadata(&list) {
        Ok(about) if about.len() > LONGEST_REQUIREMENTS => {
            return Err(Failed::invalid("AlgorithmError: requirements.txt is too large"));
        }
        Ok(_) => Some(fs::read_to_string(&list).map_err(Failed::infrastructure)?),
        Err(_) => None,
    };
    Ok(StagedModel::Script { script: inside.join(program), model_dir, requirements })
}

fn unpack(archive: &Path, target: &Path) -> Result<(), Failed> {
    fs::create_dir_all(target).map_err(Failed::infrastructure)?;
    archive::extract(archive, target, &ArchiveLimits::default()).map_err(|error| refused(&error))
}

fn refused(error: &ArchiveError) -> Failed {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    let hint = error.hint().map(|hint| format!("; hint: {hint}"));
    Failed::invalid(format!(
        "ClientError: failed to {error}{}{}",
        source.unwrap_or_default(),
        hint.unwrap_or_default()
    ))
}

/// Whose container's steps stand in for what a script leaves out, by the image's name.
pub(super) fn framework(image: &str) -> Option<&'static str> {
    ["scikit-learn", "xgboost", "pytorch"].into_iter().find(|name| image.contains(name))
}
