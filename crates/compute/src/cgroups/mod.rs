//! Control groups, version 1 or 2, below the group that we are in ourselves: a limit that was put on
//! the server holds for what it starts, too.

mod place;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use self::place::{Known, Place, Version};
use crate::{Layer, LayerState, Limits};

/// What a control group can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Controller {
    /// Memory.
    Memory,
    /// Processes and threads.
    Processes,
    /// Processor cores.
    Cpu,
}

/// The period of the processor's limit, in microseconds.
const CPU_PERIOD: u64 = 100_000;

impl Controller {
    /// Every controller.
    pub const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    /// The kernel's name.
    fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }

    fn layer(self) -> Layer {
        match self {
            Self::Memory => Layer::MemoryGroup,
            Self::Processes => Layer::ProcessGroup,
            Self::Cpu => Layer::CpuGroup,
        }
    }

    /// What to write: file and text, and whether the kernel may lack the file.
    fn settings(self, version: Version, limits: &Limits) -> Vec<(&'static str, String, bool)> {
        match (self, version) {
            (Self::Memory, Version::One) => limits.memory.map_or(Vec::new(), |bytes| {
                vec![
                    ("memory.limit_in_bytes", bytes.to_string(), false),
                    ("memory.memsw.limit_in_bytes", bytes.to_string(), true),
                ]
            }),
            (Self::Memory, Version::Two) => limits.memory.map_or(Vec::new(), |bytes| {
                vec![
                    ("memory.max", bytes.to_string(), false),
                    ("memory.swap.max", "0".to_owned(), true),
                ]
            }),
            // One more for the first process of the sandbox.
            (Self::Processes, _) => limits.processes.map_or(Vec::new(), |count| {
                vec![("pids.max", (u64::from(count) + 1).to_string(), false)]
            }),
            (Self::Cpu, Version::One) => quota(limits).map_or(Vec::new(), |quota| {
                vec![
                    ("cpu.cfs_period_us", CPU_PERIOD.to_string(), false),
                    ("cpu.cfs_quota_us", quota.to_string(), false),
                ]
            }),
            (Self::Cpu, Version::Two) => quota(limits).map_or(Vec::new(), |quota| {
                vec![("cpu.max", format!("{quota} {CPU_PERIOD}"), false)]
            }),
        }
    }
}

/// Microseconds of processor time in each period. The kernel wants 1,000 at least.
fn quota(limits: &Limits) -> Option<u64> {
    limits.cores.map(|cores| ((cores * CPU_PERIOD as f64) as u64).max(1000))
}

/// The control groups of one sandbox.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The folders, with what each limits.
    made: Vec<(PathBuf, Controller)>,
    states: Vec<LayerState>,
}

impl Groups {
    /// Makes groups called `name` with those of `limits` that `controllers` and the machine can hold.
    pub(crate) fn make(controllers: &[Controller], limits: &Limits, name: &str) -> Self {
        let mut groups = Self::default();
        let known = Known::read();
        for controller in Controller::ALL {
            let state = if controllers.contains(&controller) {
                let made = known.as_ref().map_err(Clone::clone);
                match made.and_then(|known| groups.make_one(known, controller, limits, name)) {
                    Ok(detail) => LayerState::active(controller.layer(), detail),
                    Err(reason) => LayerState::missing(controller.layer(), reason),
                }
            } else {
                LayerState::missing(controller.layer(), "switched off")
            };
            groups.states.push(state);
        }
        groups
    }

    fn make_one(
        &mut self,
        known: &Known,
        controller: Controller,
        limits: &Limits,
        name: &str,
    ) -> Result<&'static str, String> {
        let place = Place::find(known, controller.name())?;
        let folder = place.folder.join(name);
        let failed = |error: io::Error| format!("`{}`: {error}", folder.display());
        match fs::create_dir(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
        let set = set(&folder, &controller.settings(place.version, limits));
        if let Err(error) = set {
            let _ = fs::remove_dir(&folder); // stays if another controller has it
            return Err(failed(error));
        }
        self.made.push((folder, controller));
        Ok(match place.version {
            Version::One => "version 1",
            Version::Two => "version 2",
        })
    }

    /// Puts a process into the groups. What can't be joined limits nothing and is said to be missing.
    pub(crate) fn join(&mut self, pid: u32) {
        let states = &mut self.states;
        self.made.retain(|(folder, controller)| {
            let joined = fs::write(folder.join("cgroup.procs"), pid.to_string());
            if let Err(error) = &joined {
                let _ = fs::remove_dir(folder);
                let state = states.iter_mut().find(|state| state.layer == controller.layer());
                if let Some(state) = state {
                    *state = LayerState::missing(state.layer, error.to_string());
                }
            }
            joined.is_ok()
        });
    }

    /// Whether a group limits memory.
    pub(crate) fn limits_memory(&self) -> bool {
        self.memory().is_some()
    }

    /// Which layers these groups are.
    pub(crate) fn layers(&self) -> Vec<LayerState> {
        self.states.clone()
    }

    /// The folders.
    pub(crate) fn folders(&self) -> Vec<PathBuf> {
        self.made.iter().map(|(folder, _)| folder.clone()).collect()
    }

    /// Whether the kernel killed a process for want of memory.
    pub(crate) fn killed_for_memory(&self) -> bool {
        let files = ["memory.events", "memory.oom_control"];
        self.memory().is_some_and(|folder| {
            files.iter().any(|file| {
                let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
                oom_kills(&text) > 0
            })
        })
    }

    /// The most bytes of memory that were in use; 0 if the kernel doesn't tell.
    pub(crate) fn peak_memory(&self) -> u64 {
        let files = ["memory.peak", "memory.max_usage_in_bytes"];
        let read = |folder: &Path, file: &str| {
            fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok()
        };
        let folder = self.memory();
        folder.and_then(|folder| files.iter().find_map(|file| read(folder, file))).unwrap_or(0)
    }

    /// Removes the groups, which have to be empty.
    pub(crate) fn remove(&self) {
        remove(&self.folders());
    }

    fn memory(&self) -> Option<&Path> {
        let memory = self.made.iter().find(|(_, controller)| *controller == Controller::Memory);
        memory.map(|(folder, _)| folder.as_path())
    }
}

/// Removes empty groups. One that isn't empty, or isn't there, is left.
pub(crate) fn remove(folders: &[PathBuf]) {
    for folder in folders {
        let _ = fs::remove_dir(folder);
    }
}

fn set(folder: &Path, settings: &[(&'static str, String, bool)]) -> io::Result<()> {
    for (file, text, optional) in settings {
        match fs::write(folder.join(file), text) {
            Err(error) if !optional => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The count in a line `oom_kill 3`.
fn oom_kills(text: &str) -> u64 {
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_become_the_kernels_files() {
        let limits = Limits {
            memory: Some(1 << 20),
            cores: Some(1.5),
            processes: Some(9),
            ..Limits::default()
        };
        let all = |version| -> Vec<(&str, String)> {
            let settings = Controller::ALL.iter().flat_map(|one| one.settings(version, &limits));
            settings.map(|(file, text, _)| (file, text)).collect()
        };
        let text = |pairs: &[(&'static str, &str)]| -> Vec<(&str, String)> {
            pairs.iter().map(|(file, text)| (*file, (*text).to_owned())).collect()
        };
        assert_eq!(
            all(Version::Two),
            text(&[
                ("memory.max", "1048576"),
                ("memory.swap.max", "0"),
                ("pids.max", "10"),
                ("cpu.max", "150000 100000"),
            ])
        );
        assert_eq!(
            all(Version::One),
            text(&[
                ("memory.limit_in_bytes", "1048576"),
                ("memory.memsw.limit_in_bytes", "1048576"),
                ("pids.max", "10"),
                ("cpu.cfs_period_us", "100000"),
                ("cpu.cfs_quota_us", "150000"),
            ])
        );
        assert!(Controller::Memory.settings(Version::Two, &Limits::default()).is_empty());
    }

    #[test]
    fn kills_are_counted_in_both_forms() {
        assert_eq!(oom_kills("low 0\noom 3\noom_kill 2\n"), 2);
        assert_eq!(oom_kills("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"), 1);
        assert_eq!(oom_kills("oom_kill_disable 0\n"), 0);
    }
}
