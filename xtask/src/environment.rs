//! The Python environments of the tests and the benchmark: built by uv from lock files, once for each
//! content of such a file.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::workspace;

/// The uv that is fetched where none is installed.
const UV: &str = "uv==0.13.9";

/// What the tests and the benchmark themselves run in.
const TESTS: &str = "tests/requirements.lock";

/// The clients that the tests drive, which can't share packages: the variable that tells the tests
/// of their interpreter, and their lock file.
const CLIENTS: &[(&str, &str)] = &[
    ("BESSEMER_TEST_SDK_V2", "tests/clients/environments/sdk-v2.lock"),
    ("BESSEMER_TEST_SDK_V3", "tests/clients/environments/sdk-v3.lock"),
    ("BESSEMER_TEST_AIRFLOW", "tests/clients/environments/airflow.lock"),
    ("BESSEMER_TEST_QUERY", "tests/clients/environments/query.lock"),
];

/// A virtual environment that holds the locked packages.
pub(crate) struct Environment {
    folder: PathBuf,
}

impl Environment {
    /// The environment of the tests, built if there is none yet.
    pub(crate) fn prepare() -> Result<Self> {
        Self::of_lock(TESTS)
    }

    fn of_lock(name: &str) -> Result<Self> {
        let lock = workspace::root().join(name);
        let text =
            fs::read(&lock).with_context(|| format!("failed to read `{}`", lock.display()))?;
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let cache = cache_folder()?;
        let folder = cache.join(format!("venv-{:016x}", hasher.finish()));
        if !folder.is_dir() {
            eprintln!("xtask: building the environment of {name} in {}", folder.display());
            build(&cache, &lock, &folder)
                .with_context(|| format!("failed to build the environment of `{name}`"))?;
        }
        Ok(Self { folder })
    }

    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("bin/python")
    }

    /// The shared library of its onnxruntime package.
    pub(crate) fn onnx_runtime(&self) -> Result<PathBuf> {
        let files = read_folder(&self.package("onnxruntime")?.join("capi"))?;
        let library = files.into_iter().find(|file| {
            file.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("libonnxruntime."))
        });
        library.with_context(|| format!("no libonnxruntime in `{}`", self.folder.display()))
    }

    /// The folder of one of its packages.
    pub(crate) fn package(&self, name: &str) -> Result<PathBuf> {
        let versions = read_folder(&self.folder.join("lib"))?;
        let packages = versions.into_iter().map(|version| version.join("site-packages").join(name));
        let found = packages.into_iter().find(|package| package.is_dir());
        found.with_context(|| format!("no package `{name}` in `{}`", self.folder.display()))
    }

    /// Tells `command` about the environment, as the tests expect it.
    pub(crate) fn describe_to(&self, command: &mut Command) -> Result<()> {
        command.env("BESSEMER_ONNXRUNTIME", self.onnx_runtime()?);
        command.env("BESSEMER_TEST_PYTHON", self.python());
        Ok(())
    }
}

/// Tells `command` about the environments of the clients, each built if there is none yet.
pub(crate) fn describe_clients_to(command: &mut Command) -> Result<()> {
    for (variable, lock) in CLIENTS {
        command.env(variable, Environment::of_lock(lock)?.python());
    }
    Ok(())
}

/// Tells `command` about the environment of what the pipelines are compared with.
pub(crate) fn describe_orchestrators_to(command: &mut Command) -> Result<()> {
    let environment = Environment::of_lock("bench/peers/orchestrators.lock")?;
    command.env("BESSEMER_BENCH_ORCHESTRATORS", environment.python());
    Ok(())
}

/// Runs the environment's interpreter.
pub(crate) fn run_python(arguments: &[String]) -> Result<()> {
    let environment = Environment::prepare()?;
    let mut command = Command::new(environment.python());
    environment.describe_to(&mut command)?;
    workspace::run(command.args(arguments))
}

/// Where environments live: `$BESSEMER_XTASK_CACHE`, or a folder under cargo's own.
fn cache_folder() -> Result<PathBuf> {
    let folder = match std::env::var_os("BESSEMER_XTASK_CACHE") {
        Some(folder) => folder.into(),
        None => workspace::target_directory()?.join("xtask"),
    };
    fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    Ok(folder)
}

/// Builds beside `folder` and renames, so that an interrupted build is never taken for a whole one.
fn build(cache: &Path, lock: &Path, folder: &Path) -> Result<()> {
    let uv = uv(cache)?;
    let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut venv = Command::new(&uv);
    venv.args(["venv", "--quiet", "--relocatable", "--no-project", "--python"]).arg(python);
    workspace::run(venv.arg(&unfinished))?;
    let mut install = Command::new(&uv);
    // The lock file's packages and no other: it may leave out what a package asks for.
    install.args(["pip", "sync", "--quiet", "--python"]).arg(unfinished.join("bin/python"));
    workspace::run(install.arg(lock))?;
    if fs::rename(&unfinished, folder).is_err() && folder.is_dir() {
        // Another build was first; its result is the same.
        fs::remove_dir_all(&unfinished)?;
    }
    Ok(())
}

/// The uv on the path, or one fetched by pip.
fn uv(cache: &Path) -> Result<PathBuf> {
    if Command::new("uv").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Ok("uv".into());
    }
    let folder = cache.join(UV.replace("==", "-"));
    let program = folder.join("bin/uv");
    if !program.is_file() {
        let unfinished = folder.with_extension(format!("unfinished-{}", std::process::id()));
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--root-user-action=ignore", "--target"])
            .arg(&unfinished)
            .arg(UV);
        workspace::run(&mut pip)?;
        if fs::rename(&unfinished, &folder).is_err() && folder.is_dir() {
            fs::remove_dir_all(&unfinished)?;
        }
    }
    Ok(program)
}

fn read_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("failed to read the folder `{}`", folder.display()))?;
    Ok(entries.collect::<Result<Vec<_>, _>>()?.into_iter().map(|entry| entry.path()).collect())
}
