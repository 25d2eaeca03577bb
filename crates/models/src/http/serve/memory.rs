//! What a copy's processes take, and how many copies fit.

use std::{fs, thread};

use rustix::process::{Pid, test_kill_process_group};

/// Of the memory that is free, what copies may take: calls need room, too.
const SHARE: f64 = 0.7;

/// How many copies cores and memory allow when one copy, already running, takes `each` bytes.
/// `budget`: bytes for all copies; `None`: a share of what is free.
pub(in crate::http) fn copies_that_fit(each: Option<u64>, budget: Option<u64>) -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (Some(each), Some(room)) = (each, budget.or_else(|| Some(free()? + each?))) else {
        return cores;
    };
    fit(cores, each, if budget.is_some() { room as f64 } else { room as f64 * SHARE })
}

/// Whether memory bears one more copy beside `there` of `each` bytes. `budget`: as above.
pub(super) fn bears_another(each: Option<u64>, there: usize, budget: Option<u64>) -> bool {
    let Some(each) = each else { return true };
    match budget {
        Some(budget) => each.saturating_mul(there as u64 + 1) <= budget,
        None => free().is_none_or(|free| each as f64 <= free as f64 * SHARE),
    }
}

fn fit(cores: usize, each: u64, room: f64) -> usize {
    ((room / each.max(1) as f64) as usize).clamp(1, cores)
}

/// Bytes that the processes of `group` and their descendants take, shared pages counted in parts.
/// `None` where the system does not tell.
pub(super) fn of_tree(group: Pid) -> Option<u64> {
    let leader = group.as_raw_nonzero().get();
    let all: Vec<Entry> = processes()?.collect();
    let mut tree: Vec<i32> =
        all.iter().filter(|entry| entry.group == leader).map(|entry| entry.pid).collect();
    let mut at = 0;
    while let Some(&parent) = tree.get(at) {
        let children = all.iter().filter(|entry| entry.parent == parent).map(|entry| entry.pid);
        let fresh: Vec<i32> = children.filter(|pid| !tree.contains(pid)).collect();
        tree.extend(fresh);
        at += 1;
    }
    let bytes: u64 = tree.iter().filter_map(|pid| of_process(*pid)).sum();
    (bytes > 0).then_some(bytes)
}

/// Whether a process of `group` still runs. One that only waits to be reaped does not: where no
/// init reaps orphans, it stays for good.
pub(super) fn group_lives(group: Pid) -> bool {
    let leader = group.as_raw_nonzero().get();
    test_kill_process_group(group).is_ok()
        && processes().is_none_or(|mut all| all.any(|entry| entry.group == leader && !entry.dead))
}

struct Entry {
    pid: i32,
    parent: i32,
    group: i32,
    dead: bool,
}

/// The machine's processes. `None` where there is no `/proc`.
fn processes() -> Option<impl Iterator<Item = Entry>> {
    let entries = fs::read_dir("/proc").ok()?;
    Some(entries.filter_map(|entry| {
        let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field, the name, is in parentheses and may hold anything.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let dead = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(Entry { pid, parent, group, dead })
    }))
}

fn of_process(pid: i32) -> Option<u64> {
    kilobytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:")
        .or_else(|| kilobytes(&format!("/proc/{pid}/status"), "VmRSS:"))
}

/// Bytes that are free: what the system says, or less if our control group has a limit.
fn free() -> Option<u64> {
    let system = kilobytes("/proc/meminfo", "MemAvailable:")?;
    let number = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?.trim().parse().ok()
    };
    let limit = number("memory.max").zip(number("memory.current"));
    Some(limit.map_or(system, |(most, now)| system.min(most.saturating_sub(now))))
}

/// The first `name 123 kB` of a file, in bytes.
fn kilobytes(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_fit_between_one_and_the_cores() {
        assert_eq!(fit(8, 100, 450.0), 4);
        assert_eq!(fit(2, 100, 450.0), 2);
        assert_eq!(fit(8, 100, 50.0), 1);
        assert_eq!(fit(8, 0, 50.0), 8);
    }

    #[test]
    fn another_copy_stays_within_the_budget() {
        assert!(bears_another(Some(100), 1, Some(200)) && !bears_another(Some(100), 2, Some(299)));
        assert!(bears_another(Some(1), 5, None) && !bears_another(Some(u64::MAX), 1, None));
        assert!(bears_another(None, 1, Some(1)), "what a copy takes is not known everywhere");
    }

    #[test]
    fn our_own_memory_is_found() {
        let bytes = of_process(std::process::id() as i32).unwrap();
        assert!(bytes > 100 << 10, "{bytes}");
        assert!(free().unwrap() > 1 << 20);
    }
}
