//! [`Site`]: what runners of containers share, and the folders of their attempts.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bessemer_aws::{AccessKeyEntry, KeyRing};
use bessemer_compute::{Attached, Environments, Images, Launcher, logs::LogFolder};
use bessemer_domain::JobId;
use bessemer_objects::storage::Storage;

use super::{CONTROL, DockerOptions};

/// What runners of containers work with.
#[derive(Debug)]
pub(crate) struct Site {
    /// `runs/` of the data directory.
    pub(crate) runs: PathBuf,
    pub(crate) storage: Storage,
    pub(crate) logs: LogFolder,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) launcher: Launcher,
    pub(crate) environments: Environments,
    pub(crate) images: Images,
    pub(crate) docker: DockerOptions,
    /// `http://address:port` of the server, as it is reached from this machine.
    pub(crate) endpoint: String,
    /// The access key of all programs, if the objects are elsewhere and it is one there too.
    pub(crate) job_key: Option<AccessKeyEntry>,
}

impl Site {
    /// The folder of an attempt.
    pub(super) fn folder(&self, job: JobId, number: u32) -> PathBuf {
        self.runs.join(job.to_string()).join(number.to_string())
    }

    /// Clears away what attempt `number` at `job` left: its processes, its access key, its files.
    pub(super) fn clear(&self, job: JobId, number: u32) {
        self.keys.close_for_attempt(job.0, number);
        self.clear_folder(&self.folder(job, number));
    }

    fn clear_folder(&self, folder: &Path) {
        self.end_processes(folder);
        remove(folder);
        if let Some(job) = folder.parent() {
            let _ = fs::remove_dir(job); // not if there is another attempt
        }
    }

    /// Clears away what any attempt at `job` left.
    pub(super) fn clear_all(&self, job: JobId) {
        for attempt in folders(&self.runs.join(job.to_string())) {
            self.clear_folder(&attempt);
        }
    }

    /// Clears away what jobs left that have ended, as far as the last server did not come to it.
    /// `open`: the jobs that have not.
    pub(crate) fn sweep(&self, open: &HashSet<JobId>) {
        for folder in folders(&self.runs) {
            let name = folder.file_name().and_then(|name| name.to_str());
            let Some(job) = name.and_then(|name| name.parse().ok()).map(JobId) else { continue };
            if !open.contains(&job) {
                self.clear_all(job);
                remove(&folder);
            }
        }
    }

    fn end_processes(&self, folder: &Path) {
        for host in folders(folder) {
            let ended = match self.launcher.reattach(&host.join(CONTROL)) {
                Ok(Attached::Running(child)) => child.kill().and_then(|()| child.wait()).map(drop),
                found => found.map(drop),
            };
            if let Err(error) = ended {
                tracing::error!(%error, "a job's process can't be ended");
            }
        }
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter(is_folder).map(|entry| entry.path()).collect()
}

fn remove(folder: &Path) {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), %error, "a job's folder can't be removed");
        }
        _ => {}
    }
}
