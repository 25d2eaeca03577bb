//! Where our own control group is, and whether groups can be made below it.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The group that the server moves to where its own may not hold processes (version 2).
const SERVER: &str = "bessemer-server";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// A group of this machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) version: Version,
    pub(super) folder: PathBuf,
}

/// What the kernel says of this process's groups and mounts.
pub(super) struct Known {
    groups: String,
    mounts: String,
}

impl Known {
    /// Reads it.
    pub(super) fn read() -> Result<Self, String> {
        let read = |path| fs::read_to_string(path).map_err(|error| format!("`{path}`: {error}"));
        Ok(Self { groups: read("/proc/self/cgroup")?, mounts: read("/proc/self/mountinfo")? })
    }
}

impl Place {
    /// The group below which groups with `controller` can be made, or why there is none.
    pub(super) fn find(known: &Known, controller: &str) -> Result<Self, String> {
        let place = locate(&known.groups, &known.mounts, controller);
        let mut place = place.ok_or("this machine shows no control groups of this kind")?;
        if place.version == Version::Two {
            if place.folder.ends_with(SERVER) {
                place.folder.pop();
            }
            enable(&place.folder, controller)?;
        }
        Ok(place)
    }
}

/// Our group for `controller`: of version 1 if there is a hierarchy for it, else of version 2.
fn locate(groups: &str, mounts: &str, controller: &str) -> Option<Place> {
    let mut two = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        if controllers.split(',').any(|name| name == controller) {
            let is_its = |mount: &Mount| {
                mount.kind == "cgroup" && mount.options.split(',').any(|name| name == controller)
            };
            let folder = mounted(mounts, is_its, path)?;
            return Some(Place { version: Version::One, folder });
        }
        if controllers.is_empty() {
            two = mounted(mounts, |mount| mount.kind == "cgroup2", path);
        }
    }
    two.map(|folder| Place { version: Version::Two, folder })
}

/// A line of `mountinfo`.
struct Mount<'a> {
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn of_line(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        let (root, point) = (left.next()?, left.next()?);
        Some(Self { root, point, kind: right.next()?, options: right.nth(1)? })
    }
}

/// The folder of group `path` in the first mount that `wanted` takes.
fn mounted(mounts: &str, wanted: impl Fn(&Mount) -> bool, path: &str) -> Option<PathBuf> {
    let mut all = mounts.lines().filter_map(Mount::of_line);
    let mount = all.find(wanted)?;
    let below = Path::new(path).strip_prefix(mount.root).ok()?;
    Some(Path::new(mount.point).join(below))
}

/// Lets groups below `folder` use `controller`. Since a group of version 2 may not hold both
/// processes and such groups, the server's processes move to one of their own, if nobody else's are
/// there: so it is in a service with `Delegate=yes`.
fn enable(folder: &Path, controller: &str) -> Result<(), String> {
    let has = |file: &str| {
        let text = fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.split_ascii_whitespace().any(|name| name == controller)
    };
    if !has("cgroup.controllers") {
        return Err(format!("`{}` was not given `{controller}`", folder.display()));
    }
    if has("cgroup.subtree_control") {
        return Ok(());
    }
    let write = || fs::write(folder.join("cgroup.subtree_control"), format!("+{controller}"));
    if write().is_ok() {
        return Ok(());
    }
    move_server(folder)?;
    write().map_err(|error| format!("`{}`: {error}", folder.display()))
}

fn move_server(folder: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    let members = fs::read_to_string(folder.join("cgroup.procs")).map_err(failed)?;
    let ours = fs::read_link("/proc/self/exe").map_err(failed)?;
    let is_ours =
        |pid: &&str| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == ours);
    if let Some(other) = members.lines().find(|pid| !is_ours(pid)) {
        let folder = folder.display();
        return Err(format!("`{folder}` holds other processes ({other}): run it as a service"));
    }
    let own = folder.join(SERVER);
    let _ = fs::create_dir(&own); // the next step tells if it isn't there
    for pid in members.lines() {
        fs::write(own.join("cgroup.procs"), pid).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
30 23 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 23 0:27 /docker/x /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

    #[test]
    fn hierarchies_of_version_one_come_first() {
        let groups = "4:memory:/a/b\n2:cpu,cpuacct:/docker/x/c\n0::/user\n";
        let place = |name| locate(groups, MOUNTS, name);
        let one = |folder: &str| Some(Place { version: Version::One, folder: folder.into() });
        assert_eq!(place("memory"), one("/sys/fs/cgroup/memory/a/b"));
        assert_eq!(place("cpu"), one("/sys/fs/cgroup/cpu,cpuacct/c"));
        let two = Place { version: Version::Two, folder: "/sys/fs/cgroup/unified/user".into() };
        assert_eq!(place("pids"), Some(two));
        assert_eq!(locate("", MOUNTS, "pids"), None);
    }

    #[test]
    fn a_group_outside_our_view_is_none() {
        assert_eq!(locate("2:cpu,cpuacct:/elsewhere\n", MOUNTS, "cpu"), None);
    }

    #[test]
    fn a_controller_that_was_not_given_cannot_be_enabled() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert!(enable(folder.path(), "memory").is_ok());
        let text = fs::read_to_string(folder.path().join("cgroup.subtree_control")).unwrap();
        assert_eq!(text, "+memory");
        assert!(enable(folder.path(), "pids").unwrap_err().contains("`pids`"));
    }
}
