//! The machine's processes, as `/proc` tells of them.

use std::{collections::HashSet, fs, sync::OnceLock};

/// When the process `pid` started, in the kernel's ticks since boot: with the number, it names a
/// process for as long as the machine runs. `None` if there is none or it only waits to be reaped.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    let fields = stat(&format!("/proc/{pid}/stat"))?;
    (!matches!(fields.first()?.as_str(), "Z" | "X")).then_some(())?;
    fields.get(19)?.parse().ok()
}

/// A random name of this boot of the machine.
pub(crate) fn boot_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

/// Milliseconds of processor time of all ended and waited-for descendants of this process.
pub(crate) fn cpu_millis_of_children() -> u64 {
    let fields = stat("/proc/self/stat").unwrap_or_default();
    let ticks: u64 =
        fields.iter().skip(13).take(2).filter_map(|text| text.parse::<u64>().ok()).sum();
    ticks * 1000 / rustix::param::clock_ticks_per_second().max(1)
}

/// `root` and all that descend from it, as far as they can be seen.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut known = HashSet::from([root]);
    let mut at = 0;
    while let Some(&pid) = found.get(at) {
        found.extend(children(pid).into_iter().filter(|child| known.insert(*child)));
        at += 1;
    }
    found
}

/// Bytes of memory that nothing can take from the processes (anonymous and shared), each page of
/// shared memory counted for each of them: a quick upper bound.
pub(crate) fn memory_bound(pids: &[u32]) -> u64 {
    pids.iter()
        .map(|pid| kilobytes(&format!("/proc/{pid}/status"), &["RssAnon:", "RssShmem:"]))
        .sum()
}

/// The same with shared pages counted in parts: slow, but right.
pub(crate) fn memory(pids: &[u32]) -> u64 {
    let of_one = |pid: &u32| {
        let path = format!("/proc/{pid}/smaps_rollup");
        kilobytes(&path, &["Pss_Anon:", "Pss_Shmem:", "SwapPss:"])
    };
    pids.iter().map(of_one).sum()
}

/// The fields of a `stat` file after the name, so the third of the manual is the first here.
fn stat(path: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    // The name is in parentheses and may hold anything.
    let fields = text.rsplit_once(')')?.1.split_ascii_whitespace();
    Some(fields.map(str::to_owned).collect())
}

fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return found };
    for task in tasks.flatten() {
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    found
}

/// The sum of the lines `name 123 kB` of a file that begin with one of `names`, in bytes.
fn kilobytes(path: &str, names: &[&str]) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let of_line = |line: &str| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    text.lines().filter_map(of_line).sum::<u64>() << 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_children() {
        let me = std::process::id();
        assert!(start_time(me).unwrap() > 0);
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        assert!(tree(me).contains(&child.id()));
        assert!(memory_bound(&[me]) > 100 << 10);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(start_time(child.id()), None);
        assert!(!boot_id().is_empty());
    }
}
