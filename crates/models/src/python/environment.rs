//! Python environments from requirements files, built by uv once for each content.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bessemer_domain::hex;

use sha2::{Digest, Sha256};

/// Lines of a failed command's output that are shown.
const TAIL_LINES: usize = 20;

/// Why an environment could not be built.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The requirements file, or one that it includes, cannot be read.
    #[error("read the requirements `{}`", path.display())]
    Requirements {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache folder cannot be written.
    #[error("write `{}`", path.display())]
    Cache {
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
        /// Its last line that says something.
        reason: String,
        /// The end of its output.
        output: String,
    },
}

impl EnvironmentError {
    /// The end of the failed program's output.
    #[must_use]
    pub fn output(&self) -> Option<&str> {
        match self {
            Self::Failed { output, .. } => Some(output),
            _ => None,
        }
    }
}

/// The interpreter of an environment below `cache` that holds `requirements` and pyarrow; built if
/// there is none yet. `python` is the interpreter that it is made with.
pub(super) fn prepare(
    requirements: &Path,
    python: &Path,
    cache: &Path,
) -> Result<PathBuf, EnvironmentError> {
    prepare_with(requirements, python, cache, || find_uv(cache, python))
}

fn prepare_with(
    requirements: &Path,
    python: &Path,
    cache: &Path,
    find_uv: impl FnOnce() -> Result<PathBuf, EnvironmentError>,
) -> Result<PathBuf, EnvironmentError> {
    let text = whole_text(requirements, 0)?;
    let code = "import sys, platform; print(sys.version, sys.base_prefix, platform.platform())";
    let mut ask = Command::new(python);
    let about =
        run(ask.args(["-c", code]), &format!("ask `{}` for its version", python.display()))?;
    let envs = cache.join("envs");
    create(&envs)?;
    let mut hash = Sha256::new();
    for part in [text.as_bytes(), &about.stdout] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let folder = envs.join(&hex(&hash.finalize())[..32]);
    let interpreter = folder.join("bin/python");
    if interpreter.exists() {
        return Ok(interpreter);
    }
    let _lock = lock(&folder.with_extension("lock"))?;
    if interpreter.exists() {
        return Ok(interpreter); // another process built it while we waited
    }
    let uv = find_uv()?;
    let unfinished = temporary_in(&envs)?;
    build(&uv, requirements, python, names_pyarrow(&text), unfinished.path())?;
    let rename = fs::rename(unfinished.path().join("env"), &folder);
    rename.map_err(|source| EnvironmentError::Cache { path: folder, source })?;
    Ok(interpreter)
}

fn build(
    uv: &Path,
    requirements: &Path,
    python: &Path,
    has_pyarrow: bool,
    target: &Path,
) -> Result<(), EnvironmentError> {
    let folder = target.join("env");
    let mut venv = Command::new(uv);
    venv.args(["venv", "--relocatable", "--no-project", "--python"]).arg(python).arg(&folder);
    run(&mut venv, "make a Python environment")?;
    let mut install = Command::new(uv);
    install.args(["pip", "install", "--python"]).arg(folder.join("bin/python"));
    install.arg("--requirement").arg(requirements);
    if !has_pyarrow {
        install.arg("pyarrow");
    }
    run(&mut install, &format!("install the requirements `{}`", requirements.display()))?;
    Ok(())
}

/// The uv on the path, or one that pip fetches into the cache, once.
fn find_uv(cache: &Path, python: &Path) -> Result<PathBuf, EnvironmentError> {
    let on_path = Command::new("uv").arg("--version").output();
    if on_path.is_ok_and(|output| output.status.success()) {
        return Ok("uv".into());
    }
    let folder = cache.join("uv");
    let program = folder.join("bin/uv");
    if program.exists() {
        return Ok(program);
    }
    let _lock = lock(&cache.join("uv.lock"))?;
    if !program.exists() {
        let unfinished = temporary_in(cache)?;
        let target = unfinished.path().join("uv");
        let fetch = |python: &Path| {
            let mut pip = Command::new(python);
            pip.args(["-m", "pip", "install", "--target"]).arg(&target).arg("uv");
            run(&mut pip, "install uv, which builds the handler's environment")
        };
        // Environments made by uv hold no pip: the machine's own Python has one most often.
        fetch(python).or_else(|refused| fetch(Path::new("python3")).map_err(|_| refused))?;
        let rename = fs::rename(unfinished.path().join("uv"), &folder);
        rename.map_err(|source| EnvironmentError::Cache { path: folder, source })?;
    }
    Ok(program)
}

/// Runs `command` to its end, keeping its output.
fn run(command: &mut Command, task: &str) -> Result<Output, EnvironmentError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("NO_COLOR", "1").output();
    let output = output.map_err(|source| EnvironmentError::Run { program, source })?;
    if output.status.success() {
        return Ok(output);
    }
    let text =
        [output.stdout, output.stderr].map(|part| String::from_utf8_lossy(&part).into_owned());
    let lines: Vec<&str> = text.iter().flat_map(|part| part.lines()).collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    Err(EnvironmentError::Failed { task: task.to_owned(), reason: reason(&lines), output: tail })
}

/// The line of an output that tells why: uv marks it by `×`, pip by `ERROR:`.
fn reason(lines: &[&str]) -> String {
    let mut said = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let marked = ["×", "error:", "ERROR:"]
        .iter()
        .find_map(|mark| said.clone().find_map(|line| line.strip_prefix(mark)).map(str::trim));
    marked.or_else(|| said.next_back()).unwrap_or("it said nothing").to_owned()
}

/// A requirements file with those that it includes (`-r`, `-c`), so that a change in any is seen.
fn whole_text(path: &Path, depth: usize) -> Result<String, EnvironmentError> {
    let text = fs::read_to_string(path)
        .map_err(|source| EnvironmentError::Requirements { path: path.to_owned(), source })?;
    let mut whole = text.clone();
    for line in text.lines().map(str::trim).filter(|_| depth < 8) {
        if let Some(included) = included_file(line) {
            let included = path.parent().unwrap_or(Path::new("")).join(included);
            whole.push('\n');
            whole.push_str(&whole_text(&included, depth + 1)?);
        }
    }
    Ok(whole)
}

fn included_file(line: &str) -> Option<&str> {
    let rest = ["--requirement", "--constraint", "-r", "-c"]
        .iter()
        .find_map(|option| line.strip_prefix(option))?;
    let name = rest.trim_start_matches(['=', ' ', '\t']);
    let name = name.split(" #").next().unwrap_or(name).trim();
    (!name.is_empty() && !name.contains("://")).then_some(name)
}

fn names_pyarrow(requirements: &str) -> bool {
    requirements.lines().any(|line| {
        let name: String = line
            .trim_start()
            .chars()
            .take_while(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(*letter))
            .collect();
        name.eq_ignore_ascii_case("pyarrow")
    })
}

/// Locks `path` against other processes until the file is dropped.
fn lock(path: &Path) -> Result<File, EnvironmentError> {
    let open = || {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|source| EnvironmentError::Cache { path: path.to_owned(), source })
}

fn create(folder: &Path) -> Result<(), EnvironmentError> {
    let created = fs::create_dir_all(folder);
    created.map_err(|source| EnvironmentError::Cache { path: folder.to_owned(), source })
}

fn temporary_in(folder: &Path) -> Result<tempfile::TempDir, EnvironmentError> {
    let made = tempfile::Builder::new().prefix("unfinished-").tempdir_in(folder);
    made.map_err(|source| EnvironmentError::Cache { path: folder.to_owned(), source })
}

#[cfg(test)]
#[path = "tests/environment.rs"]
mod tests;
