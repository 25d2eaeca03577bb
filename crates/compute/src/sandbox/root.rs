//! The file system of a sandbox.

use std::{
    ffi::CString,
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::fstatvfs,
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change,
        mount_remount, unmount,
    },
    process::{chdir, pivot_root},
};

use super::{
    beneath::{Beneath, Place, path_of},
    etc,
};
use crate::{Bind, Layer, LayerState, ProcessSpec, SetupError, error::Trying};

/// Folders of programs and libraries, as far as this machine has them.
const SYSTEM: [&str; 7] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/// What numeric libraries read to learn about the processor.
const HARDWARE: [&str; 2] = ["/sys/devices/system/cpu", "/sys/devices/system/node"];
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// Of `/proc`, what shows or changes the machine: unreadable and unchangeable.
const HIDDEN: [&str; 4] = ["kcore", "keys", "timer_list", "sysrq-trigger"];
const UNCHANGEABLE: [&str; 3] = ["sys", "irq", "bus"];
/// Bytes of `/tmp` and `/dev/shm` if nothing is said.
const TMP: u64 = 1 << 30;
const PLAIN: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

/// Makes the new root and moves this process there. What it shows is a file system in memory, which
/// nobody can change, with this machine's programs, the mounts of `spec`, and devices, `/tmp` and
/// `/proc` of its own.
pub(super) fn enter(spec: &ProcessSpec, uid: u32) -> Result<Vec<LayerState>, SetupError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).trying(|| "keep mounts to the sandbox".to_owned())?;
    // What it is mounted over is hidden from here on, which the notes of our own had better be.
    let folder = spec.control.clone();
    mount_memory(&folder, 16 << 20, "755")
        .trying(|| format!("mount a root on `{}`", folder.display()))?;
    let root = Root {
        beneath: Beneath::open(&folder).trying(|| "open the new root".to_owned())?,
        folder: folder.clone(),
    };
    root.system()?;
    root.etc(spec, uid)?;
    root.devices(spec)?;
    let proc = root.proc()?;
    for bind in &spec.mounts {
        root.bind(bind)?;
    }
    root.close_submounts(&spec.mounts)?;
    mount_remount(&folder, MountFlags::BIND | MountFlags::RDONLY | PLAIN, c"")
        .trying(|| "make the root read-only".to_owned())?;
    pivot(&folder).trying(|| "move to the new root".to_owned())?;
    let layer = LayerState::active(Layer::MountNamespace, "read-only root in memory");
    Ok(vec![layer, proc])
}

struct Root {
    beneath: Beneath,
    folder: PathBuf,
}

impl Root {
    fn system(&self) -> Result<(), SetupError> {
        for name in SYSTEM.into_iter().map(Path::new) {
            match fs::read_link(name) {
                Ok(target) => self.link(name, &target)?,
                Err(_) if name.is_dir() => self.bind(&Bind::read_only(name, name))?,
                Err(_) => {}
            }
        }
        for name in HARDWARE.into_iter().map(Path::new).filter(|name| name.is_dir()) {
            // Some containers don't let us; libraries then guess.
            let _ = self.bind(&Bind::read_only(name, name));
        }
        self.folder("/run")?;
        self.link(Path::new("/var/tmp"), Path::new("../tmp"))
    }

    fn etc(&self, spec: &ProcessSpec, uid: u32) -> Result<(), SetupError> {
        self.folder("/etc")?;
        for path in etc::shared() {
            // Some are links into folders that are here, too.
            match (fs::read_link(&path), etc::small_file(&path)) {
                (Ok(target), _) => self.link(&path, &target)?,
                (Err(_), Some(text)) => self.write(&path, &text)?,
                (Err(_), None) => self.bind(&Bind::read_only(&path, &path))?,
            }
        }
        for (name, text) in etc::written(spec, uid) {
            self.write(&Path::new("/etc").join(name), text.as_bytes())?;
        }
        Ok(())
    }

    fn devices(&self, spec: &ProcessSpec) -> Result<(), SetupError> {
        for name in DEVICES {
            let path = Path::new("/dev").join(name);
            let place = self.beneath.file(&path).trying(|| format!("make `{}`", path.display()))?;
            Self::mount_at(&path, &place).trying(|| format!("mount `{}`", path.display()))?;
        }
        let links =
            [("fd", "/proc/self/fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")];
        for (name, target) in links {
            self.link(&Path::new("/dev").join(name), Path::new(target))?;
        }
        let size = spec.limits.tmp.unwrap_or(TMP);
        for name in ["/dev/shm", "/tmp"] {
            let folder = self.folder(name)?;
            mount_memory(Path::new(&path_of(&folder)), size, "1777")
                .trying(|| format!("mount `{name}`"))?;
        }
        Ok(())
    }

    fn proc(&self) -> Result<LayerState, SetupError> {
        let folder = self.folder("/proc")?;
        let mount_proc = |options: &std::ffi::CStr| {
            mount("proc", path_of(&folder), "proc", PLAIN | MountFlags::NOEXEC, options)
        };
        let detail = if mount_proc(c"hidepid=2").is_ok() {
            "own processes only, those of other users hidden"
        } else {
            mount_proc(c"").trying(|| {
                "mount a `/proc` of its own (a container around Bessemer must not mask its `/proc`)"
                    .to_owned()
            })?;
            "own processes only"
        };
        for name in HIDDEN {
            let path = Path::new("/proc").join(name);
            if path.exists() {
                self.bind(&Bind::read_only("/dev/null", &path))?;
            }
        }
        for name in UNCHANGEABLE {
            let path = Path::new("/proc").join(name);
            let inside = self.folder.join("proc").join(name);
            if inside.is_dir() {
                self.bind(&Bind::read_only(inside, &path))?;
            }
        }
        Ok(LayerState::active(Layer::Proc, detail))
    }

    /// Mounts `bind.source` at `bind.target`.
    fn bind(&self, bind: &Bind) -> Result<(), SetupError> {
        let task = || format!("mount `{}` as `{}`", bind.source.display(), bind.target.display());
        let kind = fs::metadata(&bind.source).trying(task)?;
        let place = if kind.is_dir() {
            self.beneath.folder(&bind.target)
        } else {
            self.beneath.file(&bind.target)
        };
        let place = place.trying(task)?;
        Self::mount_at(&bind.source, &place).trying(task)?;
        let mounted = place.open().trying(task)?;
        protect(&mounted, bind.read_only).trying(task)
    }

    /// Mounts `source` over `place`.
    fn mount_at(source: &Path, place: &Place) -> io::Result<()> {
        let target = place.open()?;
        Ok(mount_bind_recursive(source, path_of(&target))?)
    }

    /// Makes read-only what was mounted below the sources of read-only mounts: a mount's flags are
    /// its own.
    fn close_submounts(&self, binds: &[Bind]) -> Result<(), SetupError> {
        let table =
            fs::read_to_string("/proc/self/mountinfo").trying(|| "list mounts".to_owned())?;
        let places: Vec<PathBuf> = table.lines().filter_map(mount_point).collect();
        for place in places {
            let Ok(inside) = place.strip_prefix(&self.folder) else { continue };
            let inside = Path::new("/").join(inside);
            let around = binds.iter().filter(|bind| inside.starts_with(&bind.target));
            let inner = around.max_by_key(|bind| bind.target.components().count());
            let system =
                SYSTEM.iter().any(|name| inside.starts_with(name) && inside != Path::new(name));
            if inner.map_or(system, |bind| bind.read_only && bind.target != inside) {
                let mounted = self.beneath.folder(&inside).and_then(|place| place.open());
                mounted
                    .and_then(|mounted| protect(&mounted, true))
                    .trying(|| format!("make `{}` read-only", inside.display()))?;
            }
        }
        Ok(())
    }

    fn folder(&self, path: &str) -> Result<std::os::fd::OwnedFd, SetupError> {
        let path = Path::new(path);
        let folder = self.beneath.folder(path).and_then(|place| place.open());
        folder.trying(|| format!("make `{}`", path.display()))
    }

    fn write(&self, path: &Path, text: &[u8]) -> Result<(), SetupError> {
        self.beneath.write(path, text).trying(|| format!("write `{}`", path.display()))
    }

    fn link(&self, path: &Path, target: &Path) -> Result<(), SetupError> {
        self.beneath.link(path, target).trying(|| format!("make the link `{}`", path.display()))
    }
}

/// Takes devices and set-user-id programs, and perhaps writing, from a mount. What else was taken
/// from it already stays, since a user namespace may not give it back.
fn protect(mounted: &impl AsFd, read_only: bool) -> io::Result<()> {
    let now = fstatvfs(mounted)?.f_flag.bits();
    let mut flags = MountFlags::BIND | PLAIN;
    // The `ST_*` of `statvfs` beside the `MS_*` of `mount`.
    let kept = [
        (1, MountFlags::RDONLY),
        (8, MountFlags::NOEXEC),
        (1024, MountFlags::NOATIME),
        (2048, MountFlags::NODIRATIME),
        (4096, MountFlags::RELATIME),
    ];
    for (bit, flag) in kept {
        if now & bit != 0 {
            flags |= flag;
        }
    }
    if read_only {
        flags |= MountFlags::RDONLY;
    }
    Ok(mount_remount(path_of(mounted), flags, c"")?)
}

fn mount_memory(folder: &Path, bytes: u64, mode: &str) -> io::Result<()> {
    let options = CString::new(format!("mode={mode},size={bytes}"))?;
    Ok(mount("tmpfs", folder, "tmpfs", PLAIN, options.as_c_str())?)
}

/// Makes `folder` the root and lets go of the old one.
fn pivot(folder: &Path) -> Result<(), Errno> {
    chdir(folder)?;
    pivot_root(c".", c".")?;
    // The old root lies over the new one now.
    unmount(c".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// The place of a mount in a line of `/proc/self/mountinfo`.
fn mount_point(line: &str) -> Option<PathBuf> {
    let escaped = line.split(' ').nth(4)?;
    let plain = escaped.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
    Some(PathBuf::from(plain))
}
