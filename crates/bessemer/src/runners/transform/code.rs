//! A model's own code: which script, from where, and in what environment it runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use bessemer_models::archive::{self, ArchiveError, ArchiveLimits, ModelFound};
use bessemer_objects::storage::Storage;
use serde::{Deserialize, Serialize};

use super::{
    super::container::{Uri, host_name},
    Failed,
    plan::Plan,
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
    /// A server of the container contract.
    Server {
        /// The command that starts it.
        command: String,
        /// The text of its requirements, if it has some.
        requirements: Option<String>,
    },
    /// A server in an image of Docker.
    Container(ServingImage),
}

/// An image of Docker that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ServingImage {
    /// Its name there.
    pub(super) image: String,
    /// The command for a shell in it that serves.
    pub(super) command: String,
}

/// The folder of an unpacked model, which code may change: each instance has its own.
pub(super) fn unpacked(folder: &Path, index: usize) -> PathBuf {
    folder.join(host_name(index)).join("model")
}

/// Puts the model of a job into `folder`, and tells what it is. Archives are unpacked for each of
/// `hosts` instances whose code may change them, code of its own to `folder/code`.
pub(super) fn stage_model(
    storage: &Storage,
    plan: &Plan,
    folder: &Path,
    (hosts, container): (usize, Option<ServingImage>),
) -> Result<StagedModel, Failed> {
    let name = plan.model.key.rsplit('/').next().filter(|name| !name.is_empty());
    let model = folder.join("model").join(name.unwrap_or("model"));
    stage::link(storage, &plan.model, &model)?;
    let is_archive = archive::is_archive(&model).map_err(|error| refused(&error))?;
    let asked = &plan.container;
    let has_code = asked.program.is_some() || asked.serve.is_some() || container.is_some();
    let put = |index: usize| {
        let target = unpacked(folder, index);
        if is_archive {
            return unpack(&model, &target);
        }
        let copied = fs::create_dir_all(&target)
            .and_then(|()| fs::copy(&model, target.join(name.unwrap_or("model"))));
        copied.map(drop).map_err(Failed::infrastructure)
    };
    if !is_archive && !has_code {
        return Ok(StagedModel::Native(model));
    }
    put(0)?;
    let found = match container {
        Some(image) => StagedModel::Container(image),
        None => tell(storage, plan, folder, &model)?,
    };
    if !matches!(found, StagedModel::Native(_)) {
        (1..hosts).try_for_each(put)?;
    }
    Ok(found)
}

/// Tells what a model is that has been unpacked; `model` is its archive.
fn tell(
    storage: &Storage,
    plan: &Plan,
    folder: &Path,
    model: &Path,
) -> Result<StagedModel, Failed> {
    let unpacked = unpacked(folder, 0);
    if let Some(command) = &plan.container.serve {
        let code = submitted(storage, plan, folder)?.unwrap_or_else(|| unpacked.join("code"));
        let (command, requirements) = (command.clone(), requirements_in(&code)?);
        return Ok(StagedModel::Server { command, requirements });
    }
    if let Some(program) = &plan.container.program {
        if let Some(code) = submitted(storage, plan, folder)? {
            return script_in(&code, program, Path::new(CODE), MODEL.into());
        }
        let inside = Path::new(MODEL).join("code");
        return script_in(&unpacked.join("code"), program, &inside, MODEL.into());
    }
    match archive::find(&unpacked) {
        Ok(ModelFound::PythonHandler { model_dir, .. }) => {
            let inner = model_dir.strip_prefix(&unpacked).unwrap_or(Path::new(""));
            let inside = Path::new(MODEL).join(inner);
            script_in(&model_dir.join("code"), DEFAULT_SCRIPT, &inside.join("code"), inside.clone())
        }
        Ok(_) => Ok(StagedModel::Native(unpacked)),
        // What is wrong with the content is told of the archive.
        Err(error) => Err(refused(&error.of(model))),
    }
}

/// The folder of the code that came in an archive of its own, if it did.
fn submitted(storage: &Storage, plan: &Plan, folder: &Path) -> Result<Option<PathBuf>, Failed> {
    let uri = plan.container.submitted.as_deref().filter(|uri| uri.starts_with("s3://"));
    let Some(uri) = uri else { return Ok(None) };
    let source = Uri::read(uri).map_err(Failed::invalid)?;
    let packed = folder.join("model/sourcedir.tar.gz");
    stage::link(storage, &source, &packed)?;
    let code = folder.join("code");
    unpack(&packed, &code)?;
    Ok(Some(code))
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
    let requirements = requirements_in(code)?;
    Ok(StagedModel::Script { script: inside.join(program), model_dir, requirements })
}

fn requirements_in(code: &Path) -> Result<Option<String>, Failed> {
    let list = code.join("requirements.txt");
    match fs::metadata(&list) {
        Ok(about) if about.len() > LONGEST_REQUIREMENTS => {
            Err(Failed::invalid("AlgorithmError: requirements.txt is too large"))
        }
        Ok(_) => fs::read_to_string(&list).map(Some).map_err(Failed::infrastructure),
        Err(_) => Ok(None),
    }
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
