//! Python environments, built by uv once for each content and used read-only by any number of
//! sandboxes.

mod build;
mod requirements;
mod uv;

pub use requirements::{UnplainRequirement, plain_requirements};

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use bessemer_domain::hex;
use sha2::{Digest, Sha256};

use crate::Bind;

/// The form of the folders, part of their names: another form is another folder.
const FORM: &str = "1";

/// What an environment holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnvSpec {
    /// Which Python, as uv takes it: a version such as `3.11`, or the path of an interpreter. uv
    /// fetches a version that this machine lacks.
    pub python: String,
    /// Lines of a requirements file, with every version pinned: what isn't pinned is what was newest
    /// when the environment was first built.
    pub requirements: Vec<String>,
}

/// An environment that is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// Its folder, outside and inside a sandbox.
    pub folder: PathBuf,
    /// Its interpreter.
    pub python: PathBuf,
    /// What a sandbox has to see of it: its folder, and that of the interpreter that it is made of.
    pub mounts: Vec<Bind>,
}

/// Why an environment could not be built.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The folder of environments cannot be written.
    #[error("write `{}`", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("run `{program}`")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A program said no.
    #[error("{task}: {reason}")]
    Failed {
        /// What it was to do, as a fragment that follows "failed to".
        task: String,
        /// The line of its output that says why.
        reason: String,
        /// The end of its output.
        output: String,
    },
}

/// The environments below a folder.
#[derive(Debug, Clone)]
pub struct Environments {
    folder: PathBuf,
    /// uv, if it is known; else it is looked for, or fetched.
    uv: Option<PathBuf>,
}

impl Environments {
    /// The environments below `folder`, which is made when it is needed. `uv`: the program to build
    /// with; if `None`, the one on the path, or one that is fetched once.
    pub fn new(folder: impl Into<PathBuf>, uv: Option<PathBuf>) -> Self {
        Self { folder: folder.into(), uv }
    }

    /// The environment with what `spec` says, if it is built.
    #[must_use]
    pub fn find(&self, spec: &EnvSpec) -> Option<Environment> {
        Environment::at(&self.folder.join(spec.name()))
    }

    /// The environment with what `spec` says, built if it isn't there. Whoever wants the same
    /// meanwhile, in this or another process, waits and gets the same. Building can take minutes.
    pub fn ensure(&self, spec: &EnvSpec) -> Result<Environment, EnvironmentError> {
        let name = spec.name();
        let folder = self.folder.join(&name);
        if let Some(built) = Environment::at(&folder) {
            return Ok(built);
        }
        create(&self.folder)?;
        let _lock = lock(&self.folder.join(format!("{name}.lock")))?;
        if let Some(built) = Environment::at(&folder) {
            return Ok(built); // by somebody else, while we waited
        }
        let uv = match &self.uv {
            Some(uv) => uv.clone(),
            None => uv::find(&self.folder)?,
        };
        // Ours alone under the lock, so what is there was left by somebody who was killed.
        let unfinished = self.folder.join(format!("{name}.unfinished"));
        remove(&unfinished)?;
        if let Err(error) = build::build(&uv, spec, &self.folder, &unfinished) {
            let _ = fs::remove_dir_all(&unfinished); // else the next build removes it
            return Err(error);
        }
        fs::rename(&unfinished, &folder).map_err(failed(&folder))?;
        Environment::at(&folder).ok_or_else(|| EnvironmentError::File {
            path: folder.join("bin/python"),
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

impl EnvSpec {
    /// A name for the content.
    fn name(&self) -> String {
        let mut hash = Sha256::new();
        let parts =
            [FORM, &self.python].into_iter().chain(self.requirements.iter().map(String::as_str));
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hex(&hash.finalize())[..32].to_owned()
    }
}

impl Environment {
    /// The environment in `folder`, if one is there.
    fn at(folder: &Path) -> Option<Self> {
        let python = folder.join("bin/python");
        let settings = fs::read_to_string(folder.join("pyvenv.cfg")).ok()?;
        python.exists().then(|| {
            let mut mounts = vec![Bind::read_only(folder, folder)];
            mounts.extend(interpreter(&settings, &python));
            Self { folder: folder.to_owned(), python, mounts }
        })
    }
}

/// The folders of the interpreter that an environment is made of, under each of its names, as far as
/// a sandbox doesn't see them anyway.
fn interpreter(settings: &str, python: &Path) -> Vec<Bind> {
    let home = settings.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "home").then(|| PathBuf::from(value.trim()))
    });
    let linked = fs::read_link(python).ok();
    let linked = linked.and_then(|program| program.parent().map(Path::to_owned));
    let real = fs::canonicalize(python).ok();
    let real = real.and_then(|program| program.parent().map(Path::to_owned));
    let mut mounts: Vec<Bind> = Vec::new();
    for folder in [home, linked, real].into_iter().flatten() {
        // Programs are in `bin`, libraries beside it.
        let Some(prefix) = folder.parent() else { continue };
        let seen = ["/", "/usr"].iter().any(|known| prefix == Path::new(known))
            || prefix.starts_with("/usr");
        let known = mounts.iter().any(|bind| bind.target == prefix);
        if prefix.is_absolute() && prefix.is_dir() && !seen && !known {
            mounts.push(Bind::read_only(prefix, prefix));
        }
    }
    mounts
}

/// Locks `path` against everybody else until the file is dropped.
fn lock(path: &Path) -> Result<File, EnvironmentError> {
    let file = File::options().create(true).truncate(false).write(true).open(path);
    let file = file.map_err(failed(path))?;
    file.lock().map_err(failed(path))?;
    Ok(file)
}

fn create(folder: &Path) -> Result<(), EnvironmentError> {
    fs::create_dir_all(folder).map_err(failed(folder))
}

fn remove(folder: &Path) -> Result<(), EnvironmentError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(folder)(error)),
        _ => Ok(()),
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> EnvironmentError + use<> {
    let path = path.to_owned();
    move |source| EnvironmentError::File { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_is_another_name() {
        let spec = |python: &str, lines: &[&str]| EnvSpec {
            python: python.to_owned(),
            requirements: lines.iter().map(|line| (*line).to_owned()).collect(),
        };
        let names = [
            spec("3.11", &["a==1", "b==1"]).name(),
            spec("3.11", &["a==1b==1"]).name(),
            spec("3.12", &["a==1", "b==1"]).name(),
            spec("3.11", &[]).name(),
        ];
        let different: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}
