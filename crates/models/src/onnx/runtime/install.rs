//! Gets the ONNX Runtime library from its Python wheel.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use super::{
    RuntimeError,
    find::{Found, Origin, cache_folder, library_in},
};

/// The version that [`install`] gets.
pub const PINNED_VERSION: &str = "1.31.1";

/// The Python whose wheel is taken. The library in the wheel does not depend on it, and so neither on
/// the version of the Python that runs pip.
const WHEEL_PYTHON: &str = "3.12";

/// Takes the library out of the wheel `argv[1]` into the folder `argv[2]`.
const UNPACK: &str = "import os, shutil, sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
names = [name for name in wheel.namelist() if name.startswith('onnxruntime/capi/libonnxruntime.')]
assert len(names) == 1, f'{len(names)} libraries in the wheel'
target = open(os.path.join(sys.argv[2], os.path.basename(names[0])), 'wb')
shutil.copyfileobj(wheel.open(names[0]), target)
target.flush()
os.fsync(target.fileno())";

/// Puts the pinned version into the cache, with the pip of `python`; does nothing if it is there.
pub fn install(python: &Path) -> Result<Found, RuntimeError> {
    let cache = cache_folder().ok_or_else(|| RuntimeError::Install {
        message: "there is no folder for it; set BESSEMER_CACHE or HOME".to_owned(),
        source: None,
    })?;
    let version = Some(PINNED_VERSION.to_owned());
    let found = |path| Found { path, version, origin: Origin::Cache };
    let folder = cache.join(PINNED_VERSION);
    if let Some(path) = library_in(&folder) {
        return Ok(found(path));
    }
    let in_cache = |source| RuntimeError::Install {
        message: format!("can't write to `{}`", cache.display()),
        source: Some(source),
    };
    fs::create_dir_all(&cache).map_err(in_cache)?;
    let work = tempfile::tempdir_in(&cache).map_err(in_cache)?;
    let wheel = download(python, work.path())?;
    let unpacked = work.path().join("unpacked");
    fs::create_dir(&unpacked).map_err(in_cache)?;
    let mut unpack = Command::new(python);
    unpack.args(["-I", "-c", UNPACK]).arg(wheel).arg(&unpacked);
    run(&mut unpack, "unpack the wheel")?;
    if let Err(error) = fs::rename(&unpacked, &folder) {
        // Another process may have been first.
        if library_in(&folder).is_none() {
            return Err(in_cache(error));
        }
    }
    library_in(&folder).map(found).ok_or_else(|| in_cache(io::ErrorKind::NotFound.into()))
}

/// Downloads the wheel into `folder`.
fn download(python: &Path, folder: &Path) -> Result<PathBuf, RuntimeError> {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"])
        .args(["--no-deps", "--only-binary=:all:", "--implementation=cp"])
        .arg(format!("--python-version={WHEEL_PYTHON}"))
        .arg("--dest")
        .arg(folder)
        .arg(format!("onnxruntime=={PINNED_VERSION}"));
    run(&mut pip, "download the wheel")?;
    let entries = fs::read_dir(folder).map(|entries| entries.flatten().map(|entry| entry.path()));
    let wheel = entries.ok().and_then(|mut paths| {
        paths.find(|path| path.extension().is_some_and(|extension| extension == "whl"))
    });
    wheel.ok_or_else(|| RuntimeError::Install {
        message: "pip downloaded no wheel".to_owned(),
        source: None,
    })
}

/// Runs a command of Python; an error holds the last line that it wrote.
fn run(command: &mut Command, purpose: &str) -> Result<(), RuntimeError> {
    let failed = |message: String, source| RuntimeError::Install { message, source };
    let python = command.get_program().to_string_lossy().into_owned();
    let Output { status, stderr, .. } =
        command.output().map_err(|error| failed(format!("can't run `{python}`"), Some(error)))?;
    if status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&stderr);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines.next_back().unwrap_or("no message").trim_start_matches("ERROR: ");
    Err(failed(format!("`{python}` could not {purpose}: {last}"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_said_last_is_told() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo 'ERROR: No matching distribution' >&2; exit 1"]);
        let error = run(&mut command, "download the wheel").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "install ONNX Runtime {PINNED_VERSION}: `sh` could not download the wheel: \
                 No matching distribution"
            )
        );
        assert!(run(&mut Command::new("/nowhere/python3"), "run").is_err());
    }
}
