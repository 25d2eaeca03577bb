//! The notes that a supervisor leaves in a control folder.

use std::{
    fs, io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{Exit, SetupError, cgroups, docker::ContainerNote};

/// Who looks after the process. Written before the command runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessNote {
    pub(crate) pid: u32,
    pub(crate) start_time: u64,
    /// The boot of the machine for which these numbers mean something.
    pub(crate) boot: String,
    /// Its control groups.
    pub(crate) groups: Vec<PathBuf>,
    /// Its container.
    #[serde(default)]
    pub(crate) container: Option<ContainerNote>,
}

/// How it ended. Written when the last of its processes is gone and the log is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EndNote {
    Ended(Exit),
    /// The command never ran.
    Failed(SetupError),
}

impl ProcessNote {
    const FILE: &str = "process.json";

    pub(crate) fn write(&self, control: &Path) -> io::Result<()> {
        write(&control.join(Self::FILE), self)
    }

    pub(crate) fn read(control: &Path) -> io::Result<Option<Self>> {
        read(&control.join(Self::FILE))
    }

    /// Clears away what a supervisor that was killed left.
    pub(crate) fn clear(&self) -> io::Result<()> {
        cgroups::remove(&self.groups);
        let container = self.container.as_ref();
        container.map_or(Ok(()), |container| container.remove().map_err(io::Error::other))
    }
}

impl EndNote {
    const FILE: &str = "exit.json";
    /// Bytes of a note at most, in all but the oddest cases.
    const ROOM: usize = 4096;

    /// Takes the room on the disk that the note needs, which may be full by then.
    pub(crate) fn make_room(control: &Path) -> io::Result<()> {
        fs::write(control.join(Self::FILE).with_extension("tmp"), [b' '; Self::ROOM])
    }

    pub(crate) fn write(&self, control: &Path) -> io::Result<()> {
        write(&control.join(Self::FILE), self)
    }

    pub(crate) fn read(control: &Path) -> io::Result<Option<Self>> {
        read(&control.join(Self::FILE))
    }
}

/// Writes whole or not at all. Not synced: after a power cut, no process is left to tell of.
fn write<T: Serialize>(path: &Path, note: &T) -> io::Result<()> {
    let unfinished = path.with_extension("tmp");
    let text = serde_json::to_vec(note)?;
    // Written over what takes its room already. Spaces after a note mean nothing.
    let file = fs::File::options().write(true).create(true).truncate(false).open(&unfinished)?;
    file.write_all_at(&text, 0)?;
    drop(file);
    fs::rename(&unfinished, path)
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
