//! The engine's program, which is this one, at a path that a sandbox can mount.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// What runs, wherever it was started from.
const RUNNING: &str = "/proc/self/exe";

/// A copy of this program, made once it is needed.
static COPY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Where this program is. If another release lies there by now, a copy of this one in `runs` is.
pub(super) fn program(runs: &Path) -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    if is_running(&path)? {
        return Ok(path);
    }
    let mut copy = COPY.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*copy {
        return Ok(made.clone());
    }
    let (made, unfinished) = (runs.join(".engine"), runs.join(".engine.tmp"));
    fs::copy(RUNNING, &unfinished)?;
    fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755))?;
    fs::rename(unfinished, &made)?;
    Ok(copy.insert(made).clone())
}

fn is_running(path: &Path) -> io::Result<bool> {
    let running = fs::metadata(RUNNING)?;
    let is_it = |found: fs::Metadata| (found.dev(), found.ino()) == (running.dev(), running.ino());
    Ok(fs::metadata(path).is_ok_and(is_it))
}
