//! The `onnxruntime` package of a Python.

use std::{
    env, fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Map, Value};

/// Prints the package's folder, without importing it, and nothing if there is none. The current folder
/// is taken off the path first: what lies there is not to be run.
const PROGRAM: &str = "import sys
sys.path = [folder for folder in sys.path if folder]
import importlib.util
spec = importlib.util.find_spec('onnxruntime')
print(spec.submodule_search_locations[0] if spec else '')";

/// How long Python may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The folder of `python`'s `onnxruntime` package. What Python answered is remembered in `cache`, as
/// long as the folder is there: starting Python costs more than loading a small model.
pub(super) fn package_folder(python: &Path, cache: Option<&Path>) -> Option<PathBuf> {
    let python = executable(python)?;
    let memory = cache.map(|cache| cache.join("python.json"));
    let key = python.to_str()?;
    let mut remembered = memory.as_deref().map(recall).unwrap_or_default();
    if let Some(folder) = remembered.get(key).and_then(Value::as_str).map(PathBuf::from)
        && folder.is_dir()
    {
        return Some(folder);
    }
    let folder = ask(&python)?;
    if let (Some(memory), Some(folder)) = (memory, folder.to_str()) {
        remembered.insert(key.to_owned(), folder.into());
        remember(&memory, &remembered);
    }
    Some(folder)
}

/// The full path of `python`, looked for in `PATH` if it is a bare name.
fn executable(python: &Path) -> Option<PathBuf> {
    if python.components().count() > 1 {
        return std::path::absolute(python).ok().filter(|python| python.is_file());
    }
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(python)).find(|path| path.is_file())
}

fn ask(python: &Path) -> Option<PathBuf> {
    let mut child = Command::new(python)
        .args(["-c", PROGRAM])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let asked = Instant::now();
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if asked.elapsed() > PATIENCE => {
                let _ = child.kill();
                break child.wait().ok()?;
            }
            None => thread::sleep(Duration::from_millis(2)),
        }
    };
    let mut folder = String::new();
    child.stdout.take()?.read_to_string(&mut folder).ok()?;
    let folder = folder.trim();
    (status.success() && !folder.is_empty()).then(|| PathBuf::from(folder))
}

fn recall(memory: &Path) -> Map<String, Value> {
    let text = fs::read(memory).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Writes the memory; without it, Python is asked again.
fn remember(memory: &Path, remembered: &Map<String, Value>) {
    let write = || {
        let folder = memory.parent().ok_or(std::io::ErrorKind::NotFound)?;
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, remembered)?;
        file.persist(memory)?;
        std::io::Result::Ok(())
    };
    let _ = write();
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn python_is_asked_once() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("site-packages/onnxruntime");
        fs::create_dir_all(&package).unwrap();
        let python = folder.path().join("python3");
        let asked = folder.path().join("asked");
        let script =
            format!("#!/bin/sh\necho x >> '{}'\necho '{}'\n", asked.display(), package.display());
        fs::write(&python, script).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();

        let cache = folder.path().join("cache");
        assert_eq!(package_folder(&python, Some(&cache)).unwrap(), package);
        assert_eq!(package_folder(&python, Some(&cache)).unwrap(), package);
        assert_eq!(fs::read_to_string(&asked).unwrap(), "x\n");

        fs::remove_dir(&package).unwrap();
        package_folder(&python, Some(&cache));
        assert_eq!(fs::read_to_string(&asked).unwrap(), "x\nx\n");
        assert_eq!(package_folder(&folder.path().join("none"), None), None);
    }
}
